//! The end of an upload: its parts become a file, or go.

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result};
use uuid::Uuid;

use super::{FEW_PARTS, Part, SMALLEST_PART, Upload, find_own, missing, queue};
use crate::{
    gate::{BlobRef, Changes, Cx, Op, Row, Shelf},
    resources::workspace_shelf,
    tracking::{
        ArtifactPlace,
        action::{WRITE_ANY_ARTIFACT, WRITE_ARTIFACTS},
        artifact::put_file,
        attempt,
        open_file::etag,
    },
};

/// Makes a file of all parts. Asked again with the same list, it says yes again.
#[derive(Debug)]
pub struct CompleteUpload {
    /// The workspace.
    pub workspace: ResourceId,
    /// The file.
    pub place: ArtifactPlace,
    /// The upload.
    pub upload: Uuid,
    /// All its parts in order, each with the tag that it was answered with.
    pub parts: Vec<(u32, String)>,
}

#[async_trait]
impl Op for CompleteUpload {
    const ACTION: Action = WRITE_ARTIFACTS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        self.place.note(cx);
        cx.note("upload", self.upload.to_string());
        let list = self.digest();
        let _turn = attempt::turn(&queue(cx, self.upload)).await;
        for _ in 0..attempt::MOST {
            let mut open = find_own(cx, &shelf, self.upload).await?;
            if !open.value.is_of(&self.place) {
                return Err(missing());
            }
            match &open.value.done {
                Some(done) if *done == list => return Ok(()),
                Some(_) => return Err(Error::new(Kind::Conflict, "the upload was completed with other parts")),
                None => {}
            }
            self.place.must_be_writable(cx, &shelf, &WRITE_ANY_ARTIFACT).await?;
            let rows = cx.all::<Part>(&shelf, self.upload.as_bytes()).await?;
            let file = self.joined(&open.value, &rows)?;
            cx.note("bytes", file.length.to_string());
            let mut changes = Changes::new();
            put_file(cx, &shelf, &mut changes, &self.place.owner, self.place.path.as_str(), file).await?;
            for row in &rows {
                changes.delete(&shelf, row);
            }
            open.value.done = Some(list.clone());
            open.value.touched_at = cx.now();
            changes.put(&shelf, &open)?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(attempt::too_busy())
    }
}

impl CompleteUpload {
    /// What the list says, in short.
    fn digest(&self) -> String {
        let lines: Vec<String> = self.parts.iter().map(|(number, tag)| format!("{number} {}", bare(tag))).collect();
        seal::sha256_hex(lines.join("\n").as_bytes())
    }

    /// The file, when the list names all parts, in order, as they are.
    fn joined(&self, upload: &Upload, rows: &[Row<Part>]) -> Result<BlobRef> {
        let refuse = |why: String| {
            Err(Error::new(Kind::Invalid, format!("Invalid value for parameter 'parts' supplied: {why}")))
        };
        if u32::try_from(self.parts.len()) != Ok(upload.parts) {
            return refuse(format!(
                "the upload was begun with {} parts, and {} are named",
                upload.parts,
                self.parts.len()
            ));
        }
        let mut rows = rows.iter().peekable();
        let mut blobs = Vec::with_capacity(self.parts.len());
        for (expected, (number, tag)) in (1_u32..).zip(&self.parts) {
            if *number != expected {
                return refuse(format!("part {expected} must be named in its order, once"));
            }
            let Some(row) = rows.next_if(|row| row.value.number == expected) else {
                return refuse(format!("part {expected} did not come yet; send it, and complete the upload then"));
            };
            if bare(tag) != bare(&etag(&row.value.blob)) {
                return refuse(format!("part {expected} has another etag than the one that is named; send it again"));
            }
            if upload.parts > FEW_PARTS && expected < upload.parts && row.value.blob.length < SMALLEST_PART {
                return refuse(format!(
                    "part {expected} has {} bytes; of more than {FEW_PARTS} parts all but the last have {SMALLEST_PART} at least: \
                     begin anew with larger ones (`MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE`)",
                    row.value.blob.length
                ));
            }
            blobs.push(row.value.blob.clone());
        }
        BlobRef::joined(blobs)
    }
}

/// A tag without its quotes: clients differ in whether they keep them.
fn bare(tag: &str) -> &str {
    tag.trim().trim_matches('"')
}

/// Gives an upload up, with what came of it. One that is not there is no error: whoever asks twice wanted just that.
#[derive(Debug)]
pub struct AbortUpload {
    /// The workspace.
    pub workspace: ResourceId,
    /// The file that it was to become.
    pub place: ArtifactPlace,
    /// The upload.
    pub upload: Uuid,
}

#[async_trait]
impl Op for AbortUpload {
    const ACTION: Action = WRITE_ARTIFACTS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        self.place.note(cx);
        cx.note("upload", self.upload.to_string());
        let _turn = attempt::turn(&queue(cx, self.upload)).await;
        for _ in 0..attempt::MOST {
            let open = match find_own(cx, &shelf, self.upload).await {
                Err(fault) if fault.kind() == Kind::NotFound => return Ok(()),
                found => found?,
            };
            if !open.value.is_of(&self.place) {
                return Ok(());
            }
            if open.value.done.is_some() {
                return Err(Error::new(Kind::Conflict, "the upload is completed: delete the file, if that is meant"));
            }
            match remove(cx, &shelf, &open).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(attempt::too_busy())
    }
}

/// Removes an upload with the parts that it still has.
pub(super) async fn remove(cx: &crate::gate::Admission<'_>, shelf: &Shelf, upload: &Row<Upload>) -> Result<()> {
    let rows = cx.all::<Part>(shelf, upload.value.id.as_bytes()).await?;
    let mut changes = Changes::new();
    changes.delete(shelf, upload);
    for row in &rows {
        changes.delete(shelf, row);
    }
    cx.commit(changes).await?;
    for row in &rows {
        cx.drop_blob(&row.value.blob).await;
    }
    Ok(())
}
