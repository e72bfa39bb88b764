//! Deleting blobs, and having them back while deleted ones are kept.

use async_trait::async_trait;
use kernel::{Action, Kind, ResourceId, Result};

use super::{
    blob::{Blob, DeletedBlob, Deletion, Guard, InContainer, family, row_id},
    block::Staged,
    container::{ATTEMPTS, Container},
    content::{Loose, release},
    fault,
    put::{DELETE, WRITE},
    service::retention,
    time::steps,
};
use crate::gate::{Changes, Cx, Op, Row};

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
        let shelf = self.at.shelf();
        let mut all = cx.all::<Blob>(shelf, &family(shelf, container, self.at.blob.as_str())).await?;
        let has_snapshots = all.iter().any(|row| row.value.snapshot.is_some());
        if self.snapshots == Snapshots::Only {
            self.guard.conditions.hold_for_write(row.value.mark())?;
            all.retain(|row| row.value.snapshot.is_some());
            return Ok(all);
        }
        self.guard.hold_for_write(&row.value, cx.now())?;
        if has_snapshots && self.snapshots == Snapshots::Keep {
            let why = "This operation is not permitted because the blob has snapshots.";
            return Err(fault::conflict("SnapshotsPresent", why));
        }
        Ok(all)
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
        let Some(span) = retention(cx, &self.at.account).await? else {
            let blobs: Vec<&Blob> = gone.iter().map(|row| &row.value).collect();
            let mut loose = release(cx, shelf, container, &blobs, &[], changes).await?;
            if gone.iter().any(|row| row.value.snapshot.is_none()) {
                let place = family(shelf, container, self.at.blob.as_str());
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
        let shelf = self.at.shelf();
        let place = family(shelf, &container, self.at.blob.as_str());
        for _ in 0..ATTEMPTS {
            let deleted = cx.all::<DeletedBlob>(shelf, &place).await?;
            let present = self.at.look(cx, &container).await?;
            if deleted.is_empty() {
                return if present.is_some() { Ok(()) } else { Err(fault::no_blob()) };
            }
            let mut changes = Changes::new();
            for row in &deleted {
                let mut blob = row.value.0.clone();
                let is_base = blob.snapshot.is_none();
                blob.deletion = None;
                let taken =
                    cx.get::<Blob>(shelf, &row_id(shelf, &container, &blob.name, blob.snapshot)).await?.is_some();
                if taken && is_base {
                    continue;
                }
                let mut time = blob.snapshot;
                while let Some(at) = time
                    && cx.get::<Blob>(shelf, &row_id(shelf, &container, &blob.name, Some(at))).await?.is_some()
                {
                    time = Some(at.saturating_add(1));
                }
                blob.snapshot = time;
                changes.delete(shelf, row);
                changes.put(shelf, &Row::new(row_id(shelf, &container, &blob.name, time), blob))?;
            }
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(fault::too_fast())
    }
}
