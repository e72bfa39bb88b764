//! What a run brings: files from its agent and files that its own code sends, under one count.

use kernel::{Error, Kind, Result, RunId};
use serde::{Deserialize, Serialize};

use super::Launch;
use crate::gate::{Admission, BlobRef, ByteStream, Changes, Record, Row, Shelf};

/// Most files of one run.
const MOST_FILES: u64 = 20_000;
/// Most bytes of one run's files, in scratches: files may be brought more than once.
const MOST_SCRATCHES: u64 = 4;
/// The scratch of a run without a launch, in MiB: the least that a job can have. A launch is written with its lease, so no
/// token speaks for such a run.
const LEAST_SCRATCH: u64 = 16;

/// What a run brought so far. Files that were replaced or deleted since count on: a registered version may still hold them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Brought {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

impl Record for Brought {
    const TABLE: &'static str = "run-brought";
}

fn spent() -> Error {
    let why = format!(
        "a run brings at most {MOST_FILES} files, and {MOST_SCRATCHES} times its scratch in bytes; bring less, or ask for \
         more scratch"
    );
    Error::new(Kind::TooLarge, why)
}

/// Takes in the content of a file that a run brings, of at most `most` bytes and no more than the run has left. It does not
/// count before [`charge_file`].
///
/// # Errors
/// `TooLarge` beyond the run's bounds.
pub(crate) async fn take_file(
    cx: &Admission<'_>,
    shelf: &Shelf,
    run: &RunId,
    most: u64,
    body: ByteStream,
) -> Result<BlobRef> {
    let scratch = scratch(cx, shelf, run).await?;
    let brought = find(cx, shelf, run).await?.value;
    if brought.files >= MOST_FILES {
        return Err(spent());
    }
    // What does not fit the scratch it lay on is mostly holes.
    let largest = scratch.min(most);
    let left = all_bytes(scratch).saturating_sub(brought.bytes);
    match cx.put_blob(shelf, largest.min(left), body).await {
        Err(fault) if fault.kind() == Kind::TooLarge && left < largest => Err(spent()),
        done => done,
    }
}

/// Counts a file to what the run brought, in the commit that makes it real. Uploads of one run travel together and write
/// the same count, so a commit that is `Stale` is to be built anew.
///
/// # Errors
/// `TooLarge` beyond the run's bounds.
pub(crate) async fn charge_file(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    run: &RunId,
    blob: &BlobRef,
) -> Result<()> {
    let most = all_bytes(scratch(cx, shelf, run).await?);
    let mut row = find(cx, shelf, run).await?;
    let brought = &mut row.value;
    brought.files = brought.files.saturating_add(1);
    brought.bytes = brought.bytes.saturating_add(blob.length);
    if brought.files > MOST_FILES || brought.bytes > most {
        return Err(spent());
    }
    changes.put(shelf, &row)?;
    Ok(())
}

async fn find(cx: &Admission<'_>, shelf: &Shelf, run: &RunId) -> Result<Row<Brought>> {
    let id = shelf.name_id::<Brought>(run.as_str());
    let row = cx.get::<Brought>(shelf, &id).await?;
    Ok(row.unwrap_or_else(|| Row::new(id, Brought::default())))
}

/// The run's scratch, in bytes.
async fn scratch(cx: &Admission<'_>, shelf: &Shelf, run: &RunId) -> Result<u64> {
    let launch = cx.get::<Launch>(shelf, &shelf.name_id::<Launch>(run.as_str())).await?;
    let mebibytes = launch.map_or(LEAST_SCRATCH, |row| row.value.limits.scratch_mib);
    Ok(mebibytes.saturating_mul(1 << 20))
}

fn all_bytes(scratch: u64) -> u64 {
    scratch.saturating_mul(MOST_SCRATCHES)
}
