//! Cutting the activity log where its retention says so: first the signed text where verifiers look, then the cut.

use std::{sync::Arc, time::Duration};

use domain::{
    audit::{CutLog, SignCut},
    gate::{House, enter},
};
use kernel::Caller;
use tokio::{sync::watch, time::timeout};

use super::{DataDir, checkpoints};
use crate::failure::Failure;

/// The file of signed cuts, in the data directory.
pub const CUTS: &str = "activity-log.cuts";
/// Between two looks at what is due.
const LOOK: Duration = Duration::from_secs(3600);

/// Cuts what is due, until `stop` turns true.
pub(super) async fn keep_cutting(data: DataDir, house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        match cut(&data, &house).await {
            // A long log is cut in several parts.
            Ok(true) if !*stop.borrow() => continue,
            Ok(_) => {}
            Err(fault) => tracing::error!(%fault, "the activity log could not be cut; it is tried again"),
        }
        if timeout(LOOK, stop.wait_for(|stopped| *stopped)).await.is_ok() {
            return;
        }
    }
}

/// Makes one cut; whether one was due.
async fn cut(data: &DataDir, house: &House) -> Result<bool, Failure> {
    let covered = checkpoints::newest_size(data)?;
    let Some(signed) = enter(house, &Caller::house(), SignCut { covered }).await? else { return Ok(false) };
    checkpoints::append(data, CUTS, &signed.text)?;
    let through = enter(house, &Caller::house(), CutLog { text: signed.text }).await?;
    tracing::info!(through, "the activity log was cut, as its retention says");
    Ok(true)
}
