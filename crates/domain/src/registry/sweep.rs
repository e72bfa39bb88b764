//! What the house removes by itself: uploads that nobody goes on with, content that no manifest uses, and what lay in deleted
//! repositories. All of it is a day old at least, so that no push that is under way loses what it sent.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Kind, ResourceId, Result};
use uuid::Uuid;

use super::{
    blob::UNUSED,
    content::{Link, Stored, take},
    manifest::{Manifest, Tag},
    referrers::Referrer,
    repository::GoneRepository,
    upload::Upload,
};
use crate::{
    gate::{BlobRef, Changes, Cx, House, Op, Record, Row, Shelf, enter},
    resources::{Registry, everywhere},
};

/// Uploads are kept for so long after the last that was heard of them.
const IDLE: Duration = Duration::from_secs(24 * 3600);
/// A deleted repository is looked at again for so long: a push that was under way may end after it.
const LATE: Duration = Duration::from_secs(25 * 3600);
/// Rows that are looked at.
const AT_ONCE: usize = 256;
/// How often a page is tried that somebody else changes.
const ATTEMPTS: usize = 8;

/// A place in the sweep of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SweepPlace {
    stage: Stage,
    after: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Uploads,
    Links,
    Gone,
}

impl SweepPlace {
    const BEGIN: Self = Self { stage: Stage::Uploads, after: None };

    fn on(&self, found: usize, last: Option<Vec<u8>>) -> Option<Self> {
        if found >= AT_ONCE {
            return Some(Self { stage: self.stage, after: last });
        }
        let stage = match self.stage {
            Stage::Uploads => Stage::Links,
            Stage::Links => Stage::Gone,
            Stage::Gone => return None,
        };
        Some(Self { stage, after: None })
    }
}

/// Looks at one page of a registry and removes what is due of it. Says where to go on; none when all was looked at.
#[derive(Debug)]
struct SweepRegistry {
    guid: Uuid,
    id: ResourceId,
    at: SweepPlace,
}

#[async_trait]
impl Op for SweepRegistry {
    const ACTION: Action = Action::new("Microsoft.ContainerRegistry/registries/sweep", Class::Open);
    type Output = Option<SweepPlace>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let shelf = cx.shelf(self.guid).await?;
        match self.at.stage {
            Stage::Uploads => self.uploads(cx, &shelf).await,
            Stage::Links => self.links(cx, &shelf).await,
            Stage::Gone => self.gone(cx, &shelf).await,
        }
    }
}

impl SweepRegistry {
    async fn uploads(&self, cx: &Cx<'_, Self>, shelf: &Shelf) -> Result<Option<SweepPlace>> {
        let rows = cx.page::<Upload>(shelf, b"", self.at.after.as_deref(), AT_ONCE).await?;
        let next = self.at.on(rows.len(), rows.last().map(|row| row.id.clone()));
        for row in rows.iter().filter(|row| row.value.touched_at.plus(IDLE) <= cx.now()) {
            let Ok(id) = Uuid::from_slice(&row.id) else { continue };
            let mut changes = Changes::new();
            changes.delete(shelf, row);
            let loose = Stored::Parts { id, count: row.value.parts }.release(cx, shelf, &mut changes).await?;
            done(cx, changes, loose).await?;
        }
        Ok(next)
    }

    async fn links(&self, cx: &Cx<'_, Self>, shelf: &Shelf) -> Result<Option<SweepPlace>> {
        let rows = cx.page::<Link>(shelf, b"", self.at.after.as_deref(), AT_ONCE).await?;
        let next = self.at.on(rows.len(), rows.last().map(|row| row.id.clone()));
        let is_due = |link: &Link| link.uses == 0 && link.touched_at.plus(UNUSED) <= cx.now();
        for row in rows.iter().filter(|row| is_due(&row.value)) {
            unlink(cx, shelf, row).await?;
        }
        Ok(next)
    }

    /// What lay in the next deleted repository, one kind of rows after the other. It is looked at again until nothing is left.
    async fn gone(&self, cx: &Cx<'_, Self>, shelf: &Shelf) -> Result<Option<SweepPlace>> {
        let Some(mark) = cx.page::<GoneRepository>(shelf, b"", self.at.after.as_deref(), 1).await?.pop() else {
            return Ok(None);
        };
        let again = Some(self.at.clone());
        if remove_all::<Tag>(cx, shelf, &mark.id).await? || remove_all::<Referrer>(cx, shelf, &mark.id).await? {
            return Ok(again);
        }
        let manifests = cx.page::<Manifest>(shelf, &mark.id, None, AT_ONCE).await?;
        if !manifests.is_empty() {
            let mut changes = Changes::new();
            manifests.iter().for_each(|row| {
                changes.delete(shelf, row);
            });
            let loose = manifests.iter().filter_map(|row| row.value.stored().cloned()).collect();
            done(cx, changes, loose).await?;
            return Ok(again);
        }
        let links = cx.page::<Link>(shelf, &mark.id, None, AT_ONCE).await?;
        for row in &links {
            unlink(cx, shelf, row).await?;
        }
        if !links.is_empty() {
            return Ok(again);
        }
        let next = Some(SweepPlace { stage: Stage::Gone, after: Some(mark.id.clone()) });
        if mark.value.at.plus(LATE) <= cx.now() {
            let mut changes = Changes::new();
            changes.delete(shelf, &mark);
            done(cx, changes, Vec::new()).await?;
        }
        Ok(next)
    }
}

/// Whether there were any.
async fn remove_all<T: Record>(cx: &Cx<'_, SweepRegistry>, shelf: &Shelf, prefix: &[u8]) -> Result<bool> {
    let rows = cx.page::<T>(shelf, prefix, None, AT_ONCE).await?;
    let mut changes = Changes::new();
    for row in &rows {
        changes.delete(shelf, row);
    }
    done(cx, changes, Vec::new()).await?;
    Ok(!rows.is_empty())
}

async fn unlink(cx: &Cx<'_, SweepRegistry>, shelf: &Shelf, row: &Row<Link>) -> Result<()> {
    let mut changes = Changes::new();
    let loose = take(cx, shelf, row, &mut changes).await?;
    done(cx, changes, loose).await
}

async fn done(cx: &Cx<'_, SweepRegistry>, changes: Changes, loose: Vec<BlobRef>) -> Result<()> {
    if !changes.is_empty() {
        cx.commit(changes).await?;
    }
    for blob in &loose {
        cx.drop_blob(blob).await;
    }
    Ok(())
}

/// Finds the registries there are.
#[derive(Debug)]
struct FindRegistries;

#[async_trait]
impl Op for FindRegistries {
    const ACTION: Action = Action::new("Microsoft.ContainerRegistry/registries/sweep/read", Class::Open);
    type Output = Vec<(ResourceId, Uuid)>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let rows = everywhere::<Registry>(cx).await?;
        Ok(rows.into_iter().map(|row| (row.value.id, row.value.guid)).collect())
    }
}

/// Removes what is due in all registries.
///
/// # Errors
/// When the registries cannot be listed; what fails for one is logged and left to the next look.
pub async fn sweep_registries(house: &House) -> Result<()> {
    let caller = Caller::house();
    for (id, guid) in enter(house, &caller, FindRegistries).await? {
        let mut at = SweepPlace::BEGIN;
        let mut tries = 0;
        loop {
            match enter(house, &caller, SweepRegistry { guid, id: id.clone(), at: at.clone() }).await {
                Ok(None) => break,
                Ok(Some(next)) => (at, tries) = (next, 0),
                // Somebody pushes just now: the page is read again.
                Err(fault) if fault.kind() == Kind::Stale && tries < ATTEMPTS => tries += 1,
                Err(fault) => {
                    tracing::warn!(registry = %id, ?fault, "what is due in a registry could not be removed");
                    break;
                }
            }
        }
    }
    Ok(())
}
