//! The offline verifier of the activity log.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use domain::audit::{Finding, LogVerifier, Verified, is_cut};
use kernel::{LogRow, MetaStore, Sealed};
use seal::{CheckpointVerifier, SignedCheckpoint};
use serde::Deserialize;
use serde_json::json;

use super::Format;
use crate::{
    failure::Failure,
    server::{CHECKPOINTS, CUTS, PUBLIC_KEY, read_checkpoints, refuse_incomplete},
};

/// Verifies a log without any secret: the chain needs no key, checkpoints need the public one. Works while a server runs,
/// and on a copy.
#[derive(Args)]
pub struct VerifyLog {
    /// The data directory that holds the log, its checkpoints and its public key.
    #[arg(long, value_name = "D", default_value = "bartizan-data")]
    data_dir: PathBuf,
    /// Verify an export (`bartizan activity-log export`) instead of the data directory's own log.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// File of the log's public key. Default: the data directory's. Pin your own copy to trust nothing of the server's.
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// A checkpoint that was kept elsewhere; can be given several times.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// File of signed cuts, behind one of which the log may begin. Default: the data directory's, if there is one.
    #[arg(long, value_name = "FILE")]
    cuts: Option<PathBuf>,
    /// How to print the result.
    #[arg(short = 'o', long, value_enum, default_value = "table")]
    output: Format,
}

/// One line of an export: the row as it is stored, with or without its opened record, or inside an OCSF event.
#[derive(Deserialize)]
#[serde(untagged)]
enum ExportedLine {
    Row(ExportedRow),
    Ocsf { unmapped: Unmapped },
}

/// What OCSF leaves to products.
#[derive(Deserialize)]
struct Unmapped {
    bartizan: ExportedRow,
}

/// A row as it is stored.
#[derive(Deserialize)]
struct ExportedRow {
    seq: u64,
    link: String,
    record: String,
}

impl VerifyLog {
    /// Verifies, and names the first bad or missing record. Exit code 1 when there is one.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let verified = match &self.export {
            Some(path) => verify_export(LogVerifier::new(self.checkpoints()?).with_cuts(self.signed_cuts()?), path)?,
            None => self.verify_live().await?,
        };
        let Verified { records, removed, checkpoints, uncovered } = verified;
        let value = json!({
            "sound": true,
            "records": records,
            "removed": removed,
            "checkpoints": checkpoints,
            "uncovered": uncovered,
        });
        self.output.done(&sentence(&verified), &value)
    }

    /// Verifies the data directory's own log. A server that cuts it meanwhile takes rows away behind a signed cut: then it is
    /// verified anew from there.
    async fn verify_live(&self) -> Result<Verified, Failure> {
        // Half of a restore is sound as far as it goes, and a script that starts the server on our word asks for all of it.
        refuse_incomplete(&self.data_dir)?;
        let store = store::meta::Sqlite::open_read_only(&self.data_dir.join("meta"))?;
        loop {
            let front = front(&store).await?;
            let verifier = LogVerifier::new(self.checkpoints()?).with_cuts(self.signed_cuts()?);
            match verify_store(verifier, &store).await? {
                Ok(verified) => return Ok(verified),
                // The front only ever moves on, so this ends.
                Err(Finding::Missing { .. } | Finding::Unsigned { .. })
                    if self.was_cut_since(front, &store).await? => {}
                Err(finding) => return Err(unsound(finding)),
            }
        }
    }

    /// Whether the log now begins later than at `before`, right behind a signed cut.
    async fn was_cut_since(&self, before: u64, store: &store::meta::Sqlite) -> Result<bool, Failure> {
        let now = front(store).await?;
        Ok(now > before && self.signed_cuts()?.iter().any(|cut| cut.size.saturating_add(1) == now))
    }

    fn verifier(&self) -> Result<CheckpointVerifier, Failure> {
        let key_file = self.public_key.clone().unwrap_or_else(|| self.data_dir.join(PUBLIC_KEY));
        let line = std::fs::read_to_string(&key_file).map_err(|fault| cannot_read(&key_file, &fault))?;
        CheckpointVerifier::from_line(&line)
            .ok_or_else(|| Failure::new(format!("{} holds no public key of an activity log", key_file.display())))
    }

    /// Cuts that carry a valid signature. One that does not is no cut but damage.
    fn signed_cuts(&self) -> Result<Vec<SignedCheckpoint>, Failure> {
        let path = self.cuts.clone().unwrap_or_else(|| self.data_dir.join(CUTS));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(fault) if self.cuts.is_none() && fault.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(fault) => return Err(cannot_read(&path, &fault)),
        };
        let verifier = self.verifier()?;
        // One that was fetched alone has no separator behind it.
        let text = if self.cuts.is_some() { format!("{}\n\n\n", text.trim_end()) } else { text };
        let cuts = read_checkpoints(&text, &verifier).map_err(|fault| {
            Failure::new(format!(
                "the activity log is NOT sound: {} holds a cut that was not signed: {fault}",
                path.display()
            ))
        })?;
        match cuts.iter().all(is_cut) {
            true => Ok(cuts),
            false => {
                Err(Failure::new(format!("the activity log is NOT sound: {} holds what is no cut", path.display())))
            }
        }
    }

    fn checkpoints(&self) -> Result<Vec<SignedCheckpoint>, Failure> {
        let verifier = self.verifier()?;
        let mut all = Vec::new();
        let beside = self.data_dir.join(CHECKPOINTS);
        match std::fs::read_to_string(&beside) {
            Ok(text) => all.extend(read_checkpoints(&text, &verifier)?),
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {}
            Err(fault) => return Err(cannot_read(&beside, &fault)),
        }
        for path in &self.checkpoint {
            let text = std::fs::read_to_string(path).map_err(|fault| cannot_read(path, &fault))?;
            // One that was kept elsewhere stands alone, and must be whole.
            let kept = verifier.verify(&format!("{}\n", text.trim_end()));
            all.push(kept.map_err(|fault| Failure::new(format!("{}: {fault}", path.display())))?);
        }
        Ok(all)
    }
}

fn cannot_read(path: &Path, fault: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {fault}; say where with --data-dir or --public-key", path.display()))
}

/// What a sound log amounts to, in words.
pub fn sentence(verified: &Verified) -> String {
    let Verified { records, removed, checkpoints, uncovered } = verified;
    let cut = match removed {
        0 => String::new(),
        _ => format!(", {removed} removed before by a signed cut"),
    };
    format!(
        "the activity log is sound: {records} records chained{cut}, {checkpoints} signed checkpoints match, {uncovered} newest \
         records not covered by a checkpoint yet"
    )
}

/// Verifies the log of a data directory against the public key and checkpoints beside it.
pub async fn verify_data_dir(data_dir: &Path) -> Result<Verified, Failure> {
    let pinned = VerifyLog {
        data_dir: data_dir.to_owned(),
        export: None,
        public_key: None,
        checkpoint: Vec::new(),
        cuts: None,
        output: Format::Table,
    };
    pinned.verify_live().await
}

fn unsound(finding: Finding) -> Failure {
    Failure::new(format!("the activity log is NOT sound: {finding}"))
}

/// The number of the log's first record, 0 when it is empty.
async fn front(store: &store::meta::Sqlite) -> Result<u64, Failure> {
    Ok(store.log(0, 1).await?.first().map_or(0, |row| row.seq))
}

async fn verify_store(
    mut verifier: LogVerifier,
    store: &store::meta::Sqlite,
) -> Result<Result<Verified, Finding>, Failure> {
    const PAGE: usize = 2000;
    let mut next = 0;
    loop {
        // From whatever comes next, not from the number that should: a gap must be seen, not stepped over.
        let rows = store.log(next, PAGE).await?;
        for row in &rows {
            if let Err(finding) = verifier.push(row) {
                return Ok(Err(finding));
            }
        }
        match rows.last() {
            Some(last) => next = last.seq.saturating_add(1),
            None => return Ok(verifier.finish()),
        }
    }
}

fn verify_export(mut verifier: LogVerifier, path: &Path) -> Result<Verified, Failure> {
    use std::io::BufRead;
    let file = std::fs::File::open(path)
        .map_err(|fault| Failure::usage(format!("cannot read {}: {fault}", path.display())))?;
    for (line, number) in std::io::BufReader::new(file).lines().zip(1u64..) {
        let row =
            parse(&line?).ok_or_else(|| Failure::new(format!("line {number} of the export is not a log record")))?;
        verifier.push(&row).map_err(unsound)?;
    }
    verifier.finish().map_err(unsound)
}

fn parse(line: &str) -> Option<LogRow> {
    let row = match serde_json::from_str(line).ok()? {
        ExportedLine::Row(row) | ExportedLine::Ocsf { unmapped: Unmapped { bartizan: row } } => row,
    };
    let link = STANDARD.decode(row.link).ok()?.try_into().ok()?;
    Some(LogRow { seq: row.seq, link, record: Sealed::read_back(STANDARD.decode(row.record).ok()?.into()) })
}
