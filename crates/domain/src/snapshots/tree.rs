//! Paths, trees and their ids (`docs/formats/snapshot.md`).

use std::collections::{BTreeMap, btree_map::Entry};

use kernel::{Error, Result};
use seal::{Sha256, hex};
use serde::{Deserialize, Serialize};

/// Longest path, in bytes.
const LONGEST_PATH: usize = 1024;
/// Longest name of a file or directory, in bytes: what file systems take.
const LONGEST_NAME: usize = 255;
/// What every node's hash begins with.
const DOMAIN: &[u8] = b"bartizan tree v1\0";

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotFile {
    /// Relative path with `/`.
    pub path: String,
    /// Length in bytes.
    pub length: u64,
    /// SHA-256 of the content, lower-case hex.
    pub sha256: String,
    /// Whether it is executable.
    pub executable: bool,
}

/// A content hash in lower-case hex; none for anything else.
pub(super) fn digest(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (to, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        let [high, low] = pair else { return None };
        *to = nibble(*high)?.checked_mul(16)?.checked_add(nibble(*low)?)?;
    }
    Some(out)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit.checked_sub(b'a')?.checked_add(10),
        _ => None,
    }
}

/// Refuses a path that is not plain, relative and the same everywhere.
fn check_path(path: &str) -> Result<()> {
    let is_plain = |name: &str| !name.is_empty() && name != "." && name != ".." && name.len() <= LONGEST_NAME;
    let is_hostile = |c: char| c == '\\' || c.is_control();
    if path.len() <= LONGEST_PATH && !path.chars().any(is_hostile) && path.split('/').all(is_plain) {
        return Ok(());
    }
    let shown: String = path.chars().take(100).collect();
    let why = format!(
        "the path `{}` must be relative, with `/` between names, without `.`, `..`, empty names, backslashes and control \
         characters, names of at most {LONGEST_NAME} and paths of at most {LONGEST_PATH} bytes",
        shown.escape_debug()
    );
    Err(Error::invalid("properties.files", why))
}

/// A directory tree.
#[derive(Default)]
pub(super) struct Tree<'a> {
    entries: BTreeMap<&'a str, Node<'a>>,
}

enum Node<'a> {
    File { length: u64, sha256: [u8; 32], executable: bool },
    Directory(Tree<'a>),
}

impl<'a> Tree<'a> {
    /// The tree of these files.
    ///
    /// # Errors
    /// `Invalid` for a bad path or hash, a path given twice, or a file that is also a directory.
    pub(super) fn of(files: &'a [SnapshotFile]) -> Result<Self> {
        let mut tree = Self::default();
        for file in files {
            check_path(&file.path)?;
            let malformed = || {
                Error::invalid(
                    "properties.files",
                    format_args!("the SHA-256 of `{}` must be 64 lower-case hex digits", file.path),
                )
            };
            let sha256 = digest(&file.sha256).ok_or_else(malformed)?;
            tree.insert(&file.path, Node::File { length: file.length, sha256, executable: file.executable })?;
        }
        Ok(tree)
    }

    fn insert(&mut self, path: &'a str, file: Node<'a>) -> Result<()> {
        let (directories, name) = path.rsplit_once('/').map_or((None, path), |(before, name)| (Some(before), name));
        let mut here = self;
        for directory in directories.into_iter().flat_map(|before| before.split('/')) {
            let node = here.entries.entry(directory).or_insert_with(|| Node::Directory(Tree::default()));
            let Node::Directory(below) = node else { return Err(twice(path, directory)) };
            here = below;
        }
        match here.entries.entry(name) {
            Entry::Vacant(place) => {
                place.insert(file);
                Ok(())
            }
            Entry::Occupied(_) => Err(twice(path, name)),
        }
    }

    /// The id of the tree: the hash of its root, lower-case hex.
    pub(super) fn id(&self) -> String {
        hex(&self.hash())
    }

    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::default();
        hash.update(DOMAIN);
        hash.update(&count(self.entries.len()));
        for (name, node) in &self.entries {
            let kind = match node {
                Node::File { executable: false, .. } => 1,
                Node::File { executable: true, .. } => 2,
                Node::Directory(_) => 3,
            };
            hash.update(&[kind]);
            hash.update(&count(name.len()));
            hash.update(name.as_bytes());
            match node {
                Node::File { length, sha256, .. } => {
                    hash.update(&length.to_be_bytes());
                    hash.update(sha256);
                }
                Node::Directory(below) => hash.update(&below.hash()),
            }
        }
        hash.finish()
    }
}

fn count(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes()
}

fn twice(path: &str, name: &str) -> Error {
    Error::invalid(
        "properties.files",
        format_args!("`{path}`: `{name}` is named twice, or is both a file and a directory"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &str, executable: bool) -> SnapshotFile {
        let length = u64::try_from(content.len()).unwrap();
        SnapshotFile { path: path.to_owned(), length, sha256: seal::sha256_hex(content.as_bytes()), executable }
    }

    fn id(files: &[SnapshotFile]) -> String {
        Tree::of(files).unwrap().id()
    }

    #[test]
    fn a_path_must_be_plain() {
        for bad in
            ["", "/a", "a/", "a//b", ".", "..", "./a", "a/./b", "a/../b", "../a", "a\\b", "a\0b", "a\nb", "a/\u{85}b"]
        {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
        assert!(check_path(&"a".repeat(256)).is_err());
        assert!(check_path(&"a/".repeat(512)).is_err());
        assert!(check_path(&["a"; 513].join("/")).is_err());
        for good in ["a", ".hidden", "a b/ü", "...", "a/..b", "train.py", "%2e%2e"] {
            assert!(check_path(good).is_ok(), "{good:?}");
        }
        assert!(check_path(&["a"; 512].join("/")).is_ok());
    }

    #[test]
    fn a_name_is_a_file_or_a_directory_and_only_once() {
        for bad in [["a", "a"], ["a", "a/b"], ["a/b", "a"], ["x/a/b", "x/a"]] {
            assert!(Tree::of(&bad.map(|path| file(path, "", false))).is_err(), "{bad:?}");
        }
        assert!(Tree::of(&["a/b", "a/c", "A/b"].map(|path| file(path, "", false))).is_ok());
    }

    #[test]
    fn a_hash_has_one_spelling() {
        let mut one = file("a", "x", false);
        one.sha256 = one.sha256.to_uppercase();
        assert!(Tree::of(&[one]).is_err());
        assert_eq!(digest(&"0f".repeat(32)), Some([15; 32]));
        assert_eq!(digest("é"), None);
    }

    /// The vector of `docs/formats/snapshot.md`.
    #[test]
    fn the_id_is_what_the_format_says() {
        let files = [
            file("train.py", "print('hello')\n", false),
            file("run.sh", "#!/bin/sh\n", true),
            file("lib/__init__.py", "", false),
        ];
        assert_eq!(id(&files), VECTOR);
    }

    const VECTOR: &str = "5dbe29d192f55bdcfa9033205c1f1ee9a7bb50060677c41f7adac9a53aeafb39";

    #[test]
    fn the_order_of_files_does_not_count_and_everything_else_does() {
        let base = [file("a", "1", false), file("b/c", "2", false)];
        let turned = [base[1].clone(), base[0].clone()];
        assert_eq!(id(&base), id(&turned));
        let others = [
            [file("a", "2", false), base[1].clone()],
            [file("a", "1", true), base[1].clone()],
            [file("A", "1", false), base[1].clone()],
            [base[0].clone(), file("b", "2", false)],
            [base[0].clone(), file("bc", "2", false)],
        ];
        for other in others {
            assert_ne!(id(&base), id(&other), "{other:?}");
        }
    }
}
