//! What the disk's driver owes beyond the contract: permissions, sweeping, planted files, locks.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use futures::{StreamExt, stream};
use kernel::{BlobStore, SealedStream, StoreError};
use store::blob::LocalDisk;
use testkit::{blob_id, sealed};

fn piece(bytes: &'static str) -> SealedStream {
    stream::iter([Ok(sealed(bytes))]).boxed()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn files_are_ours_alone() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    LocalDisk::open(&dir).unwrap().put(blob_id(1), piece("x")).await.unwrap();
    let file = dir.join(format!("objects/00/{}", blob_id(1)));
    assert_eq!(fs::read(&file).unwrap(), b"x");
    assert_eq!(mode(&file), 0o600);
    for dir in [&dir, &dir.join("objects"), &dir.join("objects/00"), &dir.join("objects/incoming")] {
        assert_eq!(mode(dir), 0o700, "{}", dir.display());
    }
}

#[tokio::test]
async fn what_a_power_cut_left_is_swept_at_open() {
    let dir = tempfile::tempdir().unwrap();
    LocalDisk::open(dir.path()).unwrap().put(blob_id(1), piece("x")).await.unwrap();
    let torn = dir.path().join("objects/incoming/torn");
    fs::write(&torn, "half a bl").unwrap();
    // A reader beside the server leaves the server's unfinished files alone.
    let reader = LocalDisk::open_read_only(dir.path()).unwrap();
    assert!(torn.exists());
    assert!(matches!(reader.put(blob_id(2), piece("x")).await, Err(StoreError::Failed(_))));
    assert!(matches!(reader.delete(blob_id(1)).await, Err(StoreError::Failed(_))));
    let store = LocalDisk::open(dir.path()).unwrap();
    assert!(!torn.exists());
    for store in [store, reader] {
        assert_eq!(store.list(None, 10).await.unwrap(), [blob_id(1)]);
        assert_eq!(store.head(blob_id(1)).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn planted_links_lead_nowhere() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let objects = dir.path().join("objects");
    let store = LocalDisk::open(dir.path()).unwrap();
    store.put(blob_id(1), piece("ours")).await.unwrap();
    let secret = outside.path().join(blob_id(2).to_string());
    fs::write(&secret, "theirs").unwrap();

    // A file that is a link.
    symlink(&secret, objects.join(format!("00/{}", blob_id(2)))).unwrap();
    assert!(matches!(store.get(blob_id(2), 0, 10).await.err(), Some(StoreError::Failed(_))));
    assert!(matches!(store.head(blob_id(2)).await, Err(StoreError::Failed(_))));
    assert!(matches!(store.put(blob_id(2), piece("x")).await, Err(StoreError::Failed(_))));
    store.delete(blob_id(2)).await.unwrap();
    assert_eq!(fs::read(&secret).unwrap(), b"theirs");

    // A directory that is a link.
    let high = blob_id(u128::MAX);
    symlink(outside.path(), objects.join("ff")).unwrap();
    assert!(matches!(store.put(high, piece("x")).await, Err(StoreError::Failed(_))));
    assert!(matches!(store.get(high, 0, 10).await.err(), Some(StoreError::Failed(_))));
    assert!(matches!(store.delete(high).await, Err(StoreError::Failed(_))));
    assert_eq!(outside.path().read_dir().unwrap().count(), 1);

    // A pipe, which would make a careless reader wait for ever.
    let pipe = objects.join(format!("00/{}", blob_id(3)));
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(matches!(store.get(blob_id(3), 0, 10).await.err(), Some(StoreError::Failed(_))));
}

#[test]
fn the_whole_store_may_not_be_a_link() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(outside.path(), dir.path().join("objects")).unwrap();
    assert!(LocalDisk::open(dir.path()).is_err());
    assert_eq!(outside.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_second_server_is_told_who_holds_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let first = LocalDisk::open(dir.path()).unwrap();
    let Err(StoreError::Locked(why)) = LocalDisk::open(dir.path()) else { panic!("opened twice") };
    assert!(why.contains(&format!("process id {}", std::process::id())), "{why}");
    drop(first);
    LocalDisk::open(dir.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_blobs_are_held_none_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let disk = LocalDisk::open(dir.path()).unwrap();
    let put = async |number| {
        disk.put(blob_id(number), stream::iter([Ok(sealed(b"content"))]).boxed()).await.unwrap();
    };
    for number in [1, 2, 3] {
        put(number).await;
    }
    let (first, second) = (disk.hold().await.unwrap(), disk.hold().await.unwrap());
    disk.delete(blob_id(1)).await.unwrap();
    drop(first);
    disk.delete(blob_id(2)).await.unwrap();
    assert_eq!(disk.list(None, 9).await.unwrap().len(), 3, "somebody holds them still");
    drop(second);
    // They go on a thread of their own.
    while disk.list(None, 9).await.unwrap() != [blob_id(3)] {
        tokio::task::yield_now().await;
    }
    disk.delete(blob_id(3)).await.unwrap();
    assert_eq!(disk.list(None, 9).await.unwrap(), []);
}
