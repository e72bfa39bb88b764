//! What the disk's driver does when the disk fails.

use std::{fs::File, io, path::Path};

use futures::{StreamExt, stream};
use kernel::{BlobStore, SealedStream, StoreError};
use testkit::{blob_id, sealed};

use super::{
    LocalDisk,
    shelf::{Calls, Shelf, write_all},
};

fn open(dir: &Path, calls: Calls) -> LocalDisk {
    LocalDisk::on(Shelf::open_with(dir, calls).unwrap())
}

fn pieces(count: usize) -> SealedStream {
    stream::iter((0..count).map(|_| Ok(sealed([7; 65_536])))).boxed()
}

fn is_swept(dir: &Path) -> bool {
    dir.join("objects/incoming").read_dir().unwrap().next().is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_the_blob_and_keeps_no_part_of_it() {
    fn write(file: &mut File, pieces: Vec<io::IoSlice<'_>>) -> io::Result<()> {
        if file.metadata()?.len() > 2 << 20 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        write_all(file, pieces)
    }
    fn sync(file: &File) -> io::Result<()> {
        // As a network file system reports it: late.
        if file.metadata()?.len() == 65_536 { Err(io::ErrorKind::QuotaExceeded.into()) } else { file.sync_all() }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Calls { write, sync });
    for count in [100, 1] {
        assert!(matches!(store.put(blob_id(1), pieces(count)).await, Err(StoreError::Full(_))));
        assert!(is_swept(dir.path()));
        assert!(matches!(store.head(blob_id(1)).await, Err(StoreError::Missing)));
    }
    // A full disk is not a broken one.
    store.put(blob_id(1), pieces(2)).await.unwrap();
    assert_eq!(store.head(blob_id(1)).await.unwrap(), 131_072);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_nothing_is_acknowledged_until_reopened() {
    fn fails_for_files(file: &File) -> io::Result<()> {
        if file.metadata()?.is_file() { Err(io::Error::from_raw_os_error(5)) } else { file.sync_all() }
    }
    fn fails_for_directories(file: &File) -> io::Result<()> {
        if file.metadata()?.is_dir() { Err(io::Error::from_raw_os_error(5)) } else { file.sync_all() }
    }
    for sync in [fails_for_files, fails_for_directories] {
        let dir = tempfile::tempdir().unwrap();
        let healthy = LocalDisk::open(dir.path()).unwrap();
        healthy.put(blob_id(1), pieces(1)).await.unwrap();
        drop(healthy);
        let store = open(dir.path(), Calls { sync, ..Calls::default() });
        for _ in 0..2 {
            assert!(matches!(store.put(blob_id(2), pieces(1)).await, Err(StoreError::Broken(_))));
        }
        assert!(matches!(store.delete(blob_id(1)).await, Err(StoreError::Broken(_))));
        assert_eq!(store.list(None, 10).await.unwrap(), [blob_id(1)]);
        assert_eq!(store.get(blob_id(1), 0, 10).await.unwrap().count().await, 1);
        assert!(is_swept(dir.path()));
        drop(store);
        let healthy = LocalDisk::open(dir.path()).unwrap();
        healthy.put(blob_id(2), pieces(1)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Calls::default());
    let (stalled, is_stalled) = tokio::sync::oneshot::channel();
    let stall = stream::once(async move {
        stalled.send(()).unwrap();
        std::future::pending().await
    });
    tokio::select! {
        end = store.put(blob_id(1), pieces(100).chain(stall).boxed()) => panic!("{end:?}"),
        begun = is_stalled => begun.unwrap(),
    }
    // The trip to the disk that was under way still ends.
    while !is_swept(dir.path()) {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.list(None, 10).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_right_after_a_release_finds_whole_what_it_lists() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), Calls::default());
    let first = disk.hold().await.unwrap();
    for number in 1..=200 {
        disk.put(blob_id(number), pieces(1)).await.unwrap();
        disk.delete(blob_id(number)).await.unwrap();
    }
    drop(first);
    let second = disk.hold().await.unwrap();
    for id in disk.list(None, 200).await.unwrap() {
        assert_eq!(disk.head(id).await.unwrap(), 65_536);
    }
    drop(second);
    while !disk.list(None, 9).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}
