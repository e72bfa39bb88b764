//! Layers: deterministic tar archives, streamed from sealed blobs.
//!
//! Entries are sorted by path, directories come before what they hold; times and owners are zero, modes are 755 for
//! directories and programs and 644 for the rest. Paths of more than 100 bytes use GNU's long-name entries.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use kernel::{Error, Kind, Result};
use seal::{Sha256, hex};
use tar::{EntryType, Header};

use crate::{
    gate::{Admission, BlobRef, ByteStream, Range, Shelf},
    snapshots::{SnapshotFile, open_file},
};

/// Size of a tar block; archives are multiples of it.
const BLOCK: u64 = 512;
/// Most entries of a layer.
const MOST_ENTRIES: usize = 50_000;
/// Longest path within a layer, in bytes.
const LONGEST_PATH: usize = 1500;

/// What an entry holds.
#[derive(Clone, Debug)]
enum Content {
    Directory,
    Stored(BlobRef),
    /// A file of a snapshot, by content.
    Snapshot {
        sha256: String,
        length: u64,
    },
    Inline(Bytes),
    /// Objects of whichever shelf, one after the other.
    Objects {
        shelf: Shelf,
        objects: Vec<BlobRef>,
        length: u64,
    },
}

#[derive(Clone, Debug)]
struct Entry {
    content: Content,
    is_program: bool,
}

/// The entries of an archive to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    entries: BTreeMap<String, Entry>,
}

impl Plan {
    /// Adds a stored file at a relative path of plain segments, with the directories above it.
    pub(super) fn add(&mut self, path: &str, blob: BlobRef) -> Result<()> {
        self.insert(path, Entry { content: Content::Stored(blob), is_program: false })
    }

    /// Adds a file of a snapshot.
    pub(super) fn add_snapshot_file(&mut self, path: &str, file: SnapshotFile) -> Result<()> {
        let content = Content::Snapshot { sha256: file.sha256, length: file.length };
        self.insert(path, Entry { content, is_program: file.executable })
    }

    /// Adds what lies in several objects, or on another shelf.
    pub(super) fn add_objects(&mut self, path: &str, shelf: Shelf, objects: Vec<BlobRef>, length: u64) -> Result<()> {
        self.insert(path, Entry { content: Content::Objects { shelf, objects, length }, is_program: false })
    }

    /// Adds a file whose bytes are at hand.
    pub(super) fn add_inline(&mut self, path: &str, bytes: Bytes) -> Result<()> {
        self.insert(path, Entry { content: Content::Inline(bytes), is_program: false })
    }

    fn insert(&mut self, path: &str, entry: Entry) -> Result<()> {
        let is_plain = |segment: &str| !matches!(segment, "" | "." | "..") && !segment.starts_with(".wh.");
        if path.len() > LONGEST_PATH || path.contains(['\\', '\0']) || !path.split('/').all(is_plain) {
            return Err(Error::invalid("path", format_args!("`{}` cannot be a file of an image", short(path))));
        }
        let clash =
            || Error::invalid("path", format_args!("`{}` is both a file and a directory, or named twice", short(path)));
        for (at, _) in path.match_indices('/') {
            let directory = path.get(..=at).unwrap_or_default();
            if self.entries.contains_key(directory.trim_end_matches('/')) {
                return Err(clash());
            }
            let made = Entry { content: Content::Directory, is_program: false };
            self.entries.entry(directory.to_owned()).or_insert(made);
        }
        if self.entries.contains_key(&format!("{path}/")) || self.entries.insert(path.to_owned(), entry).is_some() {
            return Err(clash());
        }
        if self.entries.len() > MOST_ENTRIES {
            return Err(Error::new(Kind::TooLarge, format!("a layer holds at most {MOST_ENTRIES} entries")));
        }
        Ok(())
    }

    /// Names the archive by what goes into it: equal recipes give equal bytes.
    pub(super) fn recipe(&self) -> String {
        let mut hash = Sha256::default();
        for (path, entry) in &self.entries {
            let (kind, digest) = match &entry.content {
                Content::Directory => ("d", String::new()),
                Content::Snapshot { sha256, .. } => (if entry.is_program { "x" } else { "f" }, sha256.clone()),
                Content::Stored(blob) => ("f", blob.sha256.clone()),
                Content::Inline(bytes) => ("f", seal::sha256_hex(bytes)),
                Content::Objects { objects, .. } => {
                    ("f", objects.iter().map(|object| object.sha256.as_str()).collect::<Vec<_>>().join(" "))
                }
            };
            // Paths hold no zero bytes, so no two lists read alike.
            hash.update(format!("{path}\0{kind}\0{digest}\0").as_bytes());
        }
        hex(&hash.finish())
    }

    /// The archive's length in bytes.
    pub(super) fn length(&self) -> u64 {
        let entries = self.entries.iter().map(|(path, entry)| {
            let name = u64::try_from(path.len()).unwrap_or(u64::MAX);
            let long = if path.len() > 100 { BLOCK.saturating_add(padded(name.saturating_add(1))) } else { 0 };
            BLOCK.saturating_add(long).saturating_add(padded(entry.length()))
        });
        entries.fold(BLOCK.saturating_mul(2), u64::saturating_add)
    }

    /// The archive.
    pub(super) fn stream<'a>(
        self,
        cx: &'a Admission<'_>,
        shelf: &'a Shelf,
    ) -> impl Stream<Item = Result<Bytes>> + Send + 'a {
        let end = stream::once(async { Ok(zeros(BLOCK.saturating_mul(2))) });
        let entries = stream::iter(self.entries).then(move |(path, entry)| piece(cx, shelf, path, entry));
        entries.try_flatten().chain(end)
    }

    /// The archive, for a reader who outlives the operation: every file is opened before it returns.
    pub(super) async fn open(self, cx: &Admission<'_>, shelf: &Shelf) -> Result<ByteStream> {
        let mut parts = Vec::with_capacity(self.entries.len());
        for (path, entry) in self.entries {
            parts.push(piece(cx, shelf, path, entry).await?);
        }
        let end = stream::once(async { Ok(zeros(BLOCK.saturating_mul(2))) });
        Ok(stream::iter(parts).flatten().chain(end).boxed())
    }
}

impl Entry {
    fn length(&self) -> u64 {
        match &self.content {
            Content::Directory => 0,
            Content::Stored(blob) => blob.length,
            Content::Snapshot { length, .. } | Content::Objects { length, .. } => *length,
            Content::Inline(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }
}

/// Header, content and padding of one entry.
async fn piece(cx: &Admission<'_>, shelf: &Shelf, path: String, entry: Entry) -> Result<ByteStream> {
    let length = entry.length();
    let head = header(&path, &entry)?;
    let content = match entry.content {
        Content::Directory => stream::empty().boxed(),
        Content::Inline(bytes) => stream::once(async move { Ok(bytes) }).boxed(),
        Content::Stored(blob) if blob.length == 0 => stream::empty().boxed(),
        Content::Stored(blob) => held_against(cx.open_blob(shelf, &blob, Range::ALL).await?, blob.sha256, path),
        Content::Snapshot { sha256, .. } => held_against(open_file(cx, shelf, &sha256).await?.0, sha256, path),
        Content::Objects { shelf, objects, .. } => cx.open_blobs(&shelf, objects).await?,
    };
    let padding = zeros(padded(length).saturating_sub(length));
    let around = |bytes: Bytes| stream::iter((!bytes.is_empty()).then_some(Ok(bytes)));
    Ok(around(head).chain(content).chain(around(padding)).boxed())
}

/// Content that must have the hash under which it was registered: rows say where bytes lie, and what was signed is the hash. What was
/// joined from parts has none.
fn held_against(content: ByteStream, sha256: String, path: String) -> ByteStream {
    if sha256.len() != 64 {
        return content;
    }
    let start = (content, Sha256::default(), sha256, path);
    let next = |(mut content, mut hash, sha256, path): (ByteStream, Sha256, String, String)| async move {
        if let Some(piece) = content.next().await {
            let piece = piece?;
            hash.update(&piece);
            return Ok(Some((piece, (content, hash, sha256, path))));
        }
        if hex(&hash.finish()) == sha256 {
            return Ok(None);
        }
        let why = format!("the bytes of `{}` are not those that were registered; register them again", short(&path));
        Err(Error::new(Kind::Conflict, why).coded("ChainBroken"))
    };
    stream::try_unfold(start, next).boxed()
}

fn header(path: &str, entry: &Entry) -> Result<Bytes> {
    let mut out = Vec::new();
    if path.len() > 100 {
        let length = u64::try_from(path.len().saturating_add(1)).unwrap_or(u64::MAX);
        out.extend_from_slice(block("././@LongLink", EntryType::GNULongName, 0o644, length)?.as_bytes());
        out.extend_from_slice(path.as_bytes());
        out.push(0);
        out.extend_from_slice(&zeros(padded(length).saturating_sub(length)));
    }
    let (kind, mode) = match (&entry.content, entry.is_program) {
        (Content::Directory, _) => (EntryType::Directory, 0o755),
        (_, true) => (EntryType::Regular, 0o755),
        (_, false) => (EntryType::Regular, 0o644),
    };
    out.extend_from_slice(block(path, kind, mode, entry.length())?.as_bytes());
    Ok(out.into())
}

fn block(path: &str, kind: EntryType, mode: u32, length: u64) -> Result<Header> {
    let mut header = Header::new_gnu();
    let gnu = header.as_gnu_mut().ok_or_else(|| Error::internal("a GNU header is a GNU header"))?;
    for (to, from) in gnu.name.iter_mut().zip(path.bytes()) {
        *to = from;
    }
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(length);
    header.set_cksum();
    Ok(header)
}

fn padded(length: u64) -> u64 {
    length.div_ceil(BLOCK).saturating_mul(BLOCK)
}

fn zeros(count: u64) -> Bytes {
    static ZEROS: [u8; 1024] = [0; 1024];
    let count = usize::try_from(count).unwrap_or(0);
    Bytes::from_static(ZEROS.get(..count).unwrap_or_default())
}

fn short(path: &str) -> String {
    path.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(paths: &[&str]) -> Result<Plan> {
        let mut plan = Plan::default();
        for path in paths {
            plan.add_inline(path, Bytes::from_static(b"x"))?;
        }
        Ok(plan)
    }

    #[test]
    fn the_order_of_naming_does_not_matter() {
        let (one, other) = (plan(&["a/b/c", "a/d", "e"]).unwrap(), plan(&["e", "a/d", "a/b/c"]).unwrap());
        assert_eq!(one.recipe(), other.recipe());
        assert_ne!(one.recipe(), plan(&["a/b/c", "a/d", "f"]).unwrap().recipe());
        let names: Vec<_> = one.entries.keys().map(String::as_str).collect();
        assert_eq!(names, ["a/", "a/b/", "a/b/c", "a/d", "e"]);
    }

    #[test]
    fn a_path_is_plain_and_unique() {
        for bad in ["", "/a", "a/", "a//b", "./a", "a/../b", "a\\b", "a\0", "a/.wh.b"] {
            assert!(plan(&[bad]).is_err(), "{bad:?}");
        }
        for clash in [["a", "a"], ["a", "a/b"], ["a/b", "a"]] {
            assert!(plan(&clash).is_err(), "{clash:?}");
        }
    }

    #[test]
    fn headers_are_what_a_reader_of_tar_expects() {
        let long = format!("d/{}", "n".repeat(300));
        let mut archive = Vec::new();
        for (path, entry) in plan(&[&long, "s"]).unwrap().entries {
            let length = entry.length();
            archive.extend_from_slice(&header(&path, &entry).unwrap());
            if length > 0 {
                archive.extend_from_slice(b"x");
                archive.extend_from_slice(&zeros(511));
            }
        }
        archive.extend_from_slice(&zeros(1024));
        assert_eq!(u64::try_from(archive.len()).unwrap(), plan(&[&long, "s"]).unwrap().length());
        let mut read = tar::Archive::new(archive.as_slice());
        let entries: Vec<_> = read
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let head = entry.header();
                (
                    String::from_utf8(entry.path_bytes().into_owned()).unwrap(),
                    head.mode().unwrap(),
                    head.mtime().unwrap(),
                )
            })
            .collect();
        assert_eq!(entries, [("d/".to_owned(), 0o755, 0), (long, 0o644, 0), ("s".to_owned(), 0o644, 0)]);
    }
}
