//! The end of a run's own log, for the room whose launch it is.

use kernel::{Result, RunId};

use super::{PROGRAM_LOG, log};
use crate::gate::{Admission, Shelf};

/// The last bytes of what a run's program wrote, at most `most`, as text. Empty when it wrote nothing.
pub(crate) async fn tail_log(cx: &Admission<'_>, shelf: &Shelf, run: &RunId, most: u64) -> Result<String> {
    let Some(head) = log::head(cx, shelf, run, PROGRAM_LOG).await? else { return Ok(String::new()) };
    let from = head.length.saturating_sub(most);
    let bytes = log::read(cx, shelf, run, PROGRAM_LOG, from).await?;
    let text = String::from_utf8_lossy(&bytes);
    if from == 0 {
        return Ok(text.into_owned());
    }
    // The first line is most likely cut.
    Ok(text.split_once('\n').map_or("", |(_, rest)| rest).to_owned())
}
