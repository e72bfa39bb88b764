//! Each driver against the contract of its port, and what a driver owes beyond it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bao;
mod key_file;
mod local_disk;
mod passphrase;
mod pkcs11;
mod sqlite;
mod transit;

use std::sync::Arc;

use kernel::Secret;
use store::{blob, key, meta};
use testkit::{
    ToyChain, ToySealing,
    conformance::{self, Persistence},
};

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let open =
        async |place: usize| meta::Sqlite::open(&dir.path().join(place.to_string()), Arc::new(ToyChain)).unwrap();
    conformance::meta(Persistence::Kept, open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_conforms_for_metadata() {
    conformance::meta(Persistence::Lost, async |_| meta::Memory::new(Arc::new(ToyChain))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_disk_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let open = async |place: usize| blob::LocalDisk::open(&dir.path().join(place.to_string())).unwrap();
    conformance::blob(Persistence::Kept, open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_conforms_for_blobs() {
    conformance::blob(Persistence::Lost, async |_| blob::Memory::new()).await;
}

#[tokio::test]
async fn key_file_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let open = async |place: usize| {
        let path = dir.path().join(format!("{place}.key"));
        let sealing = Arc::new(ToySealing);
        if path.exists() {
            return key::KeyFile::open(&path, sealing).unwrap();
        }
        let root = Secret::new(vec![u8::try_from(place).unwrap(); 32]);
        key::KeyFile::create(&path, &root, sealing).unwrap()
    };
    conformance::key(Persistence::Kept, open).await;
    let root = Secret::new(vec![7; 32]);
    let rotating = tempfile::tempdir().unwrap();
    let path = rotating.path().join("root.key");
    drop(key::KeyFile::create(&path, &root, Arc::new(ToySealing)).unwrap());
    conformance::rotating_key(async |_| key::KeyFile::open(&path, Arc::new(ToySealing)).unwrap()).await;
}

#[tokio::test]
async fn the_configured_drivers_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let local = store::Config {
        meta: store::MetaConfig::Sqlite { dir: path.clone() },
        blob: store::BlobConfig::LocalDisk { dir: path.clone() },
    };
    let memory = store::Config { meta: store::MetaConfig::Memory, blob: store::BlobConfig::Memory };
    for config in [local, memory] {
        let stores = store::open(&config, Arc::new(ToyChain)).unwrap();
        assert_eq!(stores.meta.log_head().await.unwrap().0, 0);
        assert_eq!(stores.blob.list(None, 1).await.unwrap(), []);
    }
    assert!(path.join("meta.sqlite").exists() && path.join("objects").exists());
}
