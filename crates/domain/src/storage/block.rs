//! Staged blocks, and the lists that make blobs of them. What is staged is no part of any blob until a list names it.

use std::collections::HashMap;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Kind, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    blob::{Blob, BlobKind, Guard, InContainer, family},
    body::Body,
    container::{ATTEMPTS, Container},
    content::{Block, Content, Loose, MOST_BLOCKS},
    fault, lease,
    list::each,
    put::{Addition, Labels, Made, READ, may_replace, replace},
    version::Moment,
};
use crate::gate::{Admission, BlobRef, Changes, Cx, Op, Record, Row, Shelf};

/// Bytes of a block's id before base64; Azure's bound.
const LONGEST_ID: usize = 64;
/// Staged blocks of one blob; Azure's bound.
const MOST_STAGED: usize = 100_000;

/// A block that waits for its list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Staged {
    /// The blob's name: for lists of what is not committed.
    pub name: String,
    /// The block's id, base64.
    pub id: String,
    /// Its bytes.
    pub blob: BlobRef,
    /// When it came.
    pub at: Timestamp,
}

impl Record for Staged {
    const TABLE: &'static str = "blob-staged";
}

/// Reads an id of a block.
///
/// # Errors
/// `InvalidQueryParameterValue` for what is no base64 of 1 to 64 bytes.
pub fn check_block_id(id: &str) -> Result<()> {
    let bytes = STANDARD.decode(id).ok().filter(|bytes| (1..=LONGEST_ID).contains(&bytes.len()));
    if bytes.is_some() {
        return Ok(());
    }
    Err(fault::invalid("InvalidQueryParameterValue", "`blockid` must be base64 of 1 to 64 bytes"))
}

fn staged_id(shelf: &Shelf, container: &Container, name: &str, id: &str) -> Vec<u8> {
    let mut row = family(shelf, container, name);
    row.extend(shelf.name_id::<Staged>(id));
    row
}

/// Stages a block.
#[derive(Debug)]
pub struct PutBlock {
    /// Of which blob.
    pub at: InContainer,
    /// Its id, base64, of the same length as those of all other blocks of the blob.
    pub id: String,
    /// Its bytes.
    pub body: Body,
    /// The lease that the caller holds.
    pub guard: Guard,
}

impl Addition for PutBlock {
    type Output = Option<String>;

    fn place(&self) -> ResourceId {
        self.at.scope()
    }

    async fn write(self, cx: &Admission<'_>, _: bool) -> Result<Option<String>> {
        let Self { at, id, body, guard } = self;
        check_block_id(&id)?;
        let container = at.container(cx).await?;
        let shelf = at.shelf();
        if let Some(present) = at.look(cx, &container).await? {
            if present.value.kind != BlobKind::Block {
                return Err(fault::wrong_kind());
            }
            lease::require(present.value.lease.as_ref(), guard.lease, cx.now(), lease::Of::Blob)?;
        }
        // One is enough to compare with: all that are staged have one length.
        let place = family(shelf, &container, at.blob.as_str());
        let others = cx.page::<Staged>(shelf, &place, None, 1).await?;
        if others.first().is_some_and(|other| other.value.id.len() != id.len()) {
            let why = "The specified block ID has another length than those of the blob's other uncommitted blocks.";
            return Err(fault::invalid("InvalidBlobOrBlock", why));
        }
        if !others.is_empty() {
            has_room(cx, &at, &container, &id).await?;
        }
        let (blob, md5) = body.store(cx, shelf).await?;
        cx.note("bytes", blob.length.to_string());
        let done = stage(cx, &at, &container, &id, &blob).await;
        match done {
            Ok(replaced) => {
                if replaced.is_empty() {
                    cx.house().accounts.staged.add(&place);
                }
                replaced.drop(cx).await;
                Ok(md5)
            }
            Err(fault) => {
                cx.drop_blob(&blob).await;
                Err(fault)
            }
        }
    }
}

/// Refuses one block more than a blob may have waiting.
async fn has_room(cx: &Admission<'_>, at: &InContainer, container: &Container, id: &str) -> Result<()> {
    let (shelf, counts) = (at.shelf(), &cx.house().accounts.staged);
    let place = family(shelf, container, at.blob.as_str());
    let count = match counts.seen(&place, MOST_STAGED, cx.now()) {
        Some(count) => count,
        None => {
            let mut count = 0_usize;
            each::<Staged>(cx, shelf, &place, |_| count = count.saturating_add(1)).await?;
            counts.set(&place, count, cx.now());
            count
        }
    };
    if count < MOST_STAGED
        || cx.get::<Staged>(shelf, &staged_id(shelf, container, at.blob.as_str(), id)).await?.is_some()
    {
        return Ok(());
    }
    let why = "The uncommitted block count cannot exceed the maximum limit of 100,000 blocks.";
    Err(fault::conflict("BlockCountExceedsLimit", why))
}

async fn stage(cx: &Admission<'_>, at: &InContainer, container: &Container, id: &str, blob: &BlobRef) -> Result<Loose> {
    let (shelf, name) = (at.shelf(), at.blob.as_str());
    let place = staged_id(shelf, container, name, id);
    for _ in 0..ATTEMPTS {
        let mut loose = Loose::default();
        let staged = Staged { name: name.to_owned(), id: id.to_owned(), blob: blob.clone(), at: cx.now() };
        let mut row = Row::new(place.clone(), staged);
        if let Some(present) = cx.get::<Staged>(shelf, &place).await? {
            row.version = present.version;
            loose.add(present.value.blob);
        }
        let mut changes = Changes::new();
        changes.put(shelf, &row)?;
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Kind::Stale => {}
            done => return done.map(|()| loose),
        }
    }
    Err(fault::too_fast())
}

/// Where a block of a list is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Among those of the blob as it is.
    Committed,
    /// Among those that are staged.
    Uncommitted,
    /// Among the staged ones first.
    Latest,
}

/// Makes or replaces a blob of blocks.
#[derive(Debug)]
pub struct PutBlockList {
    /// Which.
    pub at: InContainer,
    /// Its blocks, in order.
    pub list: Vec<(From, String)>,
    /// Its labels.
    pub labels: Labels,
    /// What must hold.
    pub guard: Guard,
}

impl Addition for PutBlockList {
    type Output = Blob;

    fn place(&self) -> ResourceId {
        self.at.scope()
    }

    async fn write(self, cx: &Admission<'_>, is_adding: bool) -> Result<Blob> {
        self.labels.check()?;
        if self.list.len() > MOST_BLOCKS {
            let why = "The block list may not contain more than 50,000 blocks.";
            return Err(fault::invalid("BlockListTooLong", why));
        }
        let at = &self.at;
        let container = at.container(cx).await?;
        cx.note("blocks", self.list.len().to_string());
        for _ in 0..ATTEMPTS {
            let present = at.look(cx, &container).await?;
            may_replace(present.as_ref(), &self.guard, is_adding, cx)?;
            let (made, loose, changes) = match self.resolve(cx, &container, present.as_ref()).await {
                // The blocks of a blob go with it: that some were not found says nothing while the blob is not the same any more.
                Err(fault) if fault.code() == Some("InvalidBlockList") => {
                    let now = at.look(cx, &container).await?;
                    if now.map(|row| row.value.etag) == present.as_ref().map(|row| row.value.etag) {
                        return Err(fault);
                    }
                    continue;
                }
                found => found?,
            };
            if let Some(blob) = replace(cx, at, &container, present, &made, changes).await? {
                cx.house().accounts.staged.end(&family(at.shelf(), &container, at.blob.as_str()));
                loose.drop(cx).await;
                return Ok(blob);
            }
        }
        Err(fault::too_fast())
    }
}

impl PutBlockList {
    /// What the list makes, what it leaves over, and the rows that go with it.
    async fn resolve(
        &self,
        cx: &Admission<'_>,
        container: &Container,
        present: Option<&Row<Blob>>,
    ) -> Result<(Made, Loose, Changes)> {
        let shelf = self.at.shelf();
        let place = family(shelf, container, self.at.blob.as_str());
        let staged = cx.all::<Staged>(shelf, &place).await?;
        let committed = match present {
            Some(row) if row.value.kind != BlobKind::Block => return Err(fault::wrong_kind()),
            Some(row) => row.value.content.blocks(cx, shelf).await?,
            None => Vec::new(),
        };
        let new: HashMap<&str, &BlobRef> = staged.iter().map(|row| (row.value.id.as_str(), &row.value.blob)).collect();
        let old: HashMap<&str, &BlobRef> = committed.iter().map(|block| (block.id.as_str(), &block.blob)).collect();
        let mut blocks = Vec::with_capacity(self.list.len());
        for (from, id) in &self.list {
            let id = id.as_str();
            let found = match from {
                From::Committed => old.get(id),
                From::Uncommitted => new.get(id),
                From::Latest => new.get(id).or_else(|| old.get(id)),
            };
            let blob = *found.ok_or_else(fault::bad_list)?;
            blocks.push(Block { id: id.to_owned(), blob: blob.clone() });
        }
        let kept: Vec<BlobRef> = blocks.iter().map(|block| block.blob.clone()).collect();
        let used: std::collections::HashSet<_> = kept.iter().map(BlobRef::id).collect();
        let (mut loose, mut changes) = (Loose::default(), Changes::new());
        for row in &staged {
            changes.delete(shelf, row);
            if !used.contains(&row.value.blob.id()) {
                loose.add(row.value.blob.clone());
            }
        }
        let (content, length, rows) = Content::of_blocks(blocks);
        for row in &rows {
            changes.put(shelf, row)?;
        }
        let labels = self.labels.clone();
        let made = Made { kind: BlobKind::Block, content, length, labels, copied: None, kept };
        Ok((made, loose, changes))
    }
}

/// A block in a list: its id and its bytes.
pub type Listed = (String, u64);

/// The blocks of a blob: of the blob as it is, and staged.
#[derive(Debug)]
pub struct GetBlockList {
    /// Of which blob.
    pub at: InContainer,
    /// Of which moment.
    pub moment: Moment,
    /// What must hold.
    pub guard: Guard,
}

/// What `GetBlockList` finds.
#[derive(Debug)]
pub struct BlockLists {
    /// The blob; none while nothing is committed.
    pub blob: Option<Blob>,
    /// Its blocks, in order.
    pub committed: Vec<Listed>,
    /// What is staged, by id.
    pub uncommitted: Vec<Listed>,
}

#[async_trait]
impl Op for GetBlockList {
    const ACTION: kernel::Action = READ;
    type Output = BlockLists;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<BlockLists> {
        let container = self.at.container(cx).await?;
        let shelf = self.at.shelf();
        let place = family(shelf, &container, self.at.blob.as_str());
        let staged = match self.moment {
            Moment::Now => cx.all::<Staged>(shelf, &place).await?,
            Moment::Snapshot(_) | Moment::Version(_) => Vec::new(),
        };
        let blob = match self.at.read(cx, &container, self.moment).await {
            Ok(blob) => Some(blob),
            Err(fault) if fault.kind() == Kind::NotFound && !staged.is_empty() => None,
            Err(fault) => return Err(fault),
        };
        let committed = match &blob {
            Some(blob) if blob.kind != BlobKind::Block => return Err(fault::wrong_kind()),
            Some(blob) => {
                self.guard.hold_for_read(blob, cx.now())?;
                blob.content.blocks(cx, shelf).await?
            }
            None => Vec::new(),
        };
        let committed = committed.into_iter().map(|block| (block.id, block.blob.length)).collect();
        let mut uncommitted: Vec<Listed> =
            staged.into_iter().map(|row| (row.value.id, row.value.blob.length)).collect();
        uncommitted.sort();
        uncommitted.truncate(MOST_STAGED);
        Ok(BlockLists { blob, committed, uncommitted })
    }
}
