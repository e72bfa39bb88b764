//! Appending to append blobs.

use kernel::{Error, Kind, ResourceId, Result};

use super::{
    blob::{Blob, BlobKind, Guard, InContainer},
    body::Body,
    container::{ATTEMPTS, Container},
    content::MOST_BLOCKS,
    etag, fault,
    put::Addition,
};
use crate::gate::{Admission, BlobRef, Changes};

/// Adds a block at the end of an append blob.
#[derive(Debug)]
pub struct AppendBlock {
    /// Which.
    pub at: InContainer,
    /// Its bytes.
    pub body: Body,
    /// The length that the blob must have.
    pub position: Option<u64>,
    /// The length that it may not exceed afterwards.
    pub most: Option<u64>,
    /// What must hold.
    pub guard: Guard,
}

/// What an append did.
#[derive(Debug)]
pub struct Appended {
    /// The blob as it is now.
    pub blob: Blob,
    /// Where the block begins.
    pub offset: u64,
    /// The block's MD5, base64, where it was measured.
    pub md5: Option<String>,
}

impl Addition for AppendBlock {
    type Output = Appended;

    fn place(&self) -> ResourceId {
        self.at.scope()
    }

    async fn write(self, cx: &Admission<'_>, _: bool) -> Result<Appended> {
        let Self { at, body, position, most, guard } = self;
        let terms = Terms { position, most, guard };
        let container = at.container(cx).await?;
        terms.hold(&at.find(cx, &container, None).await?.value, 0, cx)?;
        let (block, md5) = body.store(cx, at.shelf()).await?;
        cx.note("bytes", block.length.to_string());
        for _ in 0..ATTEMPTS {
            match once(cx, &at, &container, &terms, &block).await {
                Ok(Some((blob, offset))) => return Ok(Appended { blob, offset, md5 }),
                Ok(None) => {}
                Err(fault) => return Err(undo(cx, &block, fault).await),
            }
        }
        Err(undo(cx, &block, fault::too_fast()).await)
    }
}

/// Appends to the blob as it is now: the blob after that, and where the block begins. None when somebody else wrote meanwhile.
async fn once(
    cx: &Admission<'_>,
    at: &InContainer,
    container: &Container,
    terms: &Terms,
    block: &BlobRef,
) -> Result<Option<(Blob, u64)>> {
    let mut row = at.find(cx, container, None).await?;
    terms.hold(&row.value, block.length, cx)?;
    let offset = row.value.length;
    let mut changes = Changes::new();
    match row.value.content.append(cx, at.shelf(), &mut changes, block.clone()).await {
        Err(fault) if fault.kind() == Kind::Stale => return Ok(None),
        appended => appended?,
    }
    row.value.length = offset.saturating_add(block.length);
    row.value.set_mark(etag::fresh(cx.now())?);
    changes.put(at.shelf(), &row)?;
    match cx.commit(changes).await {
        Err(fault) if fault.kind() == Kind::Stale => Ok(None),
        done => done.map(|()| Some((row.value, offset))),
    }
}

async fn undo(cx: &Admission<'_>, block: &BlobRef, fault: Error) -> Error {
    cx.drop_blob(block).await;
    fault
}

struct Terms {
    position: Option<u64>,
    most: Option<u64>,
    guard: Guard,
}

impl Terms {
    fn hold(&self, blob: &Blob, more: u64, cx: &Admission<'_>) -> Result<()> {
        if blob.kind != BlobKind::Append {
            return Err(fault::wrong_kind());
        }
        self.guard.hold_for_write(blob, cx.now())?;
        if self.position.is_some_and(|position| position != blob.length) {
            let why = "The append position condition specified was not met.";
            return Err(fault::lease("AppendPositionConditionNotMet", why));
        }
        if self.most.is_some_and(|most| blob.length.saturating_add(more) > most) {
            return Err(fault::lease(
                "MaxBlobSizeConditionNotMet",
                "The max blob size condition specified was not met.",
            ));
        }
        if blob.blocks() >= u64::try_from(MOST_BLOCKS).unwrap_or(u64::MAX) {
            let why = "The committed block count cannot exceed the maximum limit of 50,000 blocks.";
            return Err(fault::conflict("BlockCountExceedsLimit", why));
        }
        Ok(())
    }
}
