//! Lists of blobs: in the order of their names, page by page, flat or by directories.
//!
//! Names are sealed, so the rows of a container are opened one after the other and the page's own are kept: a page costs time in
//! proportion to the container and memory in proportion to the page.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, ResourceId, Result};

use super::{
    blob::{Blob, DeletedBlob, prefix},
    block::Staged,
    container::{InAccount, find},
    put::READ,
    version::BlobVersion,
};
use crate::gate::{Admission, Cx, Op, Record, Shelf};

/// Rows that are read at once.
const PAGE: usize = 1000;
/// The time of a deleted blob among those of its name.
const DELETED: u64 = u64::MAX - 1;
/// Entries of one page; Azure's bound.
pub const MOST: usize = 5000;

/// What is listed beside blobs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Include {
    /// Snapshots.
    pub snapshots: bool,
    /// Blobs of which only staged blocks are there.
    pub uncommitted: bool,
    /// Those that can be had back.
    pub deleted: bool,
    /// Older versions.
    pub versions: bool,
}

/// Lists a container.
#[derive(Debug)]
pub struct ListBlobs {
    /// Which.
    pub at: InAccount,
    /// What names begin with.
    pub prefix: String,
    /// What ends a directory's name; none for a flat list.
    pub delimiter: Option<String>,
    /// Where an earlier page ended.
    pub from: Option<Place>,
    /// Entries of this page, at most [`MOST`].
    pub most: usize,
    /// What else.
    pub include: Include,
}

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The name.
    pub name: String,
    /// Snapshots and versions come by their time, the blob after them; one that was deleted before it, so that it hides none that is
    /// there.
    pub time: u64,
    /// Tells those of one moment apart: snapshots, versions, and both of these that were deleted.
    pub rank: u8,
}

/// One entry.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A blob or snapshot.
    Blob(Box<Blob>),
    /// A blob of which only staged blocks are there.
    Uncommitted(String),
    /// A directory.
    Prefix(String),
}

/// A page.
#[derive(Debug)]
pub struct BlobPage {
    /// Its entries, in order.
    pub entries: Vec<Entry>,
    /// Where the next one begins; none when there is no more.
    pub next: Option<Place>,
}

#[async_trait]
impl Op for ListBlobs {
    const ACTION: Action = READ;
    type Output = BlobPage;

    fn scope(&self) -> ResourceId {
        self.at.account.container(&self.at.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<BlobPage> {
        let container = find(cx, &self.at.account, &self.at.name).await?.value;
        let shelf = &self.at.account.shelf;
        let place = prefix(&container);
        let mut page = Page { asked: &self, found: BTreeMap::new() };
        let takes = |blob: &Blob| {
            (blob.snapshot.is_none() || self.include.snapshots) && (!blob.is_past || self.include.versions)
        };
        each::<Blob>(cx, shelf, place, |blob| {
            if takes(&blob) {
                page.take(blob);
            }
        })
        .await?;
        if self.include.deleted {
            each::<DeletedBlob>(cx, shelf, place, |DeletedBlob(blob)| {
                if takes(&blob) {
                    page.take(blob);
                }
            })
            .await?;
        }
        if self.include.versions {
            each::<BlobVersion>(cx, shelf, place, |BlobVersion(blob)| page.take(blob)).await?;
        }
        if self.include.uncommitted {
            each::<Staged>(cx, shelf, place, |staged| page.take_uncommitted(staged.name)).await?;
        }
        Ok(page.end())
    }
}

/// Looks at every row, never holding more than a page of them.
pub(super) async fn each<T: Record>(
    cx: &Admission<'_>,
    shelf: &Shelf,
    place: &[u8],
    mut look: impl FnMut(T) + Send,
) -> Result<()> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = cx.page::<T>(shelf, place, after.as_deref(), PAGE).await?;
        let is_last = rows.len() < PAGE;
        after = rows.last().map(|row| row.id.clone());
        for row in rows {
            look(row.value);
        }
        if is_last {
            return Ok(());
        }
    }
}

/// A page in the making: never more than one entry beyond what it may hold.
struct Page<'a> {
    asked: &'a ListBlobs,
    found: BTreeMap<Place, Entry>,
}

impl Page<'_> {
    fn take(&mut self, blob: Blob) {
        let last = if blob.deletion.is_some() { DELETED } else { u64::MAX };
        let past = blob.version.filter(|_| blob.is_past);
        let rank = u8::from(past.is_some()).saturating_add(if blob.deletion.is_some() { 2 } else { 0 });
        let place = Place { name: blob.name.clone(), time: blob.snapshot.or(past).unwrap_or(last), rank };
        self.add(place, |_| Entry::Blob(Box::new(blob)));
    }

    fn take_uncommitted(&mut self, name: String) {
        let place = Place { name, time: u64::MAX, rank: 0 };
        if !self.found.contains_key(&place) {
            self.add(place, Entry::Uncommitted);
        }
    }

    fn add(&mut self, mut place: Place, entry: impl FnOnce(String) -> Entry) {
        let Some(rest) = place.name.strip_prefix(self.asked.prefix.as_str()) else { return };
        let directory = self.asked.delimiter.as_deref().and_then(|delimiter| {
            let end = rest.find(delimiter)?.saturating_add(delimiter.len()).saturating_add(self.asked.prefix.len());
            place.name.get(..end).map(str::to_owned)
        });
        if let Some(name) = &directory {
            place = Place { name: name.clone(), time: u64::MAX, rank: 0 };
        }
        if self.asked.from.as_ref().is_some_and(|from| place < *from) {
            return;
        }
        if self.found.len() > self.asked.most && self.found.last_key_value().is_some_and(|(last, _)| place > *last) {
            return;
        }
        let name = place.name.clone();
        match directory {
            Some(name) => self.found.insert(place, Entry::Prefix(name)),
            None => self.found.insert(place, entry(name)),
        };
        if self.found.len() > self.asked.most.saturating_add(1) {
            self.found.pop_last();
        }
    }

    fn end(mut self) -> BlobPage {
        let next = (self.found.len() > self.asked.most).then(|| self.found.pop_last()).flatten();
        BlobPage { entries: self.found.into_values().collect(), next: next.map(|(place, _)| place) }
    }
}
