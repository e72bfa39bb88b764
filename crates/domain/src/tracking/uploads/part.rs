//! Taking in one part.

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, Who};
use uuid::Uuid;

use super::{LARGEST_PART, Part, Upload, check_number, find_own, missing, part_id, queue};
use crate::{
    gate::{BlobRef, ByteStream, Changes, Cx, Op, Row, Shelf},
    resources::workspace_shelf,
    tracking::{
        action::{WRITE_ANY_ARTIFACT, WRITE_ARTIFACTS},
        attempt,
        open_file::etag,
        ticket,
    },
};

/// Brings a part, or brings it again: the last one counts. Whoever began the upload may, with a token or a part's ticket.
pub struct PutUploadPart {
    /// The workspace.
    pub workspace: ResourceId,
    /// The upload.
    pub upload: Uuid,
    /// The part, from 1.
    pub number: u32,
    /// Most bytes of the whole file.
    pub most: u64,
    /// Its bytes.
    pub body: ByteStream,
}

#[async_trait]
impl Op for PutUploadPart {
    const ACTION: Action = WRITE_ARTIFACTS;
    /// Its tag.
    type Output = String;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<String> {
        let Self { upload, number, most, body, .. } = self;
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let open = usable(cx, &shelf, upload, number).await?.value;
        let left = most.saturating_sub(open.received).min(LARGEST_PART);
        cx.note("upload", upload.to_string());
        cx.note("part", number.to_string());
        let blob = cx.put_blob(&shelf, left, body).await?;
        if let Some(old) = keep(cx, &shelf, (&open, number), most, &blob).await? {
            cx.drop_blob(&old).await;
        }
        Ok(etag(&blob))
    }
}

/// An upload that the caller may write to now: asked when the part begins to come, and again when it counts.
async fn usable(cx: &Cx<'_, PutUploadPart>, shelf: &Shelf, upload: Uuid, number: u32) -> Result<Row<Upload>> {
    cx.require(&PutUploadPart::ACTION, cx.scope()).await?;
    let row = match &cx.caller().who {
        // Who has a ticket was proved to have one for this part; that the upload is theirs still is asked here.
        Who::Keyed(key) => {
            let row = cx.get::<Upload>(shelf, upload.as_bytes()).await?.filter(|row| !row.value.is_over(cx.now()));
            row.filter(|row| key.on_behalf_of == Some(row.value.standing.holder())).ok_or_else(missing)?
        }
        _ => find_own(cx, shelf, upload).await?,
    };
    if row.value.done.is_some() {
        return Err(Error::new(Kind::Conflict, "the upload is completed already"));
    }
    check_number(number, row.value.parts)?;
    if matches!(cx.caller().who, Who::Keyed(_)) && !row.value.standing.holds(cx.house()).await? {
        return Err(ticket::ended());
    }
    row.value.place().must_be_writable(cx, shelf, &WRITE_ANY_ARTIFACT).await?;
    Ok(row)
}

/// Makes a part count. Gives back what it replaces. The bytes of one that is refused are removed.
async fn keep(
    cx: &Cx<'_, PutUploadPart>,
    shelf: &Shelf,
    (began, number): (&Upload, u32),
    most: u64,
    blob: &BlobRef,
) -> Result<Option<BlobRef>> {
    let _turn = attempt::turn(&queue(cx, began.id)).await;
    for _ in 0..attempt::MOST {
        let (changes, replaced) = match counted(cx, shelf, (began, number), most, blob).await {
            Ok(counted) => counted,
            Err(fault) => {
                cx.drop_blob(blob).await;
                return Err(fault);
            }
        };
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Kind::Stale => {}
            // How a commit ended that failed otherwise is known to nobody: the part may count, and its bytes are left to the sweep.
            done => return done.map(|()| replaced),
        }
    }
    cx.drop_blob(blob).await;
    Err(attempt::too_busy())
}

/// What makes a part count, and what it replaces.
async fn counted(
    cx: &Cx<'_, PutUploadPart>,
    shelf: &Shelf,
    (began, number): (&Upload, u32),
    most: u64,
    blob: &BlobRef,
) -> Result<(Changes, Option<BlobRef>)> {
    let mut open = usable(cx, shelf, began.id, number).await?;
    // Somebody went on with the upload meanwhile, and what this part's ticket came from is nothing any more.
    if matches!(cx.caller().who, Who::Keyed(_)) && open.value.grant != began.grant {
        return Err(ticket::ended());
    }
    let mut row = Row::new(part_id(began.id, number), Part { number, blob: blob.clone() });
    let old = cx.get::<Part>(shelf, &row.id).await?;
    let replaced = old.map(|old| {
        row.version = old.version;
        old.value.blob
    });
    let before = replaced.as_ref().map_or(0, |old| old.length);
    let received = open.value.received.saturating_sub(before).saturating_add(blob.length);
    if received > most {
        let why = format!("the parts are larger together than the limit of {most} bytes");
        return Err(Error::new(Kind::TooLarge, why));
    }
    open.value.received = received;
    open.value.touched_at = cx.now();
    let mut changes = Changes::new();
    changes.put(shelf, &row)?;
    changes.put(shelf, &open)?;
    Ok((changes, replaced))
}
