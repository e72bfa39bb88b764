//! What the house removes by itself: blocks that no list named for a week, deleted blobs whose time is over, and what lay in deleted
//! containers.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Class, Kind, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    blob::{Blob, DeletedBlob, FAMILY},
    block::Staged,
    container::ATTEMPTS,
    content::{Loose, release},
    delegation::Issued,
    version::BlobVersion,
};
use crate::{
    gate::{Admission, Changes, Cx, House, Op, Record, Shelf},
    resources::StorageAccount,
};

/// Blocks that no list names are kept so long; Azure's span.
const STAGED: Duration = Duration::from_secs(7 * 24 * 3600);
/// A deleted container is looked at again for so long: a write that was under way may end after it.
const LATE: Duration = Duration::from_secs(2 * 3600);
/// Rows that are looked at, and removed in one commit.
const AT_ONCE: usize = 256;
/// Blocks of blobs that are let go of in one commit: as many as two blobs have at most.
const BLOCKS_AT_ONCE: u64 = 100_000;

/// A container that was deleted, by its GUID, until all that lay in it is removed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Gone {
    /// When it was deleted.
    pub at: Timestamp,
}

impl Record for Gone {
    const TABLE: &'static str = "blob-gone";
}

/// A place in the sweep of an account, which reads its tables one after the other, a page at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepPlace {
    stage: Stage,
    /// The row that was looked at last.
    after: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Delegation keys that were given out.
    Issued,
    /// Blocks that wait for a list.
    Staged,
    /// Deleted blobs that can be had back.
    Deleted,
    /// What lay in deleted containers.
    Gone,
}

impl SweepPlace {
    /// Where a sweep begins.
    pub const BEGIN: Self = Self { stage: Stage::Issued, after: None };

    /// The next place, when so many rows of a page were found and the last of them is this one.
    fn on(&self, found: usize, last: Option<Vec<u8>>) -> Option<Self> {
        if found >= AT_ONCE {
            return Some(Self { stage: self.stage, after: last });
        }
        let stage = match self.stage {
            Stage::Issued => Stage::Staged,
            Stage::Staged => Stage::Deleted,
            Stage::Deleted => Stage::Gone,
            Stage::Gone => return None,
        };
        Some(Self { stage, after: None })
    }
}

/// Looks at one page of an account and removes what is due of it. Says where to go on; none when all was looked at.
#[derive(Debug)]
pub struct SweepAccount {
    /// Its GUID.
    pub guid: Uuid,
    /// Its resource, for the record.
    pub id: ResourceId,
    /// Where.
    pub at: SweepPlace,
}

#[async_trait]
impl Op for SweepAccount {
    const ACTION: Action = Action::new("Microsoft.Storage/storageAccounts/blobServices/sweep", Class::Open);
    type Output = Option<SweepPlace>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let shelf = cx.shelf(self.guid).await?;
        let (mut changes, mut loose) = (Changes::new(), Loose::default());
        let (count, next) = match self.at.stage {
            Stage::Issued => self.ended_keys(cx, &shelf, &mut changes).await?,
            Stage::Staged => self.stale_blocks(cx, &shelf, &mut changes, &mut loose).await?,
            Stage::Deleted => self.over(cx, &shelf, &mut changes, &mut loose).await?,
            Stage::Gone => self.gone(cx, &shelf, &mut changes, &mut loose).await?,
        };
        if !changes.is_empty() {
            cx.note("removed", count.to_string());
            cx.commit(changes).await?;
            cx.house().accounts.staged.forget();
            loose.drop(cx).await;
        }
        Ok(next)
    }
}

impl SweepAccount {
    /// Delegation keys that have ended.
    async fn ended_keys(
        &self,
        cx: &Cx<'_, Self>,
        shelf: &Shelf,
        changes: &mut Changes,
    ) -> Result<(usize, Option<SweepPlace>)> {
        let mut rows = cx.page::<Issued>(shelf, b"", self.at.after.as_deref(), AT_ONCE).await?;
        let next = self.at.on(rows.len(), rows.last().map(|row| row.id.clone()));
        rows.retain(|row| row.value.until <= cx.now());
        for row in &rows {
            changes.delete(shelf, row);
        }
        Ok((rows.len(), next))
    }

    async fn stale_blocks(
        &self,
        cx: &Cx<'_, Self>,
        shelf: &Shelf,
        changes: &mut Changes,
        loose: &mut Loose,
    ) -> Result<(usize, Option<SweepPlace>)> {
        let mut rows = cx.page::<Staged>(shelf, b"", self.at.after.as_deref(), AT_ONCE).await?;
        let next = self.at.on(rows.len(), rows.last().map(|row| row.id.clone()));
        rows.retain(|row| row.value.at.plus(STAGED) <= cx.now());
        for row in &rows {
            changes.delete(shelf, row);
            loose.add(row.value.blob.clone());
        }
        Ok((rows.len(), next))
    }

    /// Deleted blobs that cannot be had back any more.
    async fn over(
        &self,
        cx: &Cx<'_, Self>,
        shelf: &Shelf,
        changes: &mut Changes,
        loose: &mut Loose,
    ) -> Result<(usize, Option<SweepPlace>)> {
        let mut rows = cx.page::<DeletedBlob>(shelf, b"", self.at.after.as_deref(), AT_ONCE).await?;
        let found = if cut(&mut rows, |row| row.value.0.blocks()) { AT_ONCE } else { rows.len() };
        let next = self.at.on(found, rows.last().map(|row| row.id.clone()));
        rows.retain(|row| row.value.0.deletion.as_ref().is_none_or(|deletion| deletion.until <= cx.now()));
        for row in &rows {
            changes.delete(shelf, row);
        }
        let count = rows.len();
        remove(cx, shelf, rows.into_iter().map(|row| (row.id, row.value.0)), changes, loose).await?;
        Ok((count, next))
    }

    /// What lay in the next deleted container. It is looked at again until nothing is left, since what is removed comes no more.
    async fn gone(
        &self,
        cx: &Cx<'_, Self>,
        shelf: &Shelf,
        changes: &mut Changes,
        loose: &mut Loose,
    ) -> Result<(usize, Option<SweepPlace>)> {
        let Some(mark) = cx.page::<Gone>(shelf, b"", self.at.after.as_deref(), 1).await?.pop() else {
            return Ok((0, None));
        };
        let again = Some(self.at.clone());
        let mut blobs = cx.page::<Blob>(shelf, &mark.id, None, AT_ONCE).await?;
        cut(&mut blobs, |row| row.value.blocks());
        if !blobs.is_empty() {
            for row in &blobs {
                changes.delete(shelf, row);
            }
            let count = blobs.len();
            remove(cx, shelf, blobs.into_iter().map(|row| (row.id, row.value)), changes, loose).await?;
            return Ok((count, again));
        }
        let mut versions = cx.page::<BlobVersion>(shelf, &mark.id, None, AT_ONCE).await?;
        cut(&mut versions, |row| row.value.0.blocks());
        if !versions.is_empty() {
            for row in &versions {
                changes.delete(shelf, row);
            }
            let count = versions.len();
            remove(cx, shelf, versions.into_iter().map(|row| (row.id, row.value.0)), changes, loose).await?;
            return Ok((count, again));
        }
        let mut deleted = cx.page::<DeletedBlob>(shelf, &mark.id, None, AT_ONCE).await?;
        cut(&mut deleted, |row| row.value.0.blocks());
        if !deleted.is_empty() {
            for row in &deleted {
                changes.delete(shelf, row);
            }
            let count = deleted.len();
            remove(cx, shelf, deleted.into_iter().map(|row| (row.id, row.value.0)), changes, loose).await?;
            return Ok((count, again));
        }
        let staged = cx.page::<Staged>(shelf, &mark.id, None, AT_ONCE).await?;
        for row in &staged {
            changes.delete(shelf, row);
            loose.add(row.value.blob.clone());
        }
        if !staged.is_empty() {
            return Ok((staged.len(), again));
        }
        let next = Some(SweepPlace { stage: Stage::Gone, after: Some(mark.id.clone()) });
        if mark.value.at.plus(LATE) <= cx.now() {
            changes.delete(shelf, &mark);
            return Ok((1, next));
        }
        Ok((0, next))
    }
}

/// Leaves as many rows as have few enough blocks together, but one at least. Whether some were left out.
fn cut<T>(rows: &mut Vec<T>, blocks: impl Fn(&T) -> u64) -> bool {
    let mut sum = 0_u64;
    let mut fits = |row: &T| {
        sum = sum.saturating_add(blocks(row));
        sum <= BLOCKS_AT_ONCE
    };
    let (whole, most) = (rows.len(), rows.iter().map_while(|row| fits(row).then_some(())).count().max(1));
    rows.truncate(most);
    rows.len() < whole
}

/// Lets go of what these blobs hold, those of one name together: they may share blocks. Rows come in the order of their ids.
async fn remove(
    cx: &Admission<'_>,
    shelf: &Shelf,
    rows: impl Iterator<Item = (Vec<u8>, Blob)> + Send,
    changes: &mut Changes,
    loose: &mut Loose,
) -> Result<()> {
    let mut of_one: (Vec<u8>, Vec<Blob>) = Default::default();
    for (id, blob) in rows {
        let family = id.get(..FAMILY).unwrap_or(&id).to_vec();
        if family != of_one.0 {
            loose.merge(release(cx, shelf, &of_one.0, &of_one.1.iter().collect::<Vec<_>>(), &[], changes).await?);
            of_one = (family, Vec::new());
        }
        of_one.1.push(blob);
    }
    loose.merge(release(cx, shelf, &of_one.0, &of_one.1.iter().collect::<Vec<_>>(), &[], changes).await?);
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
        let rows = crate::resources::everywhere::<StorageAccount>(cx).await?;
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
        let mut at = SweepPlace::BEGIN;
        let mut tries = 0;
        loop {
            let op = SweepAccount { guid, id: id.clone(), at: at.clone() };
            match crate::gate::enter(house, &caller, op).await {
                Ok(None) => break,
                Ok(Some(next)) => (at, tries) = (next, 0),
                Err(fault) if fault.kind() == Kind::Stale && tries < ATTEMPTS => tries += 1,
                Err(fault) => {
                    tracing::warn!(account = %id, ?fault, "what is due in a storage account could not be removed");
                    break;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_lets_go_of_as_many_blocks_as_it_can_hold() {
        let mut rows: Vec<u64> = vec![1, 60_000, 40_000, 1];
        assert!(cut(&mut rows, |row| *row));
        assert_eq!(rows, [1, 60_000]);
        let mut rows = vec![200_000, 1];
        assert!(cut(&mut rows, |row| *row), "one at least");
        assert_eq!(rows, [200_000]);
        let mut rows = vec![50_000, 50_000];
        assert!(!cut(&mut rows, |row| *row));
        assert!(!cut(&mut Vec::<u64>::new(), |row| *row));
    }
}
