//! Deleting blobs, and having them back while deleted ones are kept.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kernel::{Action, Kind, ResourceId, Result};

use super::{
    blob::{Blob, DeletedBlob, Deletion, Guard, InContainer, family, row_id},
    block::Staged,
    container::{ATTEMPTS, Container},
    content::{Loose, release},
    fault,
    put::{DELETE, WRITE},
    service::ServiceSettings,
    time::{snapshot_text, steps},
    version::{self, keep_version},
};
use crate::gate::{Changes, Cx, Op, Row};

/// Deleted blobs and snapshots that come back in one commit.
const AT_ONCE: usize = 256;

/// What is deleted of a blob that has snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snapshots {
    /// Nothing: it is refused.
    Keep,
    /// They too.
    Include,
    /// They alone.
    Only,
}

/// Deletes a blob, its snapshots, or one of these.
#[derive(Debug)]
pub struct DeleteBlob {
    /// Which.
    pub at: InContainer,
    /// One snapshot alone.
    pub snapshot: Option<u64>,
    /// What becomes of the snapshots of a blob.
    pub snapshots: Snapshots,
    /// What must hold.
    pub guard: Guard,
}

#[async_trait]
impl Op for DeleteBlob {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let container = self.at.container(cx).await?;
        for _ in 0..ATTEMPTS {
            let gone = self.choose(cx, &container).await?;
            let mut changes = Changes::new();
            let loose = self.remove(cx, &container, &gone, &mut changes).await?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                Err(fault) => return Err(fault),
                Ok(()) => {
                    let place = family(self.at.shelf(), &container, self.at.blob.as_str());
                    cx.house().accounts.staged.end(&place);
                    loose.drop(cx).await;
                    return Ok(());
                }
            }
        }
        Err(fault::too_fast())
    }
}

impl DeleteBlob {
    /// The rows that go.
    async fn choose(&self, cx: &Cx<'_, Self>, container: &Container) -> Result<Vec<Row<Blob>>> {
        let row = self.at.find(cx, container, self.snapshot).await?;
        if self.snapshot.is_some() {
            self.guard.conditions.hold_for_write(row.value.mark())?;
            return Ok(vec![row]);
        }
        let (shelf, place) = (self.at.shelf(), family(self.at.shelf(), container, self.at.blob.as_str()));
        match self.snapshots {
            Snapshots::Only => {
                self.guard.conditions.hold_for_write(row.value.mark())?;
                let mut all = cx.all::<Blob>(shelf, &place).await?;
                all.retain(|row| row.value.snapshot.is_some());
                Ok(all)
            }
            Snapshots::Include => {
                self.guard.hold_for_write(&row.value, cx.now())?;
                cx.all::<Blob>(shelf, &place).await
            }
            Snapshots::Keep => {
                self.guard.hold_for_write(&row.value, cx.now())?;
                if cx.page::<Blob>(shelf, &place, None, 2).await?.len() > 1 {
                    let why = "This operation is not permitted because the blob has snapshots.";
                    return Err(fault::conflict("SnapshotsPresent", why));
                }
                Ok(vec![row])
            }
        }
    }

    async fn remove(
        &self,
        cx: &Cx<'_, Self>,
        container: &Container,
        gone: &[Row<Blob>],
        changes: &mut Changes,
    ) -> Result<Loose> {
        let shelf = self.at.shelf();
        for row in gone {
            changes.delete(shelf, row);
        }
        let settings = ServiceSettings::of(cx, &self.at.account).await?;
        let (mut gone, mut base) = (gone.iter().collect::<Vec<_>>(), None);
        if settings.versioning {
            base = gone.iter().position(|row| row.value.snapshot.is_none()).map(|at| gone.remove(at));
        }
        // Its blocks stay where they are, so that nothing of the blob is let go.
        if let Some(base) = base {
            let version = keep_version(cx, &self.at, container, base.value.clone(), changes).await?;
            cx.note("keptAs", snapshot_text(version));
        }
        let Some(span) = settings.retention() else {
            let blobs: Vec<&Blob> = gone.iter().map(|row| &row.value).collect();
            let place = family(shelf, container, self.at.blob.as_str());
            let mut loose = release(cx, shelf, &place, &blobs, &[], changes).await?;
            let was_base = |row: &&Row<Blob>| row.value.snapshot.is_none();
            if base.is_some() || gone.iter().any(was_base) {
                for staged in cx.all::<Staged>(shelf, &place).await? {
                    changes.delete(shelf, &staged);
                    loose.add(staged.value.blob);
                }
            }
            return Ok(loose);
        };
        for row in gone {
            let mut blob = row.value.clone();
            blob.lease = None;
            blob.deletion = Some(Deletion { at: cx.now(), until: cx.now().plus(span) });
            let place = row_id(shelf, container, &blob.name, blob.snapshot);
            let mut next = Row::new(place.clone(), DeletedBlob(blob));
            // One that was deleted before under the same name stays as a snapshot of that time.
            if let Some(mut earlier) = cx.get::<DeletedBlob>(shelf, &place).await? {
                next.version = earlier.version;
                let at = earlier.value.0.deletion.as_ref().map_or(cx.now(), |deletion| deletion.at);
                let mut time = steps(at);
                while cx
                    .get::<DeletedBlob>(shelf, &row_id(shelf, container, &row.value.name, Some(time)))
                    .await?
                    .is_some()
                {
                    time = time.saturating_add(1);
                }
                earlier.value.0.snapshot = Some(time);
                changes.put(shelf, &Row::new(row_id(shelf, container, &row.value.name, Some(time)), earlier.value))?;
            }
            changes.put(shelf, &next)?;
        }
        cx.note("keptUntil", cx.now().plus(span).rfc3339());
        Ok(Loose::default())
    }
}

/// Brings back a deleted blob and its deleted snapshots. Fine when there is nothing to bring back.
#[derive(Debug)]
pub struct UndeleteBlob {
    /// Which.
    pub at: InContainer,
}

#[async_trait]
impl Op for UndeleteBlob {
    const ACTION: Action = WRITE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let container = self.at.container(cx).await?;
        let place = family(self.at.shelf(), &container, self.at.blob.as_str());
        let (mut after, mut tries): (Option<Vec<u8>>, usize) = (None, 0);
        let mut found = false;
        loop {
            let deleted = cx.page::<DeletedBlob>(self.at.shelf(), &place, after.as_deref(), AT_ONCE).await?;
            let Some(last) = deleted.last().map(|row| row.id.clone()) else { break };
            found = true;
            // Whoever is stopped in between has a part of them back, and asks again for the rest.
            match self.bring_back(cx, &container, deleted).await {
                Ok(()) => (after, tries) = (Some(last), 0),
                Err(fault) if fault.kind() == Kind::Stale && tries < ATTEMPTS => tries = tries.saturating_add(1),
                Err(fault) if fault.kind() == Kind::Stale => return Err(fault::too_fast()),
                Err(fault) => return Err(fault),
            }
        }
        if found || self.at.look(cx, &container).await?.is_some() { Ok(()) } else { Err(fault::no_blob()) }
    }
}

impl UndeleteBlob {
    /// Brings back what these rows hold, in one commit.
    async fn bring_back(&self, cx: &Cx<'_, Self>, container: &Container, deleted: Vec<Row<DeletedBlob>>) -> Result<()> {
        let shelf = self.at.shelf();
        let mut changes = Changes::new();
        let mut taken: BTreeSet<Vec<u8>> = BTreeSet::new();
        for row in deleted {
            if row.value.0.is_past {
                version::bring_back(cx, shelf, container, &row, &mut changes).await?;
                continue;
            }
            let mut blob = row.value.0.clone();
            blob.deletion = None;
            let place = |time| row_id(shelf, container, &blob.name, time);
            // One that was made meanwhile stays, and what it replaced goes on resting.
            if blob.snapshot.is_none() && cx.get::<Blob>(shelf, &place(None)).await?.is_some() {
                continue;
            }
            let mut time = blob.snapshot;
            while let Some(at) = time
                && (taken.contains(&place(time)) || cx.get::<Blob>(shelf, &place(time)).await?.is_some())
            {
                time = Some(at.saturating_add(1));
            }
            let id = place(time);
            taken.insert(id.clone());
            blob.snapshot = time;
            changes.delete(shelf, &row);
            changes.put(shelf, &Row::new(id, blob))?;
        }
        if changes.is_empty() { Ok(()) } else { cx.commit(changes).await }
    }
}
