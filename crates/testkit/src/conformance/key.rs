//! The contract of `KeyProvider`.

use std::time::Duration;

use kernel::{KeyProvider, Sealed, Secret, StoreError};

use super::Persistence;
use crate::sealed;

/// Runs the whole contract of [`KeyProvider`]. `open(n)` opens the driver at place `n`, where it has a root key of its
/// own.
///
/// # Panics
/// When the driver does not conform.
pub async fn key<D: KeyProvider + 'static>(persistence: Persistence, open: impl AsyncFn(usize) -> D) {
    contract(persistence, 1, open).await;
}

/// The same for a driver whose every call costs something: of flipped bits and of cuts, only some are tried, from every
/// part of what is wrapped.
///
/// # Panics
/// When the driver does not conform.
pub async fn dear_key<D: KeyProvider + 'static>(persistence: Persistence, open: impl AsyncFn(usize) -> D) {
    contract(persistence, 7, open).await;
}

/// A provider whose holder cannot be reached says so, in time.
///
/// # Panics
/// When it answers, or says anything else, or takes longer than the port allows.
pub async fn away(provider: &dyn KeyProvider) {
    let key = Secret::new(vec![7; 32]);
    let wrapping = tokio::time::timeout(Duration::from_secs(30), provider.wrap(b"workspace/1", &key));
    let end = wrapping.await.expect("no answer within 30 seconds");
    assert!(matches!(&end, Err(StoreError::KeyAway(why)) if !why.is_empty()), "{end:?}");
}

/// What has versions, or makes them: what was wrapped before a rotation opens after it, also when it was never settled.
///
/// # Panics
/// When the driver does not conform.
pub async fn rotating_key<D: KeyProvider + 'static>(open: impl AsyncFn(usize) -> D) {
    let (purpose, data_key) = (b"workspace/1".as_slice(), Secret::new(vec![7; 32]));
    let opens = async |provider: &D, wrapped: &Sealed| {
        provider.unwrap(purpose, wrapped).await.is_ok_and(|key| key.expose() == data_key.expose())
    };
    let one = open(1).await;
    let before = one.wrap(purpose, &data_key).await.unwrap();
    one.rotate().await.unwrap();
    let after = one.wrap(purpose, &data_key).await.unwrap();
    assert!(opens(&one, &before).await && opens(&one, &after).await, "both versions open while it goes on");
    assert!(one.version(&before).is_none() || one.version(&before) != one.version(&after), "versions are told apart");
    drop(one);
    // It ended before what is stored was wrapped anew.
    let again = open(1).await;
    assert!(opens(&again, &before).await, "an unsettled rotation took the old version");
    drop(again);
    // It ended after that, and before it was settled.
    let again = open(1).await;
    assert!(opens(&again, &after).await, "an unsettled rotation lost the new version");
    again.settle().await.unwrap();
    drop(again);
    let again = open(1).await;
    assert!(opens(&again, &after).await);
    let newest = again.wrap(purpose, &data_key).await.unwrap();
    assert!(opens(&again, &newest).await);
    assert!(again.version(&newest) == again.version(&after), "it wraps under the newest version");
}

async fn contract<D: KeyProvider + 'static>(persistence: Persistence, step: usize, open: impl AsyncFn(usize) -> D) {
    let (one, other) = (open(1).await, open(2).await);
    let data_key = Secret::new((0..32).collect::<Vec<u8>>());
    let wrapped = one.wrap(b"workspace/1", &data_key).await.unwrap();
    assert_eq!(one.unwrap(b"workspace/1", &wrapped).await.unwrap().expose(), data_key.expose());
    assert!(!wrapped.bytes().windows(8).any(|part| data_key.expose().windows(8).any(|key| key == part)), "in clear");

    for purpose in [b"workspace/2".as_slice(), b"workspace/", b"workspace/11", b""] {
        assert!(one.unwrap(purpose, &wrapped).await.is_err(), "unwrapped for {purpose:?}");
    }
    assert!(other.unwrap(b"workspace/1", &wrapped).await.is_err(), "unwrapped by another root key");
    for bit in (0..wrapped.bytes().len() * 8).step_by(step) {
        let mut bytes = wrapped.bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(one.unwrap(b"workspace/1", &sealed(bytes)).await.is_err(), "unwrapped with bit {bit} flipped");
    }
    for length in (0..wrapped.bytes().len()).step_by(step) {
        assert!(one.unwrap(b"workspace/1", &sealed(&wrapped.bytes()[..length])).await.is_err(), "cut at {length}");
    }
    let longer = sealed([wrapped.bytes().as_ref(), &[0]].concat());
    assert!(one.unwrap(b"workspace/1", &longer).await.is_err(), "unwrapped with a byte more");

    for length in [0, 1, 16, 64, 5000] {
        let key = Secret::new(vec![7; length]);
        let wrapped = one.wrap(b"", &key).await.unwrap();
        assert_eq!(one.unwrap(b"", &wrapped).await.unwrap().expose(), key.expose());
    }
    let described = one.describe();
    assert!(!described.is_empty() && !described.contains('\n'), "{described}");

    if persistence == Persistence::Kept {
        drop(one);
        let again = open(1).await;
        assert_eq!(again.unwrap(b"workspace/1", &wrapped).await.unwrap().expose(), data_key.expose());
    }
}
