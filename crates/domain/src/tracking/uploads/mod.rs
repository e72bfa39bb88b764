//! Uploads in parts: a large file comes as many pieces, in any order and side by side, and becomes a file when its list is complete.
//!
//! A part is sealed like every blob when it comes; joining writes one row and no bytes. Whoever began an upload gets a signature for
//! each part (decision 0042), since MLflow's client sends parts without its token. **Invariant:** a part is taken only while whoever
//! began the upload may still write there, and what they showed to begin it still stands.

mod begin;
mod finish;
mod part;
mod sweep;

use std::time::Duration;

use kernel::{Error, Kind, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ArtifactPath, ArtifactPlace, artifact::Owner};
use crate::{
    gate::{Admission, BlobRef, Record, Row, Shelf},
    identity::Standing,
};

pub use begin::{BeginUpload, BegunUpload, ListUploadParts, PartTicket, ReceivedPart, UploadState};
pub use finish::{AbortUpload, CompleteUpload};
pub use part::PutUploadPart;
pub use sweep::sweep_uploads;

/// Most parts of one upload.
pub(super) const MOST_PARTS: u32 = 10_000;
/// Most bytes of one part: 5 GiB.
const LARGEST_PART: u64 = 5 << 30;
/// An upload of more parts than these has no small ones but the last: a file's row names its parts, and is read with every list.
const FEW_PARTS: u32 = 100;
/// The smallest of those: 1 MiB.
const SMALLEST_PART: u64 = 1 << 20;
/// Uploads of one workspace that are under way at once.
const MOST_OPEN: usize = 200;
/// An upload to which nothing came for so long is given up.
const IDLE: Duration = Duration::from_secs(24 * 3600);
/// A completed one is remembered for so long: whoever did not hear that it is done asks again.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// A part's signature lives at most so long.
const TICKET: Duration = Duration::from_secs(4 * 3600);

/// An upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Upload {
    id: Uuid,
    owner: Owner,
    experiment: Option<String>,
    path: ArtifactPath,
    /// Who began it, or went on with it last, and with what.
    standing: Standing,
    /// Which tickets are good: those that were given since this last changed, as it does whenever what they hang on does.
    #[serde(default)]
    grant: Uuid,
    /// How many parts it shall have.
    parts: u32,
    /// Bytes of the parts that are here.
    received: u64,
    begun_at: Timestamp,
    /// When something came last.
    touched_at: Timestamp,
    /// The digest of the list it was completed with.
    #[serde(default)]
    done: Option<String>,
}

impl Record for Upload {
    const TABLE: &'static str = "artifact-upload";
}

impl Upload {
    /// Who began it, and with what.
    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What its tickets name.
    pub(super) fn grant(&self) -> Uuid {
        self.grant
    }

    fn place(&self) -> ArtifactPlace {
        ArtifactPlace { owner: self.owner.clone(), experiment: self.experiment.clone(), path: self.path.clone() }
    }

    fn is_of(&self, place: &ArtifactPlace) -> bool {
        (&self.owner, &self.path) == (&place.owner, &place.path)
    }

    /// Whether it is to be forgotten.
    fn is_over(&self, now: Timestamp) -> bool {
        let kept = if self.done.is_some() { REMEMBERED } else { IDLE };
        self.touched_at.plus(kept) <= now
    }
}

/// A part that came.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    number: u32,
    blob: BlobRef,
}

impl Record for Part {
    const TABLE: &'static str = "artifact-part";
}

fn part_id(upload: Uuid, number: u32) -> Vec<u8> {
    let mut id = upload.as_bytes().to_vec();
    id.extend_from_slice(&number.to_be_bytes());
    id
}

/// The same for an upload that is not there, that was given up, and that somebody else began.
fn missing() -> Error {
    let why = "there is no such upload, or it was aborted or given up; begin a new one";
    Error::new(Kind::NotFound, why)
}

/// An upload of the caller's own.
async fn find_own(cx: &Admission<'_>, shelf: &Shelf, id: Uuid) -> Result<Row<Upload>> {
    let row = cx.get::<Upload>(shelf, id.as_bytes()).await?.filter(|row| !row.value.is_over(cx.now()));
    let row = row.ok_or_else(missing)?;
    let me = cx.caller().principal().map(|principal| principal.id);
    if me == Some(row.value.standing.holder()) { Ok(row) } else { Err(missing()) }
}

/// Those who write to one upload wait for each other.
fn queue(cx: &Admission<'_>, upload: Uuid) -> String {
    format!("{}|upload {upload}", cx.scope())
}

/// A part's number.
fn check_number(number: u32, parts: u32) -> Result<()> {
    if (1..=parts).contains(&number) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Invalid,
        format!("Invalid value for parameter 'part_number' supplied: it must be 1 to {parts}"),
    ))
}
