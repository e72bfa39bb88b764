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

/// Reads all checkpoints of a file's text; one that does not verify is an error. What follows the last separator was cut
/// off while it was written, and does not count.
pub(crate) fn read_all(text: &str, verifier: &CheckpointVerifier) -> Result<Vec<seal::SignedCheckpoint>, Failure> {
    let verified = whole(text).map(|part| verifier.verify(&format!("{}\n", part.trim_end())));
    verified.collect::<Result<_, _>>().map_err(|fault| Failure::new(fault.to_string()))
}

/// The parts of the file that were written to their end.
fn whole(text: &str) -> impl Iterator<Item = &str> {
    let end = text.rfind(SEPARATOR).unwrap_or(0);
    text.get(..end).unwrap_or_default().split(SEPARATOR).filter(|part| !part.trim().is_empty())
}

/// Refuses to start when the log does not reach, or does not match, the newest checkpoint (I23).
pub(super) async fn check_tail(data: &DataDir, house: &House, public_key: &str) -> Result<(), Failure> {
    match data.read_public(PUBLIC_KEY)? {
        None => data.write_public(PUBLIC_KEY, format!("{public_key}\n").as_bytes())?,
        Some(known) if known.trim() == public_key => {}
        Some(_) => {
            let why = "is not the public key of the log in the store; restore both from one backup";
            return Err(Failure::new(format!("{} {why}", data.path().join(PUBLIC_KEY).display())));
        }
    }
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

/// Signs the log as it is now, unless nothing was added since the last checkpoint. A log that does not continue the last
/// checkpoint is never signed.
pub(super) async fn sign(data: &DataDir, house: &House) -> Result<(), Failure> {
    let known = data.read_public(CHECKPOINTS)?.unwrap_or_default();
    let last = whole(&known).last().and_then(covered);
    let signed = enter(house, &Caller::house(), SignCheckpoint { continues: last }).await?;
    if last.is_some_and(|(size, _)| size == signed.size) {
        return Ok(());
    }
    append(data, CHECKPOINTS, &signed.text)
}

/// Adds a signed text to a file of them.
pub(super) fn append(data: &DataDir, file: &str, text: &str) -> Result<(), Failure> {
    let known = data.read_public(file)?.unwrap_or_default();
    // What was cut off while it was written must not be glued to what follows.
    if !known.is_empty() && !known.ends_with(SEPARATOR) {
        let end = known.rfind(SEPARATOR).map_or(0, |at| at + SEPARATOR.len());
        data.write_public(file, known.get(..end).unwrap_or_default().as_bytes())?;
    }
    data.append_public(file, format!("{}{SEPARATOR}", text.trim_end()).as_bytes())
}

/// How many records the newest checkpoint of the file covers.
pub(super) fn newest_size(data: &DataDir) -> Result<u64, Failure> {
    let known = data.read_public(CHECKPOINTS)?.unwrap_or_default();
    Ok(whole(&known).last().and_then(covered).map_or(0, |(size, _)| size))
}

/// Size and link of a checkpoint's text.
fn covered(text: &str) -> Option<(u64, kernel::Link)> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let mut lines = text.lines().skip(1);
    let (size, link) = (lines.next()?.parse().ok()?, STANDARD.decode(lines.next()?).ok()?);
    Some((size, link.try_into().ok()?))
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
