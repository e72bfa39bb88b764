//! The passphrase against the contract, and where it may come from.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use kernel::{KeyProvider, Sealed, Secret, StoreError, StoreResult};
use store::key::{Passphrase, PassphraseSource};
use testkit::{ToySealing, conformance, conformance::Persistence};

fn provider(words: &str) -> Passphrase {
    Passphrase::new(Secret::new(words.to_owned()), "a test", Arc::new(ToySealing))
}

#[tokio::test]
async fn passphrase_conforms() {
    let open = async |place: usize| provider(&format!("correct horse battery staple {place}"));
    conformance::key(Persistence::Kept, open).await;
    assert!(!provider("correct horse battery").describe().contains("horse"));
}

#[tokio::test]
async fn a_short_one_wraps_nothing_and_a_greedy_blob_is_refused_before_it_costs() {
    assert!(matches!(provider("hunter2").wrap(b"p", &Secret::new(vec![1])).await, Err(StoreError::Key(_))));
    let one = provider("correct horse battery");
    let wrapped = one.wrap(b"p", &Secret::new(vec![1; 32])).await.unwrap();
    for (at, what) in [(1, "memory"), (5, "passes")] {
        let mut greedy = wrapped.bytes().to_vec();
        greedy[at] = 0x7f;
        let end = one.unwrap(b"p", &Sealed::read_back(greedy.into())).await;
        assert!(matches!(&end, Err(StoreError::Key(why)) if why.contains("asks for more")), "{what}: {end:?}");
    }
}

#[tokio::test]
async fn what_another_kind_wrapped_is_named() {
    let of_a_file = Sealed::read_back(vec![1; 80].into());
    let end = provider("correct horse battery").unwrap(b"p", &of_a_file).await;
    assert!(matches!(&end, Err(StoreError::Key(why)) if why.contains("a key file")), "{end:?}");
}

fn read(source: PassphraseSource, credentials: Option<&Path>) -> StoreResult<String> {
    source.read(credentials, false).map(|words| words.expose().clone())
}

#[test]
fn it_is_read_from_a_file_a_descriptor_or_a_credential() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root");
    fs::write(&path, "correct horse battery\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let open = read(PassphraseSource::File(path.clone()), None);
    assert!(matches!(&open, Err(StoreError::Key(why)) if why.contains("chmod 600")), "{open:?}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(read(PassphraseSource::File(path.clone()), None).unwrap(), "correct horse battery");

    let file = fs::File::open(&path).unwrap();
    let number = u32::try_from(std::os::fd::AsRawFd::as_raw_fd(&file)).unwrap();
    assert_eq!(read(PassphraseSource::Descriptor(number), None).unwrap(), "correct horse battery");
    assert!(read(PassphraseSource::Descriptor(999_999), None).is_err());

    let credential = |name: &str| PassphraseSource::Credential(name.to_owned());
    assert_eq!(read(credential("root"), Some(dir.path())).unwrap(), "correct horse battery");
    assert!(read(credential("root"), None).is_err());
    for name in ["../root", "", "..", "missing"] {
        assert!(read(credential(name), Some(dir.path())).is_err(), "{name:?}");
    }
}
