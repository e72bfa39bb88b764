//! Images that the server itself makes: pushed into a repository in the commit of whoever makes them, and read from there.

use std::collections::BTreeMap;

use kernel::{Error, Kind, Result};
use uuid::Uuid;

use super::{
    Digest, RepositoryName, TagName,
    content::{Content, Link, Object, Part, Stored, content_of, link_of},
    document::Document,
    manifest::Manifest,
    put_manifest::add_manifest,
    repository::{ensure, named},
};
use crate::gate::{Admission, BlobRef, Changes, Row, Shelf};

/// A part of an image.
pub(crate) struct Published {
    /// `sha256:…`.
    pub(crate) digest: String,
    /// Bytes.
    pub(crate) length: u64,
    /// Its bytes, sealed for the registry's shelf; none when the registry has them.
    pub(crate) blob: Option<BlobRef>,
}

/// The manifest of an artifact that names an image as its subject.
pub(crate) struct Attachment(pub(crate) String);

/// An image, and what hangs on it.
pub(crate) struct Hung<'a> {
    /// What all of it is made of.
    pub(crate) parts: Vec<&'a Published>,
    /// The image's manifest.
    pub(crate) manifest: &'a str,
    /// Its tags.
    pub(crate) tags: &'a [String],
    /// What is attached.
    pub(crate) attached: &'a [Attachment],
}

/// Adds an image to a repository with `changes`: its parts, its manifest, its tags, and what is attached to it. Bytes that the registry
/// had already are left to the sweep.
pub(crate) async fn publish(
    cx: &Admission<'_>,
    shelf: &Shelf,
    repository: &str,
    image: &Hung<'_>,
    changes: &mut Changes,
) -> Result<()> {
    let name: RepositoryName = repository.parse()?;
    let repository = ensure(cx, shelf, &name, changes).await?;
    let tags: Vec<TagName> = image.tags.iter().map(|tag| tag.parse()).collect::<Result<_>>()?;
    let attached = image.attached.iter().map(|attachment| (attachment.0.as_str(), &[][..]));
    // Manifests that share a blob count as a use each.
    let mut uses: BTreeMap<Digest, u32> = BTreeMap::new();
    for (manifest, tags) in [(image.manifest, tags.as_slice())].into_iter().chain(attached) {
        let document = Document::read(manifest, None)?;
        let digest = Digest::of_sha256(&seal::sha256_hex(manifest.as_bytes()));
        if add_manifest(cx, shelf, &repository, (&digest, manifest), &document, tags, changes).await? {
            for digest in document.blobs {
                let count = uses.entry(digest).or_default();
                *count = count.saturating_add(1);
            }
        }
    }
    let parts: BTreeMap<&str, &Published> = image.parts.iter().map(|part| (part.digest.as_str(), *part)).collect();
    for (digest, count) in uses {
        let part =
            parts.get(digest.as_str()).ok_or_else(|| Error::internal("a manifest names a part that is not there"))?;
        let content = content_of(cx, shelf, &digest).await?;
        let link = link_of(cx, shelf, &repository, &digest).await?;
        let is_linked = link.is_some();
        let mut content = match (content, &part.blob) {
            (Some(content), _) => content,
            (None, Some(blob)) => {
                let stored = Stored::One(Object(blob.clone()));
                let fresh = Content { digest: digest.clone(), length: part.length, stored, links: 0 };
                Row::new(shelf.name_id::<Content>(digest.as_str()), fresh)
            }
            // Removed since it was looked at.
            (None, None) => {
                return Err(Error::new(Kind::Stale, "a layer was just removed from the registry; try again"));
            }
        };
        let mut link = link.unwrap_or_else(|| {
            let fresh = Link { digest: digest.clone(), length: part.length, uses: 0, touched_at: cx.now() };
            Row::new(repository.of_digest::<Link>(shelf, &digest), fresh)
        });
        link.value.uses = link.value.uses.saturating_add(count);
        changes.put(shelf, &link)?;
        if !is_linked {
            content.value.links = content.value.links.saturating_add(1);
            changes.put(shelf, &content)?;
        }
    }
    Ok(())
}

/// Whether a repository has a manifest still.
pub(crate) async fn is_published(cx: &Admission<'_>, shelf: &Shelf, repository: &str, digest: &str) -> Result<bool> {
    let (name, digest): (RepositoryName, Digest) = (repository.parse()?, digest.parse()?);
    let Some(found) = named(cx, shelf, &name).await? else { return Ok(false) };
    let id = found.value.of_digest::<Manifest>(shelf, &digest);
    Ok(cx.get::<Manifest>(shelf, &id).await?.is_some())
}

/// The stored objects of a blob of a repository, in their order, with the shelf that they open on.
///
/// # Errors
/// `Conflict` when somebody deleted it there; what the registry's own key says.
pub(crate) async fn objects_of(
    cx: &Admission<'_>,
    registry: Uuid,
    repository: &str,
    digest: &str,
) -> Result<(Shelf, Vec<BlobRef>)> {
    let gone = || {
        let why = format!(
            "`{digest}` of the image `{repository}` is not in the workspace's registry any more; build the image again, or push it"
        );
        Error::new(Kind::Conflict, why)
    };
    let shelf = cx.shelf(registry).await.map_err(|fault| match fault.kind() {
        Kind::NotFound => {
            Error::new(Kind::Conflict, "the registry that holds the image was deleted; build the image again")
        }
        _ => fault,
    })?;
    let (name, digest): (RepositoryName, Digest) = (repository.parse()?, digest.parse()?);
    let found = named(cx, &shelf, &name).await?.ok_or_else(gone)?.value;
    link_of(cx, &shelf, &found, &digest).await?.ok_or_else(gone)?;
    let content = content_of(cx, &shelf, &digest).await?.ok_or_else(gone)?.value;
    let objects = match content.stored {
        Stored::Nothing => Vec::new(),
        Stored::One(object) => vec![object.0],
        Stored::Parts { id, .. } => {
            cx.all::<Part>(&shelf, id.as_bytes()).await?.into_iter().map(|row| row.value.blob).collect()
        }
    };
    Ok((shelf, objects))
}
