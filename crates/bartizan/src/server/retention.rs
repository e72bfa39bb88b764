//! Cutting the activity log where its retention says so: first the signed text where verifiers look, then the cut.

use std::{sync::Arc, time::Duration};

use domain::{
    audit::{CutLog, GetCut, SignCut},
    gate::{House, enter},
};
use kernel::{Caller, Kind};
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

/// Puts the cut that was made last back into the file, if that has lost it: without it nobody can verify what is left.
pub(super) async fn restore_cut(data: &DataDir, house: &House) -> Result<(), Failure> {
    let text = match enter(house, &Caller::house(), GetCut).await {
        Ok(text) => text,
        Err(fault) if fault.kind() == Kind::NotFound => return Ok(()),
        Err(fault) => return Err(fault.into()),
    };
    let known = data.read_public(CUTS)?.unwrap_or_default();
    // Whole, with what ends it: one that was cut off while it was written does not count.
    if known.contains(&format!("{}{}", text.trim_end(), checkpoints::SEPARATOR)) {
        return Ok(());
    }
    tracing::warn!("{CUTS} had lost the newest cut of the activity log; it was written again");
    checkpoints::append(data, CUTS, &text)
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
