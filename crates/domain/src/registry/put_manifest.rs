//! Putting a manifest: what it names must be there, and is counted as used from then on.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use kernel::{Action, Error, Kind, ResourceId, Result};

use super::{
    Digest, InRepository, Reference, Repository, TagName,
    content::{Link, link_of},
    document::{Document, MOST_MANIFEST},
    fault,
    manifest::{Manifest, Tag, Text},
    referrers::Referrer,
    repository::{ATTEMPTS, PUSH},
};
use crate::gate::{Admission, Changes, Cx, Op, Row, Shelf};

/// Manifests up to so many bytes lie in their row.
const INLINE: usize = 32 << 10;
/// How deep indexes of indexes go.
const MOST_DEPTH: u8 = 8;
/// Tags that one request gives.
const MOST_TAGS: usize = 20;
/// Tags of a repository whose ids begin with a zero byte. Ids are keyed hashes, so that nobody chooses them: one in 256 does, and this
/// many do where there are about 100,000.
const MOST_OF_ZERO: usize = 391;

/// Puts a manifest, and names it by tags.
#[derive(Debug)]
pub struct PutManifest {
    /// In which repository.
    pub at: InRepository,
    /// Its tag or digest.
    pub reference: Reference,
    /// More tags for it.
    pub tags: Vec<TagName>,
    /// As what it was sent.
    pub media_type: Option<String>,
    /// The manifest.
    pub body: Bytes,
}

/// What became of a manifest that was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutOutcome {
    /// Its digest.
    pub digest: Digest,
    /// What it refers to.
    pub subject: Option<Digest>,
}

#[async_trait]
impl Op for PutManifest {
    const ACTION: Action = PUSH;
    type Output = PutOutcome;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<PutOutcome> {
        let Self { at, reference, mut tags, media_type, body } = self;
        let digest = match reference {
            Reference::Digest(digest) if digest.of_same(&body) == digest => digest,
            Reference::Digest(_) => return Err(fault::other_digest()),
            Reference::Tag(tag) => {
                tags.push(tag);
                Digest::of_sha256(&seal::sha256_hex(&body))
            }
        };
        if tags.len() > MOST_TAGS {
            return Err(fault::invalid("TAG_INVALID", format!("a request gives at most {MOST_TAGS} tags")));
        }
        put(cx, &at, &digest, &tags, media_type.as_deref(), &body).await
    }
}

/// Puts a manifest whose digest was established.
async fn put(
    cx: &Admission<'_>,
    at: &InRepository,
    digest: &Digest,
    tags: &[TagName],
    media_type: Option<&str>,
    body: &Bytes,
) -> Result<PutOutcome> {
    cx.note("digest", digest.as_str());
    if !tags.is_empty() {
        cx.note("tags", tags.iter().map(TagName::as_str).collect::<Vec<_>>().join(" "));
    }
    if body.len() > MOST_MANIFEST {
        let why = format!("a manifest has at most {MOST_MANIFEST} bytes");
        return Err(Error::new(Kind::TooLarge, why).coded("MANIFEST_INVALID"));
    }
    let text = std::str::from_utf8(body).map_err(|_| fault::invalid("MANIFEST_INVALID", "a manifest is UTF-8"))?;
    let document = Document::read(text, media_type)?;
    let kept = if body.len() <= INLINE {
        Text::Inline(text.to_owned())
    } else {
        let most = u64::try_from(MOST_MANIFEST).unwrap_or(u64::MAX);
        Text::Stored(cx.put_blob(at.shelf(), most, stream::iter([Ok(body.clone())])).await?)
    };
    let made = commit(cx, at, digest, tags, &document, (&kept, body.len())).await;
    if let (Text::Stored(blob), Err(_) | Ok(false)) = (&kept, &made) {
        cx.drop_blob(blob).await;
    }
    made.map(|_| PutOutcome { digest: digest.clone(), subject: document.subject })
}

/// Commits a manifest with its tags; whether its text is kept, and not the one that was there.
async fn commit(
    cx: &Admission<'_>,
    at: &InRepository,
    digest: &Digest,
    tags: &[TagName],
    document: &Document,
    (text, length): (&Text, usize),
) -> Result<bool> {
    let shelf = at.shelf();
    for _ in 0..ATTEMPTS {
        let mut changes = Changes::new();
        let repository = at.ensure(cx, &mut changes).await?;
        let id = repository.of_digest::<Manifest>(shelf, digest);
        let present = cx.get::<Manifest>(shelf, &id).await?;
        let is_new = present.is_none();
        // One that is there is written too: whoever deletes it meanwhile makes this commit stale, and the reverse.
        let row = match present {
            Some(mut row) => {
                row.value.media_type.clone_from(&document.media_type);
                row
            }
            None => {
                let depth = depth_of(cx, shelf, &repository, document).await?;
                let blobs = use_blobs(cx, shelf, &repository, document, &mut changes).await?;
                Row::new(id, fresh(cx, (digest, length), document, text.clone(), blobs, depth))
            }
        };
        changes.put(shelf, &row)?;
        if is_new && let Some(subject) = &document.subject {
            let referrer = Referrer::of(&row.value, document.annotations.clone());
            changes.put(shelf, &Row::new(Referrer::row_id(shelf, &repository, subject, digest), referrer))?;
        }
        put_tags(cx, shelf, &repository, digest, tags, &mut changes).await?;
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Kind::Stale => {}
            done => return done.map(|()| is_new),
        }
    }
    Err(fault::too_fast())
}

fn fresh(
    cx: &Admission<'_>,
    (digest, length): (&Digest, usize),
    document: &Document,
    text: Text,
    blobs: Vec<Digest>,
    depth: u8,
) -> Manifest {
    Manifest {
        digest: digest.clone(),
        media_type: document.media_type.clone(),
        length: u64::try_from(length).unwrap_or(u64::MAX),
        text,
        blobs,
        subject: document.subject.clone(),
        artifact_type: document.artifact_type.clone(),
        config_type: document.config.as_ref().map(|(kind, _)| kind.clone()),
        depth,
        pushed_at: cx.now(),
    }
}

/// Adds an image's manifest whose blobs come with the same `changes`, with its tags; whether it was not there.
pub(super) async fn add_manifest(
    cx: &Admission<'_>,
    shelf: &Shelf,
    repository: &Repository,
    (digest, text): (&Digest, &str),
    document: &Document,
    tags: &[TagName],
    changes: &mut Changes,
) -> Result<bool> {
    let id = repository.of_digest::<Manifest>(shelf, digest);
    let present = cx.get::<Manifest>(shelf, &id).await?;
    let is_new = present.is_none();
    let row = present.unwrap_or_else(|| {
        let blobs = document.blobs.iter().cloned().collect();
        Row::new(id, fresh(cx, (digest, text.len()), document, Text::Inline(text.to_owned()), blobs, 0))
    });
    changes.put(shelf, &row)?;
    if is_new && let Some(subject) = &document.subject {
        let referrer = Referrer::of(&row.value, document.annotations.clone());
        changes.put(shelf, &Row::new(Referrer::row_id(shelf, repository, subject, digest), referrer))?;
    }
    put_tags(cx, shelf, repository, digest, tags, changes).await?;
    Ok(is_new)
}

async fn put_tags(
    cx: &Admission<'_>,
    shelf: &Shelf,
    repository: &Repository,
    digest: &Digest,
    tags: &[TagName],
    changes: &mut Changes,
) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut has_room = false;
    for tag in tags.iter().filter(|tag| seen.insert(tag.as_str())) {
        let id = repository.below::<Tag>(shelf, tag.as_str());
        let now = cx.now();
        let present = cx.get::<Tag>(shelf, &id).await?;
        if present.is_none() && !has_room {
            require_room(cx, shelf, repository).await?;
            has_room = true;
        }
        let mut row = present.unwrap_or_else(|| {
            Row::new(id, Tag { tag: tag.clone(), digest: digest.clone(), created_at: now, updated_at: now })
        });
        row.value.digest = digest.clone();
        row.value.updated_at = now;
        changes.put(shelf, &row)?;
    }
    Ok(())
}

/// Refuses a new tag where there are too many: lists and deletions read all of them. They are not counted, since pushes of one
/// repository would wait for one another at the count; a share of them says how many there are.
async fn require_room(cx: &Admission<'_>, shelf: &Shelf, repository: &Repository) -> Result<()> {
    let mut prefix = repository.all().to_vec();
    prefix.push(0);
    if cx.page::<Tag>(shelf, &prefix, None, MOST_OF_ZERO).await?.len() < MOST_OF_ZERO {
        return Ok(());
    }
    let why = "the repository has about 100,000 tags, which is the most; delete some, or push to another repository";
    Err(Error::new(Kind::Denied, why).coded("DENIED"))
}

/// How deep an index is, whose children must be there.
async fn depth_of(cx: &Admission<'_>, shelf: &Shelf, repository: &Repository, document: &Document) -> Result<u8> {
    if !document.is_index() {
        return Ok(0);
    }
    let mut deepest = 0;
    for child in &document.children {
        let row = cx.get::<Manifest>(shelf, &repository.of_digest::<Manifest>(shelf, child)).await?;
        let row = row.ok_or_else(|| {
            let why =
                format!("the index names the manifest `{child}`, which is not in the repository; push that first");
            fault::invalid("MANIFEST_BLOB_UNKNOWN", why)
        })?;
        deepest = deepest.max(row.value.depth);
    }
    let depth = deepest.saturating_add(1);
    if depth > MOST_DEPTH {
        let why = format!("indexes lie within one another at most {MOST_DEPTH} deep");
        return Err(fault::invalid("MANIFEST_INVALID", why));
    }
    Ok(depth)
}

/// Counts a use of each blob that a new manifest names. Those that may lie elsewhere count when they are here.
async fn use_blobs(
    cx: &Admission<'_>,
    shelf: &Shelf,
    repository: &Repository,
    document: &Document,
    changes: &mut Changes,
) -> Result<Vec<Digest>> {
    let mut used = Vec::new();
    for digest in document.blobs.union(&document.foreign) {
        let Some(mut link) = link_of(cx, shelf, repository, digest).await? else {
            if document.foreign.contains(digest) {
                continue;
            }
            let why =
                format!("the manifest names the blob `{digest}`, which is not in the repository; push that first");
            return Err(fault::invalid("MANIFEST_BLOB_UNKNOWN", why));
        };
        link.value.uses = link.value.uses.saturating_add(1);
        changes.put::<Link>(shelf, &link)?;
        used.push(digest.clone());
    }
    Ok(used)
}
