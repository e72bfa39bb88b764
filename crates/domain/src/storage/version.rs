//! Versions: what a blob was before it was overwritten or deleted, kept while the account keeps versions (REST, "Blob versioning").

use async_trait::async_trait;
use kernel::{Action, Class, Kind, ResourceId, Result};
use serde::{Deserialize, Serialize};

use super::{
    blob::{Blob, DeletedBlob, Deletion, Guard, InContainer, family, row_id},
    container::{ATTEMPTS, Container},
    content::{Kept, Loose, release},
    fault,
    service::ServiceSettings,
    time::steps,
};
use crate::gate::{Admission, Changes, Cx, Op, Record, Row, Shelf};

/// Permission to delete versions, apart from deleting blobs: whoever may do the one only leaves versions behind.
pub const DELETE_VERSION: Action = Action::data(
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/deleteBlobVersion/action",
    Class::DataWrite,
);

/// An older version of a blob. It lies in a table of its own: whatever looks for a blob finds what it is now.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct BlobVersion(pub(super) Blob);

impl Record for BlobVersion {
    const TABLE: &'static str = "blob-version";
}

impl Kept for BlobVersion {
    fn blob(&self) -> &Blob {
        &self.0
    }
}

/// Which state of a blob is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// As it is.
    Now,
    /// A snapshot, by its time.
    Snapshot(u64),
    /// A version, by its time; it may be the present one.
    Version(u64),
}

/// The row of an older version.
pub(super) fn version_row(shelf: &Shelf, container: &Container, name: &str, version: u64) -> Vec<u8> {
    row_id(shelf, container, name, Some(version))
}

/// The row of a deleted version among deleted blobs: it is no snapshot of that time.
fn deleted_row(shelf: &Shelf, container: &Container, name: &str, version: u64) -> Vec<u8> {
    let mut id = version_row(shelf, container, name, version);
    id.push(1);
    id
}

/// A version that no other state of this blob has: now, or a moment after the last one.
pub(super) async fn fresh_version(
    cx: &Admission<'_>,
    at: &InContainer,
    container: &Container,
    last: Option<u64>,
) -> Result<u64> {
    unused(cx, at, container, steps(cx.now()).max(last.unwrap_or(0).saturating_add(1))).await
}

async fn unused(cx: &Admission<'_>, at: &InContainer, container: &Container, mut version: u64) -> Result<u64> {
    let (shelf, name) = (at.shelf(), at.blob.as_str());
    while cx.get::<BlobVersion>(shelf, &version_row(shelf, container, name, version)).await?.is_some()
        || cx.get::<DeletedBlob>(shelf, &deleted_row(shelf, container, name, version)).await?.is_some()
    {
        version = version.saturating_add(1);
    }
    Ok(version)
}

/// Keeps what a blob was as an older version, with `changes`. Gives that version.
pub(super) async fn keep_version(
    cx: &Admission<'_>,
    at: &InContainer,
    container: &Container,
    mut old: Blob,
    changes: &mut Changes,
) -> Result<u64> {
    let version = match old.version {
        Some(version) => version,
        // Written while no versions were kept: it gets the moment of its last write.
        None => unused(cx, at, container, steps(old.modified_at)).await?,
    };
    old.version = Some(version);
    old.is_past = true;
    old.lease = None;
    let id = version_row(at.shelf(), container, &old.name, version);
    changes.put(at.shelf(), &Row::new(id, BlobVersion(old)))?;
    Ok(version)
}

/// Brings back a deleted version, with `changes`. One that is there stays.
pub(super) async fn bring_back(
    cx: &Admission<'_>,
    shelf: &Shelf,
    container: &Container,
    row: &Row<DeletedBlob>,
    changes: &mut Changes,
) -> Result<()> {
    let mut blob = row.value.0.clone();
    blob.deletion = None;
    let id = version_row(shelf, container, &blob.name, blob.version.unwrap_or_default());
    if cx.get::<BlobVersion>(shelf, &id).await?.is_none() {
        changes.delete(shelf, row);
        changes.put(shelf, &Row::new(id, BlobVersion(blob)))?;
    }
    Ok(())
}

/// Deletes an older version. While deleted blobs are kept it can be had back.
#[derive(Debug)]
pub struct DeleteBlobVersion {
    /// Of which blob.
    pub at: InContainer,
    /// Which.
    pub version: u64,
    /// What must hold.
    pub guard: Guard,
}

#[async_trait]
impl Op for DeleteBlobVersion {
    const ACTION: Action = DELETE_VERSION;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let container = self.at.container(cx).await?;
        let (shelf, name) = (self.at.shelf(), self.at.blob.as_str());
        let settings = ServiceSettings::of(cx, &self.at.account).await?;
        for _ in 0..ATTEMPTS {
            if self.at.look(cx, &container).await?.is_some_and(|row| row.value.version == Some(self.version)) {
                let why = "The present version of a blob is not deleted by its id; delete the blob, which leaves it as an older version.";
                return Err(fault::not_for_this("OperationNotAllowedOnRootBlob", why));
            }
            let id = version_row(shelf, &container, name, self.version);
            let row = cx.get::<BlobVersion>(shelf, &id).await?.ok_or_else(fault::no_blob)?;
            self.guard.conditions.hold_for_write(row.value.0.mark())?;
            let mut changes = Changes::new();
            changes.delete(shelf, &row);
            let loose = match settings.retention() {
                None => {
                    let place = family(shelf, &container, name);
                    release(cx, shelf, &place, &[&row.value.0], &[], &mut changes).await?
                }
                Some(span) => {
                    let mut blob = row.value.0;
                    blob.deletion = Some(Deletion { at: cx.now(), until: cx.now().plus(span) });
                    let id = deleted_row(shelf, &container, name, self.version);
                    changes.put(shelf, &Row::new(id, DeletedBlob(blob)))?;
                    Loose::default()
                }
            };
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
