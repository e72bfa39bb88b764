//! Uploads: a session that takes bytes in order, in one piece or in chunks, until its digest makes a blob of them. Nothing of it counts
//! before that, and what broke off in the middle is not there at all.

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use kernel::{Action, Kind, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    InRepository, Repository,
    content::{MOST_PARTS, Part, Stored, part_id},
    fault,
    repository::{ATTEMPTS, PUSH},
};
use crate::gate::{Admission, BlobRef, ByteStream, Changes, Cx, Op, Record, Row, Shelf};

/// Bytes of the largest blob.
pub const MOST_BLOB: u64 = 64 << 30;

/// An upload; its row's id is its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Upload {
    /// The repository that it is for.
    pub(super) repository: Uuid,
    /// Bytes that arrived.
    pub(super) length: u64,
    /// Chunks that they arrived in.
    pub(super) parts: u32,
    /// When something of it was heard last.
    pub(super) touched_at: Timestamp,
}

impl Record for Upload {
    const TABLE: &'static str = "oci-upload";
}

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadState {
    /// Its id.
    pub id: Uuid,
    /// Bytes that arrived.
    pub length: u64,
}

/// Bytes on their way in.
pub struct Chunk {
    /// Where its first and last byte belong, when that is said.
    pub range: Option<(u64, u64)>,
    /// The bytes.
    pub bytes: ByteStream,
}

impl std::fmt::Debug for Chunk {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Chunk({:?})", self.range)
    }
}

/// Begins an upload.
#[derive(Debug)]
pub struct StartUpload {
    /// For which repository.
    pub at: InRepository,
}

#[async_trait]
impl Op for StartUpload {
    const ACTION: Action = PUSH;
    type Output = UploadState;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<UploadState> {
        let id = Uuid::new_v4();
        for _ in 0..ATTEMPTS {
            let mut changes = Changes::new();
            let repository = self.at.ensure(cx, &mut changes).await?;
            let upload = Upload { repository: repository.id, length: 0, parts: 0, touched_at: cx.now() };
            changes.put(self.at.shelf(), &Row::new(id.as_bytes().as_slice(), upload))?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done.map(|()| UploadState { id, length: 0 }),
            }
        }
        Err(fault::too_fast())
    }
}

/// Says how far an upload is.
#[derive(Debug)]
pub struct GetUpload {
    /// Of which repository.
    pub at: InRepository,
    /// Which.
    pub upload: Uuid,
}

#[async_trait]
impl Op for GetUpload {
    const ACTION: Action = PUSH;
    type Output = UploadState;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<UploadState> {
        let (_, row) = find(cx, &self.at, self.upload).await?;
        Ok(UploadState { id: self.upload, length: row.value.length })
    }
}

/// Adds a chunk to an upload.
#[derive(Debug)]
pub struct AppendUpload {
    /// Of which repository.
    pub at: InRepository,
    /// Which.
    pub upload: Uuid,
    /// What.
    pub chunk: Chunk,
}

#[async_trait]
impl Op for AppendUpload {
    const ACTION: Action = PUSH;
    type Output = UploadState;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<UploadState> {
        let Self { at, upload: id, chunk } = self;
        let (_, mut row) = find(cx, &at, id).await?;
        let Some(part) = receive(cx, at.shelf(), &row.value, chunk).await? else {
            return Ok(UploadState { id, length: row.value.length });
        };
        let blob = part.blob.clone();
        let mut changes = Changes::new();
        changes.put(at.shelf(), &Row::new(part_id(id, row.value.parts), part))?;
        row.value.add(&blob, cx.now());
        changes.put(at.shelf(), &row)?;
        cx.note("bytes", blob.length.to_string());
        match cx.commit(changes).await {
            Ok(()) => Ok(UploadState { id, length: row.value.length }),
            Err(fault) => {
                cx.drop_blob(&blob).await;
                // Another chunk came first.
                Err(if fault.kind() == Kind::Stale { fault::out_of_order() } else { fault })
            }
        }
    }
}

/// Gives up an upload, with what arrived of it.
#[derive(Debug)]
pub struct CancelUpload {
    /// Of which repository.
    pub at: InRepository,
    /// Which.
    pub upload: Uuid,
}

#[async_trait]
impl Op for CancelUpload {
    const ACTION: Action = PUSH;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (_, row) = find(cx, &self.at, self.upload).await?;
        discard(cx, self.at.shelf(), self.upload, &row).await
    }
}

impl Upload {
    pub(super) fn add(&mut self, blob: &BlobRef, now: Timestamp) {
        self.length = self.length.saturating_add(blob.length);
        self.parts = self.parts.saturating_add(1);
        self.touched_at = now;
    }
}

/// An upload of this repository.
pub(super) async fn find(cx: &Admission<'_>, at: &InRepository, id: Uuid) -> Result<(Repository, Row<Upload>)> {
    let repository = at.look(cx).await?.ok_or_else(fault::no_upload)?;
    let row = cx.get::<Upload>(at.shelf(), id.as_bytes()).await?;
    let row = row.filter(|row| row.value.repository == repository.id).ok_or_else(fault::no_upload)?;
    Ok((repository, row))
}

/// Takes in a chunk that goes on where the upload stands; none when it is empty.
pub(super) async fn receive(cx: &Admission<'_>, shelf: &Shelf, upload: &Upload, chunk: Chunk) -> Result<Option<Part>> {
    let start = upload.length;
    let wanted = match chunk.range {
        Some((first, _)) if first != start => return Err(fault::out_of_order()),
        Some((first, last)) => Some(last.saturating_sub(first).saturating_add(1)),
        None => None,
    };
    let most = MOST_BLOB.saturating_sub(start).min(wanted.unwrap_or(u64::MAX));
    // Nothing is stored for a request without a body.
    let mut bytes = chunk.bytes;
    let mut first = None;
    while let Some(piece) = bytes.try_next().await? {
        if !piece.is_empty() {
            first = Some(piece);
            break;
        }
    }
    let Some(first) = first else {
        return if wanted.is_none() { Ok(None) } else { Err(other_length()) };
    };
    if upload.parts >= MOST_PARTS {
        let why = format!("an upload takes at most {MOST_PARTS} chunks; send larger ones");
        return Err(fault::invalid("BLOB_UPLOAD_INVALID", why));
    }
    let whole = stream::iter([Ok(first)]).chain(bytes);
    let blob = match cx.put_blob(shelf, most, whole).await {
        Err(fault) if fault.kind() == Kind::TooLarge && wanted.is_some_and(|wanted| wanted == most) => {
            return Err(other_length());
        }
        other => other.map_err(too_large)?,
    };
    if wanted.is_some_and(|wanted| wanted != blob.length) {
        cx.drop_blob(&blob).await;
        return Err(other_length());
    }
    Ok(Some(Part { start, blob }))
}

fn other_length() -> kernel::Error {
    fault::invalid("SIZE_INVALID", "the body is not as long as its `Content-Range` says")
}

/// What is larger than a blob may be, by the specification's code.
pub(super) fn too_large(fault: kernel::Error) -> kernel::Error {
    if fault.kind() == Kind::TooLarge { fault.coded("SIZE_INVALID") } else { fault }
}

/// Removes an upload with what arrived of it.
pub(super) async fn discard(cx: &Admission<'_>, shelf: &Shelf, id: Uuid, row: &Row<Upload>) -> Result<()> {
    let mut changes = Changes::new();
    changes.delete(shelf, row);
    let loose = Stored::Parts { id, count: row.value.parts }.release(cx, shelf, &mut changes).await?;
    match cx.commit(changes).await {
        Ok(()) => {
            for blob in &loose {
                cx.drop_blob(blob).await;
            }
            Ok(())
        }
        Err(fault) if fault.kind() == Kind::Stale => Err(fault::out_of_order()),
        Err(fault) => Err(fault),
    }
}
