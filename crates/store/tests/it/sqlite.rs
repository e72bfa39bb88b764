//! What the SQLite driver owes beyond the contract: permissions, formats, locks, damage, reading beside a server.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use futures::StreamExt;
use kernel::{Batch, Change, MetaStore, StoreError};
use rusqlite::Connection;
use store::meta::Sqlite;
use testkit::{ToyChain, sealed};

fn open(dir: &Path) -> Result<Sqlite, StoreError> {
    Sqlite::open(dir, Arc::new(ToyChain))
}

fn batch(key: &str) -> Batch {
    let change = Change::Put { key: Bytes::copy_from_slice(key.as_bytes()), version: 1, value: sealed("v") };
    Batch { changes: vec![change], records: vec![sealed(key)] }
}

/// Changes the database behind the driver's back.
fn tamper(dir: &Path, sql: &str) {
    Connection::open(dir.join("meta.sqlite")).unwrap().execute_batch(sql).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn files_are_ours_alone() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("deep/data");
    let store = open(&dir).unwrap();
    store.commit(batch("k")).await.unwrap();
    assert_eq!((mode(&dir), mode(dir.parent().unwrap())), (0o700, 0o700));
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(store);
    // A restored backup that is open to others is closed to them.
    fs::set_permissions(dir.join("meta.sqlite"), fs::Permissions::from_mode(0o644)).unwrap();
    drop(open(&dir).unwrap());
    assert_eq!(mode(&dir.join("meta.sqlite")), 0o600);
}

#[test]
fn a_directory_that_others_can_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let Err(StoreError::Failed(why)) = open(dir.path()) else { panic!("opened") };
    assert!(why.to_string().contains("chmod 700"), "{why}");
}

#[test]
fn a_planted_link_is_refused() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(elsewhere.path().join("target"), dir.path().join("meta.sqlite")).unwrap();
    assert!(open(dir.path()).is_err());
    assert!(elsewhere.path().read_dir().unwrap().next().is_none());
}

#[test]
fn a_second_server_is_told_who_holds_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let Err(StoreError::Locked(why)) = open(dir.path()) else { panic!("opened twice") };
    assert!(why.contains(&format!("process id {}", std::process::id())), "{why}");
    drop(first);
    open(dir.path()).unwrap();
}

#[tokio::test]
async fn data_of_a_newer_release_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap().commit(batch("k")).await.unwrap();
    tamper(dir.path(), "UPDATE format SET version = 2; PRAGMA wal_checkpoint(TRUNCATE)");
    let before = fs::read(dir.path().join("meta.sqlite")).unwrap();
    for refused in [open(dir.path()), Sqlite::open_read_only(dir.path())] {
        let Err(StoreError::Newer(why)) = refused else { panic!("opened") };
        assert!(why.contains("format 2") && why.contains("restore"), "{why}");
    }
    assert_eq!(fs::read(dir.path().join("meta.sqlite")).unwrap(), before);
}

#[test]
fn what_is_not_our_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    tamper(dir.path(), "CREATE TABLE theirs (a)");
    assert!(matches!(open(dir.path()), Err(StoreError::Failed(_))));
    fs::write(dir.path().join("meta.sqlite"), "not a database at all, but a text of some length").unwrap();
    assert!(matches!(open(dir.path()), Err(StoreError::Failed(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_log_is_noticed() {
    let damages = [
        "DELETE FROM log WHERE seq = 3",
        "UPDATE log SET record = x'00' WHERE seq = 5",
        "UPDATE log SET record = x'00' WHERE seq = 2",
        "UPDATE log SET link = zeroblob(32) WHERE seq = 5",
    ];
    for damage in damages {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).unwrap();
        for key in ["a", "b", "c", "d", "e"] {
            store.commit(batch(key)).await.unwrap();
        }
        store.check().await.unwrap();
        drop(store);
        tamper(dir.path(), damage);
        let store = open(dir.path()).unwrap();
        assert!(matches!(store.check().await, Err(StoreError::Failed(_))), "{damage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for key in 0..500 {
        store.commit(batch(&format!("{key:0100}"))).await.unwrap();
    }
    drop(store);
    let file = dir.path().join("meta.sqlite");
    let mut bytes = fs::read(&file).unwrap();
    let half = bytes.len() / 2 / 4096 * 4096;
    bytes[half..half + 64].fill(0xff);
    fs::write(&file, bytes).unwrap();
    let store = open(dir.path()).unwrap();
    assert!(matches!(store.check().await, Err(StoreError::Failed(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_works_beside_a_server_and_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = open(dir.path()).unwrap();
    server.commit(batch("a")).await.unwrap();
    let reader = Sqlite::open_read_only(dir.path()).unwrap();
    server.commit(batch("b")).await.unwrap();
    assert!(ToyChain::holds(&reader.log(1, 10).await.unwrap()));
    assert_eq!(reader.log_head().await.unwrap(), server.log_head().await.unwrap());
    assert_eq!(reader.scan(b"", None, 10).await.unwrap().len(), 2);
    assert!(reader.get(b"b").await.unwrap().is_some());
    assert!(matches!(reader.commit(batch("c")).await, Err(StoreError::Failed(_))));
    reader.check().await.unwrap();

    // What a killed server leaves: a write-ahead log that nobody moved into the database.
    let left = tempfile::tempdir().unwrap();
    for name in ["meta.sqlite", "meta.sqlite-wal"] {
        fs::copy(dir.path().join(name), left.path().join(name)).unwrap();
    }
    let after = Sqlite::open_read_only(left.path()).unwrap();
    assert_eq!(after.log_head().await.unwrap(), server.log_head().await.unwrap());
    drop(after);
    assert_eq!(open(left.path()).unwrap().log_head().await.unwrap(), server.log_head().await.unwrap());

    drop(server);
    assert_eq!(reader.log_head().await.unwrap().0, 2);
    assert_eq!(Sqlite::open_read_only(dir.path()).unwrap().log_head().await.unwrap().0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_works_on_a_medium_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("a b?c%41");
    open(&place).unwrap().commit(batch("a")).await.unwrap();
    for name in ["meta.sqlite-wal", "meta.sqlite-shm"] {
        let _ = fs::remove_file(place.join(name));
    }
    fs::set_permissions(&place, fs::Permissions::from_mode(0o500)).unwrap();
    let reader = Sqlite::open_read_only(&place).unwrap();
    assert_eq!(reader.log_head().await.unwrap().0, 1);
    assert!(reader.get(b"a").await.unwrap().is_some());
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_directory_without_data_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Sqlite::open_read_only(dir.path()).is_err());
    assert!(Sqlite::open_read_only(&dir.path().join("missing")).is_err());
    assert!(dir.path().read_dir().unwrap().next().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_of_one_moment_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("one");
    let store = Arc::new(open(&place).unwrap());
    let write = async |number: u64| {
        let change = Change::Put { key: Bytes::from(number.to_be_bytes().to_vec()), version: 1, value: sealed(b"v") };
        store.commit(Batch { changes: vec![change], records: vec![sealed(b"r")] }).await.unwrap();
    };
    for number in 0..200 {
        write(number).await;
    }
    // While somebody writes on.
    let busy = async {
        for number in 200..600 {
            write(number).await;
        }
    };
    let copying = async {
        let mut copies = Vec::new();
        for number in 0..5 {
            let mut copy = store.copy().await.unwrap();
            let again = dir.path().join(format!("copy-{number}"));
            let mut file = Sqlite::place(&again).unwrap();
            while let Some(piece) = copy.pieces.next().await {
                std::io::Write::write_all(&mut file, piece.unwrap().bytes()).unwrap();
            }
            assert_eq!(file.metadata().unwrap().len(), copy.length);
            copies.push((again, copy.head));
        }
        copies
    };
    let ((), copies) = futures::join!(busy, copying);
    for (again, head) in copies {
        assert!(Sqlite::place(&again).is_err(), "never over one that is there");
        let copied = open(&again).unwrap();
        copied.check().await.unwrap();
        assert_eq!(copied.log_head().await.unwrap(), head);
        // A change and its record are one commit, so there are as many of each.
        let values = u64::try_from(copied.scan(b"", None, 9999).await.unwrap().len()).unwrap();
        assert!(values == head.0 && values >= 200, "{values} values, {} records", head.0);
    }
    let left: Vec<_> = place.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("copy-")), "{left:?}");
    drop(store);
    std::fs::write(place.join("copy-1-0"), "of one that was killed").unwrap();
    open(&place).unwrap();
    assert!(!place.join("copy-1-0").exists());
}
