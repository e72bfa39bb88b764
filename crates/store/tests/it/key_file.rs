//! What the key file owes beyond the contract: it is refused when others could have read it, and never overwritten.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::Arc,
};

use kernel::{KeyProvider, Secret, StoreError};
use store::key::KeyFile;
use testkit::ToySealing;

fn create(path: &Path) -> Result<KeyFile, StoreError> {
    KeyFile::create(path, &Secret::new(vec![7; 32]), Arc::new(ToySealing))
}

fn open(path: &Path) -> Result<KeyFile, StoreError> {
    KeyFile::open(path, Arc::new(ToySealing))
}

fn refusal(end: Result<KeyFile, StoreError>) -> String {
    match end {
        Err(StoreError::Key(why)) => why,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("accepted"),
    }
}

#[test]
fn the_file_is_text_for_us_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    create(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, "bartizan-root-key-v1\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(dir.path().read_dir().unwrap().count(), 1, "a draft was left");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    open(&path).unwrap();
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    create(&path).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o601, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let why = refusal(open(&path));
        assert!(why.contains(&format!("chmod 600 {}", path.display())), "{why}");
    }
}

#[test]
fn a_key_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    create(&path).unwrap();
    let before = fs::read(&path).unwrap();
    let again = KeyFile::create(&path, &Secret::new(vec![8; 32]), Arc::new(ToySealing));
    assert!(refusal(again).contains("is not overwritten"));
    assert_eq!(fs::read(&path).unwrap(), before);
    let link = dir.path().join("link.key");
    symlink(dir.path().join("nowhere"), &link).unwrap();
    assert!(refusal(create(&link)).contains("is not overwritten"));
    // What a power cut left of an earlier attempt is no obstacle.
    fs::write(dir.path().join("other.key.new"), "bartizan-ro").unwrap();
    create(&dir.path().join("other.key")).unwrap();
    assert!(!dir.path().join("other.key.new").exists());
}

#[test]
fn what_is_not_a_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    create(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let others = [
        String::new(),
        text.replace("v1", "v2"),
        text.replace("=\n", "\n"),
        text.trim_end().to_owned(),
        format!("{text}\n"),
        format!("{text}x"),
        text.replace('\n', "\r\n"),
        String::from("bartizan-root-key-v1\nBwcHBwc=\n"),
        text.repeat(1000),
    ];
    for other in others {
        fs::write(&path, &other).unwrap();
        assert!(refusal(open(&path)).contains("not a key file"), "{other:?}");
    }
    assert!(refusal(open(dir.path())).contains("not a regular file"));
    assert!(refusal(open(&dir.path().join("missing"))).contains("is missing; put it back"));
    assert!(refusal(create(&dir.path().join("no/such/dir.key"))).contains("no directory"));
    let short = KeyFile::create(&dir.path().join("short.key"), &Secret::new(vec![7; 31]), Arc::new(ToySealing));
    assert!(refusal(short).contains("32 bytes"));
}

#[test]
fn the_description_names_the_file_and_not_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    let described = kernel::KeyProvider::describe(&create(&path).unwrap());
    assert!(described.contains("root.key") && !described.contains("BwcH"), "{described}");
}

#[tokio::test]
async fn a_rotation_keeps_the_old_key_under_another_name_and_never_over_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    let before = { create(&path).unwrap() };
    let old = fs::read(&path).unwrap();
    before.rotate().await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), old, "the file has its key until everything is under the next one");
    let next = fs::read(dir.path().join("root.key.next")).unwrap();
    before.rotate().await.unwrap();
    assert_eq!(fs::read(dir.path().join("root.key.next")).unwrap(), next, "what was not settled is tried again");
    before.settle().await.unwrap();
    assert_ne!(fs::read(&path).unwrap(), old);
    assert_eq!(fs::read(dir.path().join("root.key.old")).unwrap(), old);
    assert!(!dir.path().join("root.key.next").exists());
    for name in ["root.key", "root.key.old"] {
        assert_eq!(fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let again = before.rotate().await;
    assert!(matches!(&again, Err(StoreError::Key(why)) if why.contains("root.key.old")), "{again:?}");
    assert_eq!(fs::read(dir.path().join("root.key.old")).unwrap(), old);
}

#[tokio::test]
async fn a_settling_that_was_cut_off_is_finished_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    let file = create(&path).unwrap();
    file.rotate().await.unwrap();
    let wrapped = file.wrap(b"p", &Secret::new(vec![1; 32])).await.unwrap();
    // The old key has its second name; the new one has not taken the first.
    fs::hard_link(&path, dir.path().join("root.key.old")).unwrap();
    drop(file);
    let again = open(&path).unwrap();
    again.unwrap(b"p", &wrapped).await.unwrap();
    assert!(dir.path().join("root.key.next").exists(), "looking moves no file");
    // As a start does.
    again.settle().await.unwrap();
    assert!(!dir.path().join("root.key.next").exists() && dir.path().join("root.key.old").exists());
    open(&path).unwrap().unwrap(b"p", &wrapped).await.unwrap();
}
