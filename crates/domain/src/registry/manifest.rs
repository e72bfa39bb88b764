//! Manifests of a repository and the tags that name them: what is kept of them, reading and deleting.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use kernel::{Action, Kind, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Digest, InRepository, Reference, Repository, TagName,
    content::{Link, link_of},
    fault,
    referrers::Referrer,
    repository::{ATTEMPTS, DELETE, PAGE, PULL},
};
use crate::gate::{Admission, BlobRef, ByteStream, Changes, Cx, Op, Range, Record, Row, Shelf};

/// A manifest; its row's id is the repository's id and the keyed hash of the digest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) digest: Digest,
    pub(super) media_type: String,
    /// Bytes.
    pub(super) length: u64,
    pub(super) text: Text,
    /// Blobs of the repository that it uses: each was counted.
    pub(super) blobs: Vec<Digest>,
    pub(super) subject: Option<Digest>,
    pub(super) artifact_type: Option<String>,
    pub(super) config_type: Option<String>,
    /// None for images; one more than the deepest of its children for indexes.
    pub(super) depth: u8,
    pub(super) pushed_at: Timestamp,
}

impl Record for Manifest {
    const TABLE: &'static str = "oci-manifest";
}

/// The manifest, byte for byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Text {
    Inline(String),
    Stored(BlobRef),
}

/// A tag; its row's id is the repository's id and the keyed hash of the tag.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tag {
    pub(super) tag: TagName,
    pub(super) digest: Digest,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

impl Record for Tag {
    const TABLE: &'static str = "oci-tag";
}
/// A manifest's bytes.
pub struct OpenedManifest {
    /// Its digest.
    pub digest: Digest,
    /// Its type, as it was sent.
    pub media_type: String,
    /// Bytes.
    pub length: u64,
    /// They.
    pub bytes: ByteStream,
}

impl std::fmt::Debug for OpenedManifest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "OpenedManifest({})", self.digest)
    }
}

/// Reads a manifest.
#[derive(Debug)]
pub struct GetManifest {
    /// Of which repository.
    pub at: InRepository,
    /// By its tag or digest.
    pub reference: Reference,
}

#[async_trait]
impl Op for GetManifest {
    const ACTION: Action = PULL;
    type Output = OpenedManifest;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<OpenedManifest> {
        let repository = self.at.look(cx).await?.ok_or_else(fault::no_manifest)?;
        let shelf = self.at.shelf();
        let manifest = find(cx, shelf, &repository, &self.reference).await?.value;
        cx.note("digest", manifest.digest.as_str());
        let bytes = manifest.open(cx, shelf).await?;
        let Manifest { digest, media_type, length, .. } = manifest;
        Ok(OpenedManifest { digest, media_type, length, bytes })
    }
}

impl Manifest {
    /// The object that holds it, where it is too large for its row.
    pub(super) fn stored(&self) -> Option<&BlobRef> {
        match &self.text {
            Text::Stored(blob) => Some(blob),
            Text::Inline(_) => None,
        }
    }

    async fn open(&self, cx: &Admission<'_>, shelf: &Shelf) -> Result<ByteStream> {
        match &self.text {
            Text::Inline(text) => {
                let bytes = Bytes::from(text.clone());
                Ok(stream::once(async move { Ok(bytes) }).boxed())
            }
            Text::Stored(blob) => cx.open_blob(shelf, blob, Range::ALL).await,
        }
    }
}

/// The manifest that is asked for.
pub(super) async fn find(
    cx: &Admission<'_>,
    shelf: &Shelf,
    repository: &Repository,
    reference: &Reference,
) -> Result<Row<Manifest>> {
    let digest = match reference {
        Reference::Digest(digest) => digest.clone(),
        Reference::Tag(tag) => {
            cx.note("tag", tag.as_str());
            let row = cx.get::<Tag>(shelf, &repository.below::<Tag>(shelf, tag.as_str())).await?;
            row.ok_or_else(fault::no_manifest)?.value.digest
        }
    };
    let row = cx.get::<Manifest>(shelf, &repository.of_digest::<Manifest>(shelf, &digest)).await?;
    row.ok_or_else(fault::no_manifest)
}

/// Deletes a tag, or a manifest with all its tags.
#[derive(Debug)]
pub struct DeleteManifest {
    /// Of which repository.
    pub at: InRepository,
    /// The tag, or the manifest's digest.
    pub reference: Reference,
}

#[async_trait]
impl Op for DeleteManifest {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let repository = self.at.look(cx).await?.ok_or_else(fault::no_manifest)?;
        let shelf = self.at.shelf();
        for _ in 0..ATTEMPTS {
            let mut changes = Changes::new();
            let loose = match &self.reference {
                Reference::Tag(tag) => {
                    cx.note("tag", tag.as_str());
                    let row = cx.get::<Tag>(shelf, &repository.below::<Tag>(shelf, tag.as_str())).await?;
                    changes.delete(shelf, &row.ok_or_else(fault::no_manifest)?);
                    None
                }
                Reference::Digest(digest) => {
                    cx.note("digest", digest.as_str());
                    remove(cx, shelf, &repository, digest, &mut changes).await?
                }
            };
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                Err(fault) => return Err(fault),
                Ok(()) => {
                    if let Some(blob) = loose {
                        cx.drop_blob(&blob).await;
                    }
                    return Ok(());
                }
            }
        }
        Err(fault::too_fast())
    }
}

/// Removes a manifest with its tags, its place among referrers and its uses of blobs, with `changes`. What is to be removed after.
async fn remove(
    cx: &Admission<'_>,
    shelf: &Shelf,
    repository: &Repository,
    digest: &Digest,
    changes: &mut Changes,
) -> Result<Option<BlobRef>> {
    let row = find(cx, shelf, repository, &Reference::Digest(digest.clone())).await?;
    changes.delete(shelf, &row);
    if let Some(subject) = &row.value.subject {
        let id = Referrer::row_id(shelf, repository, subject, digest);
        if let Some(referrer) = cx.get::<Referrer>(shelf, &id).await? {
            changes.delete(shelf, &referrer);
        }
    }
    for blob in &row.value.blobs {
        if let Some(mut link) = link_of(cx, shelf, repository, blob).await? {
            link.value.uses = link.value.uses.saturating_sub(1);
            link.value.touched_at = cx.now();
            changes.put::<Link>(shelf, &link)?;
        }
    }
    let mut after: Option<Vec<u8>> = None;
    loop {
        let tags = cx.page::<Tag>(shelf, repository.all(), after.as_deref(), PAGE).await?;
        after = tags.last().map(|row| row.id.clone());
        for tag in tags.iter().filter(|tag| tag.value.digest == *digest) {
            changes.delete(shelf, tag);
        }
        if tags.len() < PAGE {
            break;
        }
    }
    Ok(row.value.stored().cloned())
}
