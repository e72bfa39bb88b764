//! The archive: sealed blobs of JSON Lines in a storage account, one a resource and hour, laid out as Azure lays them out.
//!
//! A delivery appends a block; the block, the blob's length and the sink's cursor are one commit, so no event is in it twice.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use kernel::{Action, Class, Error, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Event;
use crate::{
    gate::{Admission, BlobRef, ByteStream, Changes, Cx, Op, Record, Row, Shelf},
    resources::{StorageAccount, find},
};

/// One block holds at most this many bytes, far beyond what one delivery brings.
const MOST_OF_BLOCK: u64 = 64 << 20;
/// Blobs on one page.
const PAGE: usize = 1000;

/// A blob of the archive.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ArchiveBlob {
    /// The container.
    pub container: String,
    /// The name within it.
    pub name: String,
    /// Bytes.
    pub length: u64,
    /// Lines.
    pub events: u64,
    /// How many blocks it has.
    blocks: u64,
    /// When something was added last.
    pub modified_at: Timestamp,
}

/// One block of a blob.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Block {
    content: BlobRef,
}

impl Record for ArchiveBlob {
    const TABLE: &'static str = "archive-blob";
}

impl Record for Block {
    const TABLE: &'static str = "archive-block";
}

/// The rows of an account begin with this: its GUID, so that one of the same name that is made later does not have them.
fn account_id(shelf: &Shelf, account: Uuid) -> Vec<u8> {
    shelf.name_id::<ArchiveBlob>(&account.to_string())
}

/// Names are compared without case: they hold resource ids.
fn blob_id(shelf: &Shelf, account: Uuid, container: &str, name: &str) -> Vec<u8> {
    let name = shelf.name_id::<ArchiveBlob>(&format!("{container}/{name}").to_ascii_lowercase());
    [account_id(shelf, account), name].concat()
}

/// Container and name of the blob that an event belongs into.
fn place(event: &Event, setting: &ResourceId) -> (String, String) {
    let container = match event.category {
        "Administrative" | "Reads" => String::from("insights-activity-logs"),
        category => format!("insights-logs-{}", category.to_ascii_lowercase()),
    };
    let seconds = event.at().seconds();
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let resource = setting.as_str().to_ascii_uppercase();
    let (year, month, day, hour) = (at.year(), u8::from(at.month()), at.day(), at.hour());
    let name = format!("resourceId={resource}/y={year:04}/m={month:02}/d={day:02}/h={hour:02}/m=00/PT1H.json");
    (container, name)
}

/// Adds events to the archive of `account`, once `changes` are committed.
pub(super) async fn append(
    cx: &Admission<'_>,
    changes: &mut Changes,
    account: &ResourceId,
    setting: &ResourceId,
    events: &[Event],
) -> Result<()> {
    let account = find::<StorageAccount>(cx, account).await?.1.value.guid;
    let mut blobs: BTreeMap<(String, String), (Vec<u8>, u64)> = BTreeMap::new();
    for event in events {
        let (lines, count) = blobs.entry(place(event, setting)).or_default();
        serde_json::to_writer(&mut *lines, &event.content(cx.house().tenant())).map_err(Error::internal)?;
        lines.push(b'\n');
        *count = count.saturating_add(1);
    }
    let shelf = cx.system();
    for ((container, name), (lines, count)) in blobs {
        let id = blob_id(shelf, account, &container, &name);
        let mut row = cx.get::<ArchiveBlob>(shelf, &id).await?.unwrap_or_else(|| {
            let modified_at = cx.now();
            Row::new(id.clone(), ArchiveBlob { container, name, length: 0, events: 0, blocks: 0, modified_at })
        });
        let body = stream::iter([Ok(Bytes::from(lines))]);
        let content = cx.put_blob(shelf, MOST_OF_BLOCK, body).await?;
        let blob = &mut row.value;
        blob.length = blob.length.saturating_add(content.length);
        blob.events = blob.events.saturating_add(count);
        blob.blocks = blob.blocks.saturating_add(1);
        blob.modified_at = cx.now();
        let block = [id, blob.blocks.to_be_bytes().to_vec()].concat();
        changes.put(shelf, &Row::new(block, Block { content }))?;
        changes.put(shelf, &row)?;
    }
    Ok(())
}

/// Whoever may have the keys of an account may read what is in it.
const READ: Action = Action::new("Microsoft.Storage/storageAccounts/listKeys/action", Class::Vault);

/// Lists the blobs of an account's archive.
#[derive(Debug)]
pub struct ListArchive {
    /// The account.
    pub account: ResourceId,
    /// Only after this one: the next page.
    pub after: Option<Vec<u8>>,
}

/// A page of blobs, and where the next one begins.
#[derive(Clone, Debug)]
pub struct ArchivePage {
    /// The blobs, by container and name.
    pub blobs: Vec<ArchiveBlob>,
    /// Where the next page begins.
    pub after: Option<Vec<u8>>,
}

#[async_trait]
impl Op for ListArchive {
    const ACTION: Action = READ;
    type Output = ArchivePage;

    fn scope(&self) -> ResourceId {
        self.account.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ArchivePage> {
        let account = find::<StorageAccount>(cx, &self.account).await?.1.value.guid;
        let prefix = account_id(cx.system(), account);
        let after = self.after.filter(|after| after.starts_with(&prefix));
        let rows = cx.page::<ArchiveBlob>(cx.system(), &prefix, after.as_deref(), PAGE).await?;
        let after = rows.last().filter(|_| rows.len() == PAGE).map(|row| row.id.clone());
        let mut blobs: Vec<ArchiveBlob> = rows.into_iter().map(|row| row.value).collect();
        blobs.sort_by(|a, b| (&a.container, &a.name).cmp(&(&b.container, &b.name)));
        Ok(ArchivePage { blobs, after })
    }
}

/// Blocks of one answer; opened one after the other.
const BLOCKS: usize = 256;

/// Reads a blob of an account's archive, some blocks at a time.
#[derive(Debug)]
pub struct ReadArchive {
    /// The account.
    pub account: ResourceId,
    /// The container.
    pub container: String,
    /// The name within it.
    pub name: String,
    /// Only after this block: the next part.
    pub after: u64,
}

/// A part of a blob.
pub struct ArchivePart {
    /// Bytes in it.
    pub length: u64,
    /// The bytes.
    pub content: ByteStream,
    /// After which block the next part begins, if there is one.
    pub after: Option<u64>,
}

#[async_trait]
impl Op for ReadArchive {
    const ACTION: Action = READ;
    type Output = ArchivePart;

    fn scope(&self) -> ResourceId {
        self.account.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ArchivePart> {
        let shelf = cx.system();
        let account = find::<StorageAccount>(cx, &self.account).await?.1.value.guid;
        let id = blob_id(shelf, account, &self.container, &self.name);
        let missing = || Error::not_found("the blob in the archive");
        let row = cx.get::<ArchiveBlob>(shelf, &id).await?.ok_or_else(missing)?;
        cx.note("blob", format!("{}/{}", row.value.container, row.value.name));
        let after = [id.as_slice(), &self.after.to_be_bytes()].concat();
        let blocks = cx.page::<Block>(shelf, &id, Some(&after), BLOCKS).await?;
        let length = blocks.iter().map(|block| block.value.content.length).sum();
        let seen = self.after.saturating_add(u64::try_from(blocks.len()).unwrap_or(u64::MAX));
        let after = (blocks.len() == BLOCKS && seen < row.value.blocks).then_some(seen);
        let blobs = blocks.into_iter().map(|block| block.value.content).collect();
        let content = cx.open_blobs(shelf, blobs).await?;
        Ok(ArchivePart { length, content, after })
    }
}
