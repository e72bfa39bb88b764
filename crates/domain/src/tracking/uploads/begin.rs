//! Beginning an upload, going on with one, and asking what of it is here.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result};
use uuid::Uuid;

use super::{MOST_OPEN, MOST_PARTS, Part, TICKET, Upload, find_own};
use crate::{
    gate::{Changes, Cx, Op, Row},
    identity::Standing,
    resources::workspace_shelf,
    tracking::{
        ArtifactPlace,
        action::{WRITE_ANY_ARTIFACT, WRITE_ARTIFACTS},
        attempt,
        open_file::etag,
        ticket,
    },
};

/// A request that is sent again within this time, before anything came, means the same upload.
const SENT_AGAIN: Duration = Duration::from_secs(60);

/// The right to send one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartTicket {
    /// The part, from 1.
    pub number: u32,
    /// What is shown with it in the place of a token.
    pub code: String,
}

/// A part that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedPart {
    /// The part, from 1.
    pub number: u32,
    /// What the list that completes the upload says of it.
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// An upload that can be written to.
#[derive(Clone, Debug)]
pub struct BegunUpload {
    /// Its id.
    pub id: Uuid,
    /// A ticket for each part.
    pub tickets: Vec<PartTicket>,
    /// What is here already.
    pub received: Vec<ReceivedPart>,
}

/// Begins an upload, or goes on with one of one's own.
#[derive(Debug)]
pub struct BeginUpload {
    /// The workspace.
    pub workspace: ResourceId,
    /// The file that it shall become.
    pub place: ArtifactPlace,
    /// In how many parts.
    pub parts: u32,
    /// The upload to go on with.
    pub resume: Option<Uuid>,
}

#[async_trait]
impl Op for BeginUpload {
    const ACTION: Action = WRITE_ARTIFACTS;
    type Output = BegunUpload;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<BegunUpload> {
        let Some(principal) = cx.caller().principal() else { return Err(ticket::not_for_runs("Multipart upload")) };
        if self.place.path.is_root() {
            return Err(Error::new(Kind::Invalid, "Invalid path"));
        }
        if !(1..=MOST_PARTS).contains(&self.parts) {
            let why = format!(
                "Invalid value for parameter 'num_parts' supplied: a file is sent in 1 to {MOST_PARTS} parts; make them larger \
                 (`MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE`)"
            );
            return Err(Error::new(Kind::Invalid, why));
        }
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        self.place.must_be_writable(cx, &shelf, &WRITE_ANY_ARTIFACT).await?;
        self.place.note(cx);
        let standing = Standing::of(cx.house(), principal);
        let _turn = attempt::turn(&format!("{}|uploads", cx.scope())).await;
        for _ in 0..attempt::MOST {
            let mut row = match self.resume {
                Some(id) => {
                    let row = find_own(cx, &shelf, id).await?;
                    if !row.value.is_of(&self.place) || row.value.parts != self.parts || row.value.done.is_some() {
                        let why = "the upload is of another file, has another number of parts, or is done";
                        return Err(Error::new(Kind::Invalid, why));
                    }
                    row
                }
                None => self.new_or_same(cx, &shelf, &standing).await?,
            };
            // Tickets that were given before stay good only where they hang on the same as those that are given now: what
            // outlived its own sign-in would have another one's otherwise.
            if !row.value.standing.hangs_as(&standing) || !row.value.standing.holds(cx.house()).await? {
                row.value.standing = standing.clone();
                row.value.grant = Uuid::new_v4();
            }
            row.value.touched_at = cx.now();
            let mut changes = Changes::new();
            changes.put(&shelf, &row)?;
            cx.note("upload", row.value.id.to_string());
            cx.note("parts", self.parts.to_string());
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => continue,
                done => done?,
            }
            let mut until = cx.now().plus(TICKET);
            if let Some(bound) = standing.ends_at(cx.house()).await? {
                until = until.min(bound);
            }
            let tickets = (1..=self.parts).map(|number| {
                let code = ticket::for_part(&shelf, (row.value.id, row.value.grant), number, until);
                PartTicket { number, code }
            });
            let received = received(cx, &shelf, row.value.id).await?;
            return Ok(BegunUpload { id: row.value.id, tickets: tickets.collect(), received });
        }
        Err(attempt::too_busy())
    }
}

impl BeginUpload {
    /// A new upload, or the one that the same request began a moment ago.
    async fn new_or_same(
        &self,
        cx: &Cx<'_, Self>,
        shelf: &crate::gate::Shelf,
        standing: &Standing,
    ) -> Result<Row<Upload>> {
        let now = cx.now();
        let mut open = cx.all::<Upload>(shelf, b"").await?;
        open.retain(|row| row.value.done.is_none() && !row.value.is_over(now));
        let is_same = |row: &&Row<Upload>| {
            let one = &row.value;
            one.is_of(&self.place)
                && one.parts == self.parts
                && one.standing.holder() == standing.holder()
                && one.begun_at.plus(SENT_AGAIN) > now
                && one.begun_at == one.touched_at
                && one.received == 0
        };
        if let Some(same) = open.iter().find(is_same) {
            return Ok(same.clone());
        }
        if open.len() >= MOST_OPEN {
            let why =
                format!("{MOST_OPEN} uploads are under way in this workspace; complete or abort some, and try again");
            return Err(Error::new(Kind::Throttled, why));
        }
        let id = Uuid::new_v4();
        let upload = Upload {
            id,
            owner: self.place.owner.clone(),
            experiment: self.place.experiment.clone(),
            path: self.place.path.clone(),
            standing: standing.clone(),
            grant: Uuid::new_v4(),
            parts: self.parts,
            received: 0,
            begun_at: now,
            touched_at: now,
            done: None,
        };
        Ok(Row::new(id.as_bytes().as_slice(), upload))
    }
}

async fn received(
    cx: &crate::gate::Admission<'_>,
    shelf: &crate::gate::Shelf,
    upload: Uuid,
) -> Result<Vec<ReceivedPart>> {
    let rows = cx.all::<Part>(shelf, upload.as_bytes()).await?;
    let one = |row: Row<Part>| {
        let part = row.value;
        ReceivedPart { number: part.number, etag: etag(&part.blob), size: part.blob.length }
    };
    Ok(rows.into_iter().map(one).collect())
}

/// How far an upload is.
#[derive(Clone, Debug)]
pub struct UploadState {
    /// How many parts it shall have.
    pub parts: u32,
    /// What is here.
    pub received: Vec<ReceivedPart>,
    /// Whether it is completed.
    pub is_done: bool,
}

/// Asks what of an upload of one's own is here: whoever broke off goes on from there.
#[derive(Debug)]
pub struct ListUploadParts {
    /// The workspace.
    pub workspace: ResourceId,
    /// The upload.
    pub upload: Uuid,
}

#[async_trait]
impl Op for ListUploadParts {
    const ACTION: Action = WRITE_ARTIFACTS;
    type Output = UploadState;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<UploadState> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let upload = find_own(cx, &shelf, self.upload).await?.value;
        let received = received(cx, &shelf, upload.id).await?;
        Ok(UploadState { parts: upload.parts, received, is_done: upload.done.is_some() })
    }
}
