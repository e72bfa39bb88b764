//! What the database does when its medium fails.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use futures::future::join_all;
use kernel::{Batch, Change, MetaStore, StoreError};
use rusqlite::{Connection, ffi};
use testkit::{ToyChain, sealed};

use super::{Sqlite, Tuning, writer};

fn put(key: &str, version: u64, length: usize) -> Batch {
    let change = Change::Put { key: Bytes::copy_from_slice(key.as_bytes()), version, value: sealed(vec![7; length]) };
    Batch { changes: vec![change], records: vec![sealed(key)] }
}

fn open(dir: &tempfile::TempDir, tuning: Tuning) -> Sqlite {
    Sqlite::open_tuned(dir.path(), Arc::new(ToyChain), tuning).unwrap()
}

async fn assert_log_is_whole(store: &Sqlite) -> u64 {
    let rows = store.log(1, 100_000).await.unwrap();
    assert!(ToyChain::holds(&rows));
    store.check().await.unwrap();
    u64::try_from(rows.len()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_reads_working_and_writes_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, Tuning { max_pages: Some(200), ..Tuning::default() });
    let mut written = 0;
    let full = loop {
        match store.commit(put(&format!("{written:04}"), 1, 20_000)).await {
            Ok(seq) => written = seq,
            Err(fault) => break fault,
        }
        assert!(written < 100);
    };
    assert!(matches!(full, StoreError::Full(_)), "{full:?}");
    assert!(matches!(store.commit(put("more", 1, 20_000)).await, Err(StoreError::Full(_))));
    assert!(store.get(b"0000").await.unwrap().is_some());
    assert_eq!(store.get(b"more").await.unwrap(), None);
    assert_eq!(assert_log_is_whole(&store).await, written);

    // Callers who commit together with one whose batch does not fit are not harmed by it.
    let mut batches: Vec<Batch> = (0..8).map(|number| put(&format!("small/{number}"), 1, 1)).collect();
    batches.insert(4, put("large", 1, 1 << 20));
    let ends = join_all(batches.into_iter().map(|batch| store.commit(batch))).await;
    for (at, end) in ends.iter().enumerate() {
        assert_eq!(end.is_ok(), at != 4, "{at}: {end:?}");
    }
    written += 8;

    let room = Batch {
        changes: (0..5).map(|n| Change::Delete { key: Bytes::from(format!("{n:04}")), version: 1 }).collect(),
        records: Vec::new(),
    };
    store.commit(room).await.unwrap();
    assert_eq!(store.commit(put("more", 1, 20_000)).await.unwrap(), written + 1);
    assert_eq!(assert_log_is_whole(&store).await, written + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_nothing_is_acknowledged_until_reopened() {
    static FAILS: AtomicBool = AtomicBool::new(false);
    fn commit(connection: &Connection) -> rusqlite::Result<()> {
        if FAILS.swap(false, Ordering::SeqCst) {
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None));
        }
        writer::commit(connection)
    }
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, Tuning { commit, ..Tuning::default() });
    store.commit(put("kept", 1, 10)).await.unwrap();
    FAILS.store(true, Ordering::SeqCst);
    assert!(matches!(store.commit(put("lost", 1, 10)).await, Err(StoreError::Broken(_))));
    // The medium would take this one; it is refused all the same.
    for _ in 0..3 {
        assert!(matches!(store.commit(put("later", 1, 10)).await, Err(StoreError::Broken(_))));
    }
    assert!(store.get(b"kept").await.unwrap().is_some());
    assert_eq!(store.get(b"lost").await.unwrap(), None);
    drop(store);

    let store = open(&dir, Tuning::default());
    assert!(store.get(b"kept").await.unwrap().is_some());
    assert_eq!(store.commit(put("later", 1, 10)).await.unwrap(), 2);
    assert_eq!(assert_log_is_whole(&store).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_transaction_is_undone_and_the_next_one_succeeds() {
    static FAILS: AtomicBool = AtomicBool::new(true);
    fn commit(connection: &Connection) -> rusqlite::Result<()> {
        if FAILS.swap(false, Ordering::SeqCst) {
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOMEM), None));
        }
        writer::commit(connection)
    }
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, Tuning { commit, ..Tuning::default() });
    assert!(matches!(store.commit(put("k", 1, 10)).await, Err(StoreError::Failed(_))));
    assert_eq!(store.get(b"k").await.unwrap(), None);
    assert_eq!(store.commit(put("k", 1, 10)).await.unwrap(), 1);
    assert_eq!(assert_log_is_whole(&store).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_write_ahead_log_stays_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, Tuning::default());
    for version in 1..=60 {
        store.commit(put("k", version, 1 << 20)).await.unwrap();
    }
    let wal = std::fs::metadata(dir.path().join("meta.sqlite-wal")).unwrap().len();
    assert!(wal < 32 << 20, "{wal} bytes");
    drop(store);
    let wal = std::fs::metadata(dir.path().join("meta.sqlite-wal")).map_or(0, |about| about.len());
    assert_eq!(wal, 0, "a server that ends well leaves everything in the database");
}
