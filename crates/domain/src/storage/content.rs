//! What a blob holds: one sealed object, or blocks in pages of rows, so that neither 50,000 blocks nor a thousand appends make any
//! row grow without bound.

use std::collections::BTreeMap;

use kernel::{BlobId, Error, Kind, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    blob::{Blob, DeletedBlob},
    fault,
    version::BlobVersion,
};
use crate::gate::{Admission, BlobRef, ByteStream, Changes, Range, Record, Row, Shelf};

/// Blocks of one blob; Azure's bound.
pub(super) const MOST_BLOCKS: usize = 50_000;
/// Blocks in one row.
const PAGE: usize = 256;

/// Where the bytes are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Content {
    /// Nowhere: there are none.
    Nothing,
    /// In one object.
    One(BlobRef),
    /// In blocks.
    Blocks {
        /// By which their rows are found. Rows of one id are only ever added to.
        id: Uuid,
        /// For each full or last row: where its last block ends, in bytes of the blob.
        ends: Vec<u64>,
        /// How many blocks.
        count: u64,
    },
}

/// One block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Block {
    /// Its id, as the client wrote it; empty for an appended one.
    pub id: String,
    /// Its bytes.
    pub blob: BlobRef,
}

/// At most [`PAGE`] blocks in a row.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Page {
    blocks: Vec<Block>,
}

impl Record for Page {
    const TABLE: &'static str = "blob-blocks";
}

fn page_id(content: Uuid, index: usize) -> Vec<u8> {
    let mut id = content.as_bytes().to_vec();
    id.extend(u32::try_from(index).unwrap_or(u32::MAX).to_be_bytes());
    id
}

fn length_of(blocks: &[Block]) -> u64 {
    blocks.iter().fold(0, |sum, block| sum.saturating_add(block.blob.length))
}

impl Content {
    /// How many blocks there are.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Blocks { count, .. } => *count,
            Self::Nothing | Self::One(_) => 0,
        }
    }

    /// New content of these blocks, its length in bytes, and the rows that hold it.
    pub(super) fn of_blocks(blocks: Vec<Block>) -> (Self, u64, Vec<Row<Page>>) {
        let (id, count) = (Uuid::new_v4(), u64::try_from(blocks.len()).unwrap_or(u64::MAX));
        let (mut ends, mut end, mut rows) = (Vec::new(), 0_u64, Vec::new());
        let mut rest = blocks.into_iter();
        loop {
            let page: Vec<Block> = rest.by_ref().take(PAGE).collect();
            if page.is_empty() {
                let content = if rows.is_empty() { Self::Nothing } else { Self::Blocks { id, ends, count } };
                return (content, end, rows);
            }
            end = end.saturating_add(length_of(&page));
            rows.push(Row::new(page_id(id, ends.len()), Page { blocks: page }));
            ends.push(end);
        }
    }

    /// All blocks.
    pub(super) async fn blocks(&self, cx: &Admission<'_>, shelf: &Shelf) -> Result<Vec<Block>> {
        let Self::Blocks { id, count, .. } = self else { return Ok(Vec::new()) };
        let rows = cx.all::<Page>(shelf, id.as_bytes()).await?;
        let most = usize::try_from(*count).unwrap_or(usize::MAX);
        // A snapshot of something that was appended to since has the first ones alone.
        Ok(rows.into_iter().flat_map(|row| row.value.blocks).take(most).collect())
    }

    /// Adds a block at the end. The row that grows is part of the commit, so two who append at once cannot both win. `Stale` when
    /// the row went meanwhile.
    pub(super) async fn append(
        &mut self,
        cx: &Admission<'_>,
        shelf: &Shelf,
        changes: &mut Changes,
        blob: BlobRef,
    ) -> Result<()> {
        let length = blob.length;
        let block = Block { id: String::new(), blob };
        let Self::Blocks { id, ends, count } = self else {
            let (content, _, rows) = Self::of_blocks(vec![block]);
            for row in &rows {
                changes.put(shelf, row)?;
            }
            *self = content;
            return Ok(());
        };
        let last = usize::try_from(*count).unwrap_or(usize::MAX).checked_rem(PAGE).unwrap_or(0);
        let end = ends.last().copied().unwrap_or(0).saturating_add(length);
        if last == 0 {
            changes.put(shelf, &Row::new(page_id(*id, ends.len()), Page { blocks: vec![block] }))?;
            ends.push(end);
        } else {
            let place = page_id(*id, ends.len().saturating_sub(1));
            let row = cx.get::<Page>(shelf, &place).await?;
            // Removed with the blob since that was read.
            let mut row = row.ok_or_else(|| Error::new(Kind::Stale, "a page of blocks is missing"))?;
            row.value.blocks.truncate(last);
            row.value.blocks.push(block);
            changes.put(shelf, &row)?;
            ends.pop();
            ends.push(end);
        }
        *count = count.saturating_add(1);
        Ok(())
    }

    /// Opens bytes `range.from .. range.from + range.length` of a blob of `length` bytes. Of its blocks only those that are needed are
    /// looked up.
    pub(super) async fn open(
        &self,
        cx: &Admission<'_>,
        shelf: &Shelf,
        length: u64,
        range: Range,
    ) -> Result<ByteStream> {
        let end = range.from.saturating_add(range.length).min(length);
        let (id, ends) = match self {
            Self::Nothing => return cx.open_parts(shelf, Vec::new()).await,
            Self::One(blob) => return cx.open_blob(shelf, blob, range).await,
            Self::Blocks { id, ends, .. } => (*id, ends),
        };
        let first = ends.partition_point(|end| *end <= range.from);
        let mut at = first.checked_sub(1).and_then(|index| ends.get(index)).copied().unwrap_or(0);
        let mut parts = Vec::new();
        let mut index = first;
        while at < end && index < ends.len() {
            let page = cx.get::<Page>(shelf, &page_id(id, index)).await?;
            let page = page.ok_or_else(fault::no_blob)?;
            for block in page.value.blocks {
                let (start, stop) = (at, at.saturating_add(block.blob.length));
                at = stop;
                let from = range.from.max(start).saturating_sub(start);
                let upto = end.min(stop).saturating_sub(start);
                if start < end && upto > from {
                    parts.push((block.blob, Range { from, length: upto.saturating_sub(from) }));
                }
            }
            index = index.saturating_add(1);
        }
        cx.open_parts(shelf, parts).await
    }
}

/// Sealed objects that nothing names once a commit is done.
#[derive(Debug, Default)]
pub(super) struct Loose(Vec<BlobRef>);

impl Loose {
    /// Notes what the staged blocks of a replaced list held.
    pub(super) fn add(&mut self, blob: BlobRef) {
        self.0.push(blob);
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over those of another.
    pub(super) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Removes them.
    pub(super) async fn drop(self, cx: &Admission<'_>) {
        for blob in &self.0 {
            cx.drop_blob(blob).await;
        }
    }
}

/// Lets go of the contents of blobs of one name, whose rows begin with `place`: removes the rows of their blocks with `changes`, and
/// gives what is to be removed after the commit. What the blob's other versions, or `kept`, still hold stays.
///
/// The others are read a page at a time: of them only what decides about the blobs that go is kept in memory.
pub(super) async fn release(
    cx: &Admission<'_>,
    shelf: &Shelf,
    place: &[u8],
    gone: &[&Blob],
    kept: &[BlobRef],
    changes: &mut Changes,
) -> Result<Loose> {
    if gone.is_empty() {
        return Ok(Loose::default());
    }
    let mut going = Going::default();
    for blob in gone {
        going.add(cx, shelf, &blob.content).await?;
    }
    for object in kept {
        going.objects.remove(&object.id());
    }
    // One table after the other: what another commit moves meanwhile from one that was not read yet to one that was would be missed.
    // In this order, from whichever table to whichever other, it is seen where it was or where it went.
    going.spare_others::<Blob>(cx, shelf, place, gone).await?;
    going.spare_others::<BlobVersion>(cx, shelf, place, gone).await?;
    going.spare_others::<DeletedBlob>(cx, shelf, place, gone).await?;
    going.spare_others::<Blob>(cx, shelf, place, gone).await?;
    going.spare_others::<BlobVersion>(cx, shelf, place, gone).await?;
    for id in going.pages.into_keys() {
        for row in cx.all::<Page>(shelf, id.as_bytes()).await? {
            changes.delete(shelf, &row);
        }
    }
    Ok(Loose(going.objects.into_values().collect()))
}

/// What goes, unless something else of the same name turns out to hold it.
#[derive(Default)]
struct Going {
    objects: BTreeMap<BlobId, BlobRef>,
    /// Whose rows of blocks, and the most of those blocks that a blob that goes has.
    pages: BTreeMap<Uuid, u64>,
    /// Whose blocks were spared, and how many of them: a thousand snapshots of one blob are not read a thousand times.
    spared: BTreeMap<Uuid, u64>,
}

impl Going {
    async fn add(&mut self, cx: &Admission<'_>, shelf: &Shelf, content: &Content) -> Result<()> {
        if let Content::Blocks { id, count, .. } = content {
            // Blocks of one id are only ever added to: whoever has no more of them has none that is not noted.
            if self.pages.get(id).is_some_and(|most| most >= count) {
                return Ok(());
            }
            self.pages.insert(*id, *count);
        }
        self.objects.extend(objects(cx, shelf, content).await?.into_iter().map(|object| (object.id(), object)));
        Ok(())
    }

    /// Keeps what other rows of this table hold.
    async fn spare_others<T: Kept>(
        &mut self,
        cx: &Admission<'_>,
        shelf: &Shelf,
        place: &[u8],
        gone: &[&Blob],
    ) -> Result<()> {
        // A snapshot and what was replaced in the same moment share mark and time: only one of them is a deleted one.
        let is_same = |blob: &Blob, other: &Blob| {
            let of = |blob: &Blob| (blob.etag, blob.snapshot, blob.version, blob.is_past);
            of(blob) == of(other) && blob.deletion == other.deletion
        };
        let mut after: Option<Vec<u8>> = None;
        while !(self.objects.is_empty() && self.pages.is_empty()) {
            let rows = cx.page::<T>(shelf, place, after.as_deref(), PAGE).await?;
            let was_last = rows.len() < PAGE;
            after = rows.last().map(|row| row.id.clone());
            for row in rows {
                let other = row.value.blob();
                if gone.iter().any(|blob| is_same(blob, other)) {
                    continue;
                }
                if let Content::Blocks { id, count, .. } = &other.content {
                    self.pages.remove(id);
                    if self.spared.get(id).is_some_and(|most| most >= count) {
                        continue;
                    }
                    self.spared.insert(*id, *count);
                }
                for object in objects(cx, shelf, &other.content).await? {
                    self.objects.remove(&object.id());
                }
            }
            if was_last {
                break;
            }
        }
        Ok(())
    }
}

/// A row that holds a blob, in whichever table.
pub(super) trait Kept: Record {
    /// The blob.
    fn blob(&self) -> &Blob;
}

impl Kept for Blob {
    fn blob(&self) -> &Blob {
        self
    }
}

impl Kept for DeletedBlob {
    fn blob(&self) -> &Blob {
        &self.0
    }
}

/// The sealed objects of a content.
async fn objects(cx: &Admission<'_>, shelf: &Shelf, content: &Content) -> Result<Vec<BlobRef>> {
    Ok(match content {
        Content::Nothing => Vec::new(),
        Content::One(blob) => vec![blob.clone()],
        Content::Blocks { .. } => content.blocks(cx, shelf).await?.into_iter().map(|block| block.blob).collect(),
    })
}
