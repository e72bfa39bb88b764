//! The contract of `KeyProvider`.

use kernel::{KeyProvider, Secret};

use super::Persistence;
use crate::sealed;

/// Runs the whole contract of [`KeyProvider`]. `open(n)` opens the driver at place `n`, where it has a root key of its
/// own.
///
/// # Panics
/// When the driver does not conform.
pub async fn key<D: KeyProvider + 'static>(persistence: Persistence, open: impl AsyncFn(usize) -> D) {
    let (one, other) = (open(1).await, open(2).await);
    let data_key = Secret::new((0..32).collect::<Vec<u8>>());
    let wrapped = one.wrap(b"workspace/1", &data_key).await.unwrap();
    assert_eq!(one.unwrap(b"workspace/1", &wrapped).await.unwrap().expose(), data_key.expose());
    assert!(!wrapped.bytes().windows(8).any(|part| data_key.expose().windows(8).any(|key| key == part)), "in clear");

    for purpose in [b"workspace/2".as_slice(), b"workspace/", b"workspace/11", b""] {
        assert!(one.unwrap(purpose, &wrapped).await.is_err(), "unwrapped for {purpose:?}");
    }
    assert!(other.unwrap(b"workspace/1", &wrapped).await.is_err(), "unwrapped by another root key");
    for bit in 0..wrapped.bytes().len() * 8 {
        let mut bytes = wrapped.bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(one.unwrap(b"workspace/1", &sealed(bytes)).await.is_err(), "unwrapped with bit {bit} flipped");
    }
    for length in 0..wrapped.bytes().len() {
        assert!(one.unwrap(b"workspace/1", &sealed(&wrapped.bytes()[..length])).await.is_err(), "cut at {length}");
    }
    let longer = sealed([wrapped.bytes().as_ref(), &[0]].concat());
    assert!(one.unwrap(b"workspace/1", &longer).await.is_err(), "unwrapped with a byte more");

    for length in [0, 1, 16, 64, 5000] {
        let key = Secret::new(vec![7; length]);
        let wrapped = one.wrap(b"", &key).await.unwrap();
        assert_eq!(one.unwrap(b"", &wrapped).await.unwrap().expose(), key.expose());
    }
    assert!(!one.describe().is_empty());

    if persistence == Persistence::Kept {
        drop(one);
        let again = open(1).await;
        assert_eq!(again.unwrap(b"workspace/1", &wrapped).await.unwrap().expose(), data_key.expose());
    }
}
