//! Changing what is said of a blob, leasing it, and keeping its present state as a snapshot.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Class, Kind, ResourceId, Result};

use super::{
    blob::{Blob, ContentHeaders, Guard, InContainer, check_metadata, check_tags, row_id},
    container::ATTEMPTS,
    etag, fault, lease,
    put::WRITE,
    service::ServiceSettings,
    time::steps,
    version::{Moment, fresh_version, keep_version},
};
use crate::gate::{Admission, Changes, Cx, Op, Row};

/// Permission to read tags.
pub const READ_TAGS: Action =
    Action::data("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/tags/read", Class::Read);
/// Permission to write tags.
pub const WRITE_TAGS: Action =
    Action::data("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/tags/write", Class::DataWrite);

/// What is changed.
#[derive(Clone, Debug)]
pub enum BlobChange {
    /// All its labels.
    Metadata(BTreeMap<String, String>),
    /// All that downloads are labelled with.
    Headers(ContentHeaders),
    /// Its lease.
    Lease(lease::Ask),
}

/// Changes a blob without touching its bytes.
#[derive(Debug)]
pub struct ChangeBlob {
    /// Which.
    pub at: InContainer,
    /// What.
    pub change: BlobChange,
    /// What must hold.
    pub guard: Guard,
}

#[async_trait]
impl Op for ChangeBlob {
    const ACTION: Action = WRITE;
    type Output = (Blob, Option<lease::Answer>);

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if let BlobChange::Metadata(metadata) = &self.change {
            check_metadata(metadata)?;
        }
        // Of what is changed here, only labels are part of a version.
        let versions = matches!(self.change, BlobChange::Metadata(_));
        changed(cx, &self.at, versions, |blob| match &self.change {
            BlobChange::Lease(ask) => {
                self.guard.conditions.hold_for_write(blob.mark())?;
                lease::apply(&mut blob.lease, *ask, cx.now()).map(Some)
            }
            BlobChange::Metadata(metadata) => {
                self.guard.hold_for_write(blob, cx.now())?;
                blob.metadata.clone_from(metadata);
                blob.set_mark(etag::fresh(cx.now())?);
                Ok(None)
            }
            BlobChange::Headers(headers) => {
                self.guard.hold_for_write(blob, cx.now())?;
                blob.headers.clone_from(headers);
                blob.set_mark(etag::fresh(cx.now())?);
                Ok(None)
            }
        })
        .await
    }
}

/// Replaces a blob's tags. Its ETag stays.
#[derive(Debug)]
pub struct SetTags {
    /// Of which blob.
    pub at: InContainer,
    /// All of them.
    pub tags: BTreeMap<String, String>,
    /// The lease that the caller holds.
    pub guard: Guard,
}

#[async_trait]
impl Op for SetTags {
    const ACTION: Action = WRITE_TAGS;
    type Output = Blob;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Blob> {
        check_tags(&self.tags)?;
        let set = |blob: &mut Blob| {
            self.guard.hold_for_write(blob, cx.now())?;
            blob.tags.clone_from(&self.tags);
            Ok(())
        };
        Ok(changed(cx, &self.at, false, set).await?.0)
    }
}

/// Reads a blob's tags.
#[derive(Debug)]
pub struct GetTags {
    /// Of which blob.
    pub at: InContainer,
    /// Of which moment.
    pub moment: Moment,
}

#[async_trait]
impl Op for GetTags {
    const ACTION: Action = READ_TAGS;
    type Output = BTreeMap<String, String>;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let container = self.at.container(cx).await?;
        Ok(self.at.read(cx, &container, self.moment).await?.tags)
    }
}

/// Reads, edits and writes back, again while somebody else is faster. What was there becomes an older version, where it `versions` and
/// the account keeps these.
async fn changed<T>(
    cx: &Admission<'_>,
    at: &InContainer,
    versions: bool,
    edit: impl Fn(&mut Blob) -> Result<T>,
) -> Result<(Blob, T)> {
    let container = at.container(cx).await?;
    let versions = versions && ServiceSettings::of(cx, &at.account).await?.versioning;
    for _ in 0..ATTEMPTS {
        let mut row = at.find(cx, &container, None).await?;
        let mut changes = Changes::new();
        let before = versions.then(|| row.value.clone());
        let done = edit(&mut row.value)?;
        if let Some(before) = before {
            let last = keep_version(cx, at, &container, before, &mut changes).await?;
            row.value.version = Some(fresh_version(cx, at, &container, Some(last)).await?);
        }
        changes.put(at.shelf(), &row)?;
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Kind::Stale => {}
            outcome => return outcome.map(|()| (row.value, done)),
        }
    }
    Err(fault::too_fast())
}

/// Keeps a blob as it is now under the time of now.
#[derive(Debug)]
pub struct SnapshotBlob {
    /// Which.
    pub at: InContainer,
    /// The snapshot's labels; the blob's own when there are none.
    pub metadata: BTreeMap<String, String>,
    /// What must hold.
    pub guard: Guard,
}

#[async_trait]
impl Op for SnapshotBlob {
    const ACTION: Action = WRITE;
    type Output = Blob;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Blob> {
        check_metadata(&self.metadata)?;
        let container = self.at.container(cx).await?;
        let shelf = self.at.shelf();
        for _ in 0..ATTEMPTS {
            let row = self.at.find(cx, &container, None).await?;
            self.guard.conditions.hold_for_write(row.value.mark())?;
            if self.guard.lease.is_some() {
                lease::require(row.value.lease.as_ref(), self.guard.lease, cx.now(), lease::Of::Blob)?;
            }
            let mut snapshot = row.value.clone();
            let mut time = steps(cx.now());
            while cx.get::<Blob>(shelf, &row_id(shelf, &container, &snapshot.name, Some(time))).await?.is_some() {
                time = time.saturating_add(1);
            }
            snapshot.snapshot = Some(time);
            snapshot.version = None;
            snapshot.lease = None;
            if !self.metadata.is_empty() {
                snapshot.metadata.clone_from(&self.metadata);
                snapshot.set_mark(etag::fresh(cx.now())?);
            }
            let mut changes = Changes::new();
            // The blob is written back as it is: one that is replaced meanwhile makes this commit stale.
            changes.put(shelf, &row)?;
            changes.put(shelf, &Row::new(row_id(shelf, &container, &snapshot.name, Some(time)), snapshot.clone()))?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done.map(|()| snapshot),
            }
        }
        Err(fault::too_fast())
    }
}
