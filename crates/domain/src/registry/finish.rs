//! Making a blob of what was sent: its digest is verified before anything counts.

use async_trait::async_trait;
use futures::TryStreamExt;
use kernel::{Action, Kind, ResourceId, Result};
use uuid::Uuid;

use super::{
    Chunk, Digest, InRepository, Repository,
    content::{Object, Part, Stored, give, part_id},
    fault,
    repository::{ATTEMPTS, PUSH},
    upload::{MOST_BLOB, Upload, discard, find, receive, too_large},
};
use crate::gate::{Admission, BlobRef, Changes, Cx, Op, Range, Row, Shelf};

/// Makes a blob of an upload, with a last chunk or without.
#[derive(Debug)]
pub struct FinishUpload {
    /// Of which repository.
    pub at: InRepository,
    /// Which.
    pub upload: Uuid,
    /// What the blob must be.
    pub digest: Digest,
    /// The last chunk.
    pub chunk: Chunk,
}

#[async_trait]
impl Op for FinishUpload {
    const ACTION: Action = PUSH;
    /// Bytes of the blob.
    type Output = u64;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<u64> {
        let Self { at, upload: id, digest, chunk } = self;
        let shelf = at.shelf();
        let (repository, row) = find(cx, &at, id).await?;
        let last = receive(cx, shelf, &row.value, chunk).await?;
        let mut upload = row.value.clone();
        if let Some(part) = &last {
            upload.add(&part.blob, cx.now());
        }
        let made = finish(cx, (shelf, &repository), (id, &row, &upload), &digest, last.clone()).await;
        if let Err(fault) = &made {
            if let Some(part) = last {
                cx.drop_blob(&part.blob).await;
            }
            // What arrived is not what was meant, and no more bytes make it so.
            if fault.code() == Some("DIGEST_INVALID") {
                discard(cx, shelf, id, &row).await?;
            }
        }
        made.map(|()| upload.length)
    }
}

/// Makes a blob of bytes that come in one piece.
#[derive(Debug)]
pub struct PutBlobWhole {
    /// Of which repository.
    pub at: InRepository,
    /// What the blob must be.
    pub digest: Digest,
    /// The bytes.
    pub chunk: Chunk,
}

#[async_trait]
impl Op for PutBlobWhole {
    const ACTION: Action = PUSH;
    /// Bytes of the blob.
    type Output = u64;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<u64> {
        let Self { at, digest, chunk } = self;
        let shelf = at.shelf();
        let blob = cx.put_blob(shelf, MOST_BLOB, chunk.bytes).await.map_err(too_large)?;
        let (length, stored) = (blob.length, Stored::One(Object(blob.clone())));
        let made = match verify(cx, shelf, &stored, Some(&blob), &digest).await {
            Ok(()) => keep(cx, &at, (&digest, length), &stored).await,
            Err(fault) => Err(fault),
        };
        if !matches!(made, Ok(true)) {
            cx.drop_blob(&blob).await;
        }
        made.map(|_| length)
    }
}

/// Commits that a repository has these bytes; whether the registry keeps them.
async fn keep(
    cx: &Admission<'_>,
    at: &InRepository,
    (digest, length): (&Digest, u64),
    stored: &Stored,
) -> Result<bool> {
    cx.note("digest", digest.as_str());
    cx.note("bytes", length.to_string());
    for _ in 0..ATTEMPTS {
        let mut changes = Changes::new();
        let repository = at.ensure(cx, &mut changes).await?;
        let is_kept = give(cx, at.shelf(), &repository, (digest, length), stored, &mut changes).await?;
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Kind::Stale => {}
            done => return done.map(|()| is_kept),
        }
    }
    Err(fault::too_fast())
}

/// Refuses bytes that are not what their digest says. What is one object was measured when it was sealed; the rest is read once more.
async fn verify(
    cx: &Admission<'_>,
    shelf: &Shelf,
    stored: &Stored,
    whole: Option<&BlobRef>,
    digest: &Digest,
) -> Result<()> {
    let found = match whole {
        Some(blob) if digest.is_sha256() => Digest::of_sha256(&blob.sha256),
        _ => {
            let mut hash = digest.hasher();
            let mut bytes = stored.open(cx, shelf, Range::ALL).await?;
            while let Some(piece) = bytes.try_next().await? {
                hash.update(&piece);
            }
            hash.finish()
        }
    };
    if found == *digest { Ok(()) } else { Err(fault::other_digest()) }
}

/// Verifies an upload and commits the blob that it makes. `upload` counts the last chunk already.
async fn finish(
    cx: &Admission<'_>,
    (shelf, repository): (&Shelf, &Repository),
    (id, row, upload): (Uuid, &Row<Upload>, &Upload),
    digest: &Digest,
    last: Option<Part>,
) -> Result<()> {
    cx.note("digest", digest.as_str());
    cx.note("bytes", upload.length.to_string());
    let mut parts: Vec<Part> = Vec::new();
    if row.value.parts > 0 {
        parts.extend(cx.all::<Part>(shelf, id.as_bytes()).await?.into_iter().map(|row| row.value));
    }
    parts.extend(last.clone());
    let whole = match parts.as_slice() {
        [only] => Some(only.blob.clone()),
        _ => None,
    };
    let stored = match &whole {
        Some(blob) => Stored::One(Object(blob.clone())),
        None if parts.is_empty() => Stored::Nothing,
        None => Stored::Parts { id, count: upload.parts },
    };
    match &whole {
        Some(_) => verify(cx, shelf, &stored, whole.as_ref(), digest).await?,
        None => verify_parts(cx, shelf, &parts, digest).await?,
    }
    for _ in 0..ATTEMPTS {
        let mut changes = Changes::new();
        changes.delete(shelf, row);
        let is_kept = give(cx, shelf, repository, (digest, upload.length), &stored, &mut changes).await?;
        let stays = is_kept && matches!(stored, Stored::Parts { .. });
        if !stays {
            for row in cx.all::<Part>(shelf, id.as_bytes()).await? {
                changes.delete(shelf, &row);
            }
        } else if let Some(part) = last.clone() {
            changes.put(shelf, &Row::new(part_id(id, row.value.parts), part))?;
        }
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Kind::Stale => {
                let present = cx.get::<Upload>(shelf, id.as_bytes()).await?;
                if present.is_none_or(|present| present.version != row.version) {
                    // Another chunk came, or it was finished or given up, meanwhile.
                    return Err(fault::out_of_order());
                }
            }
            Err(fault) => return Err(fault),
            Ok(()) => {
                if !is_kept {
                    for part in &parts {
                        cx.drop_blob(&part.blob).await;
                    }
                }
                return Ok(());
            }
        }
    }
    Err(fault::too_fast())
}

async fn verify_parts(cx: &Admission<'_>, shelf: &Shelf, parts: &[Part], digest: &Digest) -> Result<()> {
    let mut hash = digest.hasher();
    let mut bytes = cx.open_blobs(shelf, parts.iter().map(|part| part.blob.clone()).collect()).await?;
    while let Some(piece) = bytes.try_next().await? {
        hash.update(&piece);
    }
    if hash.finish() == *digest { Ok(()) } else { Err(fault::other_digest()) }
}
