//! Checkpoints of the activity log, kept beside it in clear so that anyone with the public key can verify.

use std::{sync::Arc, time::Duration};

use domain::{
    audit::{ExportLog, SignCheckpoint},
    gate::{House, enter},
};
use kernel::Caller;
use seal::CheckpointVerifier;
use tokio::sync::watch;

use super::DataDir;
use crate::failure::Failure;

/// The file of the log's public key, in the data directory.
pub const PUBLIC_KEY: &str = "activity-log.pub";
/// The file of its checkpoints.
pub const CHECKPOINTS: &str = "activity-log.checkpoints";

/// Between two checkpoints in the file.
pub(crate) const SEPARATOR: &str = "\n\n\n";

/// Reads all checkpoints of a file's text that verify; an unverifiable one is an error.
pub(crate) fn read_all(text: &str, verifier: &CheckpointVerifier) -> Result<Vec<seal::SignedCheckpoint>, Failure> {
    let each = text.split(SEPARATOR).filter(|part| !part.trim().is_empty());
    let verified = each.map(|part| verifier.verify(&format!("{}\n", part.trim_end())));
    verified.collect::<Result<_, _>>().map_err(|fault| Failure::new(fault.to_string()))
}

/// Refuses to start when the log does not reach, or does not match, the newest checkpoint (I23).
pub(super) async fn check_tail(data: &DataDir, house: &House, public_key: &str) -> Result<(), Failure> {
    let Some(text) = data.read_public(CHECKPOINTS)? else { return Ok(()) };
    let unusable = || Failure::new("the activity log's public key cannot be read");
    let verifier = CheckpointVerifier::from_line(public_key).ok_or_else(unusable)?;
    let Some(newest) = read_all(&text, &verifier)?.pop().filter(|checkpoint| checkpoint.size > 0) else {
        return Ok(());
    };
    let export = ExportLog { from: newest.size, most: 1 };
    let rows = enter(house, &Caller::house(), export).await?;
    match rows.first() {
        Some(row) if row.seq == newest.size && row.link == newest.link => Ok(()),
        _ => Err(Failure::new(format!(
            "the activity log does not match the checkpoint signed at {}; run `bartizan verify-log --data-dir {}` to see \
             where, and restore the data directory from a backup",
            newest.time,
            data.path().display()
        ))),
    }
}

/// Signs the log as it is now, unless nothing was added since the last checkpoint.
pub(super) async fn sign(data: &DataDir, house: &House) -> Result<(), Failure> {
    let signed = enter(house, &Caller::house(), SignCheckpoint).await?;
    let known = data.read_public(CHECKPOINTS)?.unwrap_or_default();
    let covered = known.rsplit(SEPARATOR).find(|part| !part.trim().is_empty());
    let covered = covered.and_then(|part| part.lines().nth(1)).and_then(|size| size.parse().ok());
    if covered == Some(signed.size) {
        return Ok(());
    }
    data.append_public(CHECKPOINTS, format!("{}{SEPARATOR}", signed.text.trim_end()).as_bytes())
}

/// Signs a checkpoint every minute in which the log grew.
pub(super) async fn keep_signing(data: DataDir, house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(60)) => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
        if let Err(fault) = sign(&data, &house).await {
            tracing::error!(%fault, "the activity log's checkpoint could not be signed");
        }
    }
}
