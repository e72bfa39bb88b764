//! What the house removes by itself: blocks that no list named for a week, deleted blobs whose time is over, and what lay in deleted
//! containers.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Class, Kind, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    blob::{Blob, DeletedBlob},
    block::Staged,
    container::Container,
    content::{Loose, release},
};
use crate::{
    gate::{Changes, Cx, House, Op, Record, Row, Shelf},
    resources::StorageAccount,
};

/// Blocks that no list names are kept so long; Azure's span.
const STAGED: Duration = Duration::from_secs(7 * 24 * 3600);
/// A deleted container is looked at again for so long: a write that was under way may end after it.
const LATE: Duration = Duration::from_secs(2 * 3600);
/// Rows of one commit.
const AT_ONCE: usize = 256;

/// A container that was deleted, by its GUID, until all that lay in it is removed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Gone {
    /// When it was deleted.
    pub at: Timestamp,
}

impl Record for Gone {
    const TABLE: &'static str = "blob-gone";
}

/// Removes what is due of one account; says how many rows. Called again while there are any.
#[derive(Debug)]
pub struct SweepAccount {
    /// Its GUID.
    pub guid: Uuid,
    /// Its resource, for the record.
    pub id: ResourceId,
}

#[async_trait]
impl Op for SweepAccount {
    const ACTION: Action = Action::new("Microsoft.Storage/storageAccounts/blobServices/sweep", Class::Open);
    type Output = usize;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<usize> {
        let shelf = cx.shelf(self.guid).await?;
        let (mut changes, mut loose) = (Changes::new(), Loose::default());
        let mut count = stale_blocks(cx, &shelf, &mut changes, &mut loose).await?;
        if count == 0 {
            count = over(cx, &shelf, &mut changes, &mut loose).await?;
        }
        if count == 0 {
            count = gone(cx, &shelf, &mut changes, &mut loose).await?;
        }
        if changes.is_empty() {
            return Ok(0);
        }
        cx.note("removed", count.to_string());
        cx.commit(changes).await?;
        loose.drop(cx).await;
        Ok(count)
    }
}

async fn stale_blocks<O: Op>(cx: &Cx<'_, O>, shelf: &Shelf, changes: &mut Changes, loose: &mut Loose) -> Result<usize> {
    let mut rows = cx.all::<Staged>(shelf, b"").await?;
    rows.retain(|row| row.value.at.plus(STAGED) <= cx.now());
    rows.truncate(AT_ONCE);
    for row in &rows {
        changes.delete(shelf, row);
        loose.add(row.value.blob.clone());
    }
    Ok(rows.len())
}

/// Deleted blobs that cannot be had back any more.
async fn over<O: Op>(cx: &Cx<'_, O>, shelf: &Shelf, changes: &mut Changes, loose: &mut Loose) -> Result<usize> {
    let mut rows = cx.all::<DeletedBlob>(shelf, b"").await?;
    rows.retain(|row| row.value.0.deletion.as_ref().is_none_or(|deletion| deletion.until <= cx.now()));
    let rows = one_of_each(rows);
    for row in &rows {
        remove(cx, shelf, &row.id, &row.value.0, changes, loose).await?;
        changes.delete(shelf, row);
    }
    Ok(rows.len())
}

/// Rows of one commit: of each blob one, since the versions of a blob may share blocks.
fn one_of_each<T>(mut rows: Vec<Row<T>>) -> Vec<Row<T>> {
    rows.dedup_by(|a, b| a.id.get(..32) == b.id.get(..32));
    rows.truncate(AT_ONCE);
    rows
}

async fn gone<O: Op>(cx: &Cx<'_, O>, shelf: &Shelf, changes: &mut Changes, loose: &mut Loose) -> Result<usize> {
    for mark in cx.all::<Gone>(shelf, b"").await? {
        let blobs = one_of_each(cx.page::<Blob>(shelf, &mark.id, None, AT_ONCE).await?);
        for row in &blobs {
            remove(cx, shelf, &row.id, &row.value, changes, loose).await?;
            changes.delete(shelf, row);
        }
        if !blobs.is_empty() {
            return Ok(blobs.len());
        }
        let deleted = one_of_each(cx.page::<DeletedBlob>(shelf, &mark.id, None, AT_ONCE).await?);
        for row in &deleted {
            remove(cx, shelf, &row.id, &row.value.0, changes, loose).await?;
            changes.delete(shelf, row);
        }
        if !deleted.is_empty() {
            return Ok(deleted.len());
        }
        let staged = cx.page::<Staged>(shelf, &mark.id, None, AT_ONCE).await?;
        for row in &staged {
            changes.delete(shelf, row);
            loose.add(row.value.blob.clone());
        }
        if !staged.is_empty() {
            return Ok(staged.len());
        }
        if mark.value.at.plus(LATE) <= cx.now() {
            changes.delete(shelf, &mark);
            return Ok(1);
        }
    }
    Ok(0)
}

async fn remove<O: Op>(
    cx: &Cx<'_, O>,
    shelf: &Shelf,
    row: &[u8],
    blob: &Blob,
    changes: &mut Changes,
    loose: &mut Loose,
) -> Result<()> {
    let guid = row.get(..16).and_then(|bytes| Uuid::from_slice(bytes).ok()).unwrap_or_default();
    let container = Container {
        name: String::new(),
        guid,
        etag: 0,
        modified_at: cx.now(),
        metadata: Default::default(),
        policies: Vec::new(),
        lease: None,
    };
    loose.merge(release(cx, shelf, &container, &[blob], &[], changes).await?);
    Ok(())
}

/// Finds the accounts there are.
#[derive(Debug)]
pub(crate) struct ListAccounts;

#[async_trait]
impl Op for ListAccounts {
    const ACTION: Action = Action::new("Microsoft.Storage/storageAccounts/sweep/read", Class::Open);
    type Output = Vec<(ResourceId, Uuid)>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let rows = crate::resources::everywhere::<StorageAccount, _>(cx).await?;
        Ok(rows.into_iter().map(|row| (row.value.id, row.value.guid)).collect())
    }
}

/// Removes what is due in all accounts.
///
/// # Errors
/// When the accounts cannot be listed; what fails for one is logged and left to the next look.
pub async fn sweep_accounts(house: &House) -> Result<()> {
    let caller = kernel::Caller::house();
    for (id, guid) in crate::gate::enter(house, &caller, ListAccounts).await? {
        loop {
            match crate::gate::enter(house, &caller, SweepAccount { guid, id: id.clone() }).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(fault) if fault.kind() == Kind::Stale => {}
                Err(fault) => {
                    tracing::warn!(account = %id, ?fault, "what is due in a storage account could not be removed");
                    break;
                }
            }
        }
    }
    Ok(())
}
