//! Blobs: their records, and where these lie.

use std::{collections::BTreeMap, sync::Arc};

use kernel::{ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Account, BlobName, ContainerName, Lease,
    condition::{Conditions, Mark},
    container::{Container, find as find_container},
    content::Content,
    fault, lease,
    version::{BlobVersion, Moment, version_row},
};
use crate::gate::{Admission, Record, Row, Shelf};

/// Labels with their names and values, in bytes; Azure's bound.
const MOST_METADATA: usize = 8 << 10;

/// The two kinds of blobs that are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlobKind {
    /// Written whole, or of blocks that are committed together.
    Block,
    /// Only ever appended to.
    Append,
}

impl BlobKind {
    /// Azure's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Block => "BlockBlob",
            Self::Append => "AppendBlob",
        }
    }
}

/// What downloads are labelled with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentHeaders {
    /// `Content-Type`.
    #[serde(default)]
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    #[serde(default)]
    pub encoding: Option<String>,
    /// `Content-Language`.
    #[serde(default)]
    pub language: Option<String>,
    /// `Content-Disposition`.
    #[serde(default)]
    pub disposition: Option<String>,
    /// `Cache-Control`.
    #[serde(default)]
    pub cache_control: Option<String>,
    /// MD5 of the whole, base64: measured, or what the client said of it.
    #[serde(default)]
    pub md5: Option<String>,
}

/// Where a blob was copied from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Names the copy.
    pub id: Uuid,
    /// The source, without what signed it.
    pub source: String,
    /// When it was done.
    pub at: Timestamp,
}

/// When and for how long a blob was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When.
    pub at: Timestamp,
    /// Until when it can be had back.
    pub until: Timestamp,
}

/// A blob, or a snapshot of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Blob {
    /// Its name.
    pub name: String,
    /// Of a snapshot: when it was made, in steps of 100 ns since 1970.
    #[serde(default)]
    pub snapshot: Option<u64>,
    /// Its version: when it was written, in the same steps. None for what was written while no versions were kept.
    #[serde(default)]
    pub version: Option<u64>,
    /// Whether it is an older version.
    #[serde(default)]
    pub is_past: bool,
    /// What it is.
    pub kind: BlobKind,
    pub(super) content: Content,
    /// Bytes.
    pub length: u64,
    /// Changes with every write.
    pub etag: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was written last.
    pub modified_at: Timestamp,
    /// What downloads are labelled with.
    pub headers: ContentHeaders,
    /// Free labels.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Free labels that can be asked for apart.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Who may write it.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// Where it was copied from.
    #[serde(default)]
    pub copied: Option<Copied>,
    /// Of one that can be had back.
    #[serde(default)]
    pub deletion: Option<Deletion>,
}

impl Record for Blob {
    const TABLE: &'static str = "blob";
}

/// A deleted blob that can be had back. It lies in a table of its own: whatever looks for a blob finds none meanwhile.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct DeletedBlob(pub(super) Blob);

impl Record for DeletedBlob {
    const TABLE: &'static str = "blob-deleted";
}

impl Blob {
    pub(super) fn mark(&self) -> Mark {
        Mark { etag: self.etag, modified_at: self.modified_at }
    }

    /// Marks a write. A lease that is over ends with it for good: renewed, it would hide from its holder that somebody wrote.
    pub(super) fn set_mark(&mut self, mark: Mark) {
        self.lease = self.lease.take().filter(|lease| lease::state(Some(lease), mark.modified_at).is_locked());
        (self.etag, self.modified_at) = (mark.etag, mark.modified_at);
    }

    /// How many blocks an append blob has.
    pub fn blocks(&self) -> u64 {
        self.content.count()
    }
}

/// The rows of a container begin with its GUID.
pub(super) fn prefix(container: &Container) -> &[u8] {
    container.guid.as_bytes()
}

/// Bytes by which the rows of a blob and of its snapshots begin: the container's GUID and the hash of the name.
pub(super) const FAMILY: usize = 32;

/// The rows of a blob and of its snapshots begin so.
pub(super) fn family(shelf: &Shelf, container: &Container, name: &str) -> Vec<u8> {
    let mut id = prefix(container).to_vec();
    id.extend(shelf.name_id::<Blob>(name));
    id
}

/// The row of a blob, or of its snapshot.
pub(super) fn row_id(shelf: &Shelf, container: &Container, name: &str, snapshot: Option<u64>) -> Vec<u8> {
    let mut id = family(shelf, container, name);
    id.extend(snapshot.unwrap_or(0).to_be_bytes());
    id
}

/// A blob of an account.
#[derive(Clone, Debug)]
pub struct InContainer {
    /// The account.
    pub account: Arc<Account>,
    /// The container's name.
    pub container: ContainerName,
    /// The blob's name.
    pub blob: BlobName,
}

/// What must hold before something is done with a blob, beside the right to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guard {
    /// What must hold of it.
    pub conditions: Conditions,
    /// The lease that the caller holds.
    pub lease: Option<Uuid>,
}

impl InContainer {
    pub(super) fn scope(&self) -> ResourceId {
        self.account.container(&self.container)
    }

    pub(super) fn shelf(&self) -> &Shelf {
        &self.account.shelf
    }

    /// The container, which must be there.
    pub(super) async fn container(&self, cx: &Admission<'_>) -> Result<Container> {
        cx.note("blob", self.blob.as_str());
        Ok(find_container(cx, &self.account, &self.container).await?.value)
    }

    pub(super) async fn look(&self, cx: &Admission<'_>, container: &Container) -> Result<Option<Row<Blob>>> {
        cx.get::<Blob>(self.shelf(), &row_id(self.shelf(), container, self.blob.as_str(), None)).await
    }

    /// One state of the blob, to be read.
    pub(super) async fn read(&self, cx: &Admission<'_>, container: &Container, moment: Moment) -> Result<Blob> {
        let version = match moment {
            Moment::Now => return Ok(self.find(cx, container, None).await?.value),
            Moment::Snapshot(time) => return Ok(self.find(cx, container, Some(time)).await?.value),
            Moment::Version(version) => version,
        };
        // The present one first: what is overwritten meanwhile is an older version from then on.
        if let Some(row) = self.look(cx, container).await?.filter(|row| row.value.version == Some(version)) {
            return Ok(row.value);
        }
        let id = version_row(self.shelf(), container, self.blob.as_str(), version);
        Ok(cx.get::<BlobVersion>(self.shelf(), &id).await?.ok_or_else(fault::no_blob)?.value.0)
    }

    /// The blob, or its snapshot.
    pub(super) async fn find(
        &self,
        cx: &Admission<'_>,
        container: &Container,
        snapshot: Option<u64>,
    ) -> Result<Row<Blob>> {
        let id = row_id(self.shelf(), container, self.blob.as_str(), snapshot);
        cx.get::<Blob>(self.shelf(), &id).await?.ok_or_else(fault::no_blob)
    }
}

impl Guard {
    /// What a read has to fulfil.
    pub(super) fn hold_for_read(&self, blob: &Blob, now: Timestamp) -> Result<()> {
        if self.lease.is_some() {
            lease::require(blob.lease.as_ref(), self.lease, now, lease::Of::Blob)?;
        }
        self.conditions.hold_for_read(blob.mark())
    }

    /// What a change of something that is there has to fulfil.
    pub(super) fn hold_for_write(&self, blob: &Blob, now: Timestamp) -> Result<()> {
        self.conditions.hold_for_write(blob.mark())?;
        lease::require(blob.lease.as_ref(), self.lease, now, lease::Of::Blob)
    }

    /// What a write has to fulfil that makes or replaces.
    pub(super) fn hold_for_put(&self, present: Option<&Blob>, now: Timestamp) -> Result<()> {
        self.conditions.hold_for_put(present.map(Blob::mark))?;
        lease::require(present.and_then(|blob| blob.lease.as_ref()), self.lease, now, lease::Of::Blob)
    }
}

/// Refuses labels that are too many.
pub(super) fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<()> {
    let size: usize = metadata.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
    if size > MOST_METADATA {
        return Err(fault::invalid("MetadataTooLarge", "the metadata has more than 8 KiB"));
    }
    Ok(())
}

/// Refuses tags that Azure does not take: at most 10, names of 1 to 128 and values of at most 256 characters of a short list.
pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<()> {
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || " +-./:=_".contains(c));
    let fits = tags.len() <= 10
        && tags.iter().all(|(name, value)| {
            (1..=128).contains(&name.len()) && value.len() <= 256 && is_plain(name) && is_plain(value)
        });
    if fits {
        return Ok(());
    }
    let why = "a blob has at most 10 tags of letters, digits and ` +-./:=_`, names of 1 to 128 and values of up to 256 of them";
    Err(fault::invalid("InvalidTag", why))
}
