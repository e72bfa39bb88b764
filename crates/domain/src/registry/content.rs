//! What blobs are made of: one stored object, or the chunks of an upload in their order. Content is kept once per registry, by its
//! digest; each repository that has it holds a link, and each manifest there counts as one use of that link.
//!
//! **Invariant:** a link that a manifest uses is never removed, and content that a link names neither: both counts change in the commit
//! that changes what is counted, and whoever comes second finds its commit stale and reads again.

use kernel::{Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Digest, Repository, fault};
use crate::gate::{Admission, BlobRef, ByteStream, Changes, Range, Record, Row, Shelf};

/// Chunks of one upload.
pub(super) const MOST_PARTS: u32 = 10_000;

/// Content of a registry; its row's id is the keyed hash of its digest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) digest: Digest,
    /// Bytes.
    pub(super) length: u64,
    pub(super) stored: Stored,
    /// Repositories that have it.
    pub(super) links: u32,
}

impl Record for Content {
    const TABLE: &'static str = "oci-content";
}

/// Where bytes lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stored {
    /// There are none.
    Nothing,
    /// In one object.
    One(Object),
    /// In the chunks of an upload, by its id: so many rows.
    Parts { id: Uuid, count: u32 },
}

/// A stored object, compared by its id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Object(pub(super) BlobRef);

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl Eq for Object {}

/// A chunk; its row's id is the upload's id and its number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    /// Bytes before it.
    pub(super) start: u64,
    pub(super) blob: BlobRef,
}

impl Record for Part {
    const TABLE: &'static str = "oci-part";
}

/// The id of a chunk's row.
pub(super) fn part_id(upload: Uuid, number: u32) -> Vec<u8> {
    let mut id = upload.as_bytes().to_vec();
    id.extend_from_slice(&number.to_be_bytes());
    id
}

/// That a repository has content; its row's id is the repository's id and the keyed hash of the digest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) digest: Digest,
    /// Bytes.
    pub(super) length: u64,
    /// Manifests of the repository that name it.
    pub(super) uses: u32,
    /// When it was pushed, mounted, asked for while nothing used it, or let go of last.
    pub(super) touched_at: Timestamp,
}

impl Record for Link {
    const TABLE: &'static str = "oci-link";
}

/// A repository's link to a digest.
pub(super) async fn link_of(
    cx: &Admission<'_>,
    shelf: &Shelf,
    repository: &Repository,
    digest: &Digest,
) -> Result<Option<Row<Link>>> {
    cx.get(shelf, &repository.of_digest::<Link>(shelf, digest)).await
}

/// The content with a digest.
pub(super) async fn content_of(cx: &Admission<'_>, shelf: &Shelf, digest: &Digest) -> Result<Option<Row<Content>>> {
    cx.get(shelf, &shelf.name_id::<Content>(digest.as_str())).await
}

/// Gives a repository content that was verified, with `changes`. Whether the registry keeps these very bytes: it keeps those that it had.
pub(super) async fn give(
    cx: &Admission<'_>,
    shelf: &Shelf,
    repository: &Repository,
    (digest, length): (&Digest, u64),
    stored: &Stored,
    changes: &mut Changes,
) -> Result<bool> {
    let link = link_of(cx, shelf, repository, digest).await?;
    let content = content_of(cx, shelf, digest).await?;
    let is_kept = content.is_none();
    let mut content = content.unwrap_or_else(|| {
        let fresh = Content { digest: digest.clone(), length, stored: stored.clone(), links: 0 };
        Row::new(shelf.name_id::<Content>(digest.as_str()), fresh)
    });
    match link {
        Some(mut link) => {
            link.value.touched_at = cx.now();
            changes.put(shelf, &link)?;
        }
        None => {
            content.value.links = content.value.links.saturating_add(1);
            let link = Link { digest: digest.clone(), length, uses: 0, touched_at: cx.now() };
            changes.put(shelf, &Row::new(repository.of_digest::<Link>(shelf, digest), link))?;
            changes.put(shelf, &content)?;
        }
    }
    Ok(is_kept)
}

/// Takes content away from a repository, with `changes`, and from the registry when no other repository has it. What is to be removed
/// after the commit.
pub(super) async fn take(
    cx: &Admission<'_>,
    shelf: &Shelf,
    link: &Row<Link>,
    changes: &mut Changes,
) -> Result<Vec<BlobRef>> {
    changes.delete(shelf, link);
    let Some(mut content) = content_of(cx, shelf, &link.value.digest).await? else { return Ok(Vec::new()) };
    content.value.links = content.value.links.saturating_sub(1);
    if content.value.links > 0 {
        changes.put(shelf, &content)?;
        return Ok(Vec::new());
    }
    changes.delete(shelf, &content);
    content.value.stored.release(cx, shelf, changes).await
}

impl Stored {
    /// Removes the rows of chunks with `changes`. The objects, to be removed after the commit.
    pub(super) async fn release(
        &self,
        cx: &Admission<'_>,
        shelf: &Shelf,
        changes: &mut Changes,
    ) -> Result<Vec<BlobRef>> {
        match self {
            Self::Nothing => Ok(Vec::new()),
            Self::One(object) => Ok(vec![object.0.clone()]),
            Self::Parts { id, .. } => {
                let rows = cx.all::<Part>(shelf, id.as_bytes()).await?;
                for row in &rows {
                    changes.delete(shelf, row);
                }
                Ok(rows.into_iter().map(|row| row.value.blob).collect())
            }
        }
    }

    /// Opens a range that lies within.
    pub(super) async fn open(&self, cx: &Admission<'_>, shelf: &Shelf, range: Range) -> Result<ByteStream> {
        let parts = match self {
            Self::Nothing => Vec::new(),
            _ if range.length == 0 => Vec::new(),
            Self::One(object) => return cx.open_blob(shelf, &object.0, range).await,
            Self::Parts { id, count } => {
                let rows = cx.all::<Part>(shelf, id.as_bytes()).await?;
                if u32::try_from(rows.len()).ok() != Some(*count) {
                    // Removed meanwhile.
                    return Err(fault::no_blob());
                }
                within(rows.into_iter().map(|row| row.value), range)
            }
        };
        cx.open_parts(shelf, parts).await
    }
}

/// The parts of chunks that a range covers.
fn within(parts: impl Iterator<Item = Part>, range: Range) -> Vec<(BlobRef, Range)> {
    let end = range.from.saturating_add(range.length);
    let cut = |part: Part| {
        let stop = part.start.saturating_add(part.blob.length);
        let (from, upto) = (range.from.max(part.start), end.min(stop));
        let of_part = Range { from: from.saturating_sub(part.start), length: upto.saturating_sub(from) };
        (from < upto).then_some((part.blob, of_part))
    };
    parts.filter_map(cut).collect()
}
