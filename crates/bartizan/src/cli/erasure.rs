//! Certificates of erasure: what is left of workspaces whose keys were destroyed.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;
use domain::erasure::Certificate;
use seal::CheckpointVerifier;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Format, Session, SessionOptions};
use crate::{failure::Failure, server::PUBLIC_KEY};

/// Commands on certificates of erasure. Destroying a workspace's key (`workspace purge`, or the end of its rest) leaves one: who asked
/// for it, who approved, when, which key versions, how many rows of what lay under them, and where the activity log says so, signed
/// with the key that signs the log's checkpoints.
///
/// Keep them away from the server: `restore --erased` needs them to erase again what an older backup brings back.
#[derive(Subcommand)]
pub enum Command {
    /// List the workspaces that were erased, of the resource group, or of the subscription when no group is set. With `--output json`,
    /// the certificates themselves: that file is what `restore --erased` takes.
    List(#[command(flatten)] SessionOptions),
    /// Write a certificate into a file.
    Download {
        /// The GUID that the workspace had, as `list` shows it.
        guid: Uuid,
        /// The file to make; one that is there is not overwritten.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Verify a certificate, or a list of them, offline. Exit code 1 when one is not what that server signed.
    Verify {
        /// The file.
        file: PathBuf,
        /// File of the server's public key, `activity-log.pub`. Default: the data directory's. Pin your own copy to trust nothing of
        /// the server's.
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
        /// The data directory that has the public key.
        #[arg(long, value_name = "D", default_value = "bartizan-data")]
        data_dir: PathBuf,
        /// How to print the result.
        #[arg(short = 'o', long, value_enum, default_value = "table")]
        output: Format,
    },
}

const COLUMNS: &[(&str, &str)] = &[
    ("GUID", "/erasure/workspaceGuid"),
    ("Workspace", "/erasure/workspace"),
    ("Erased", "/erasure/erasedAt"),
    ("Asked by", "/erasure/askedBy/name"),
];
const VERIFIED: &[(&str, &str)] =
    &[("Workspace", "/workspace"), ("GUID", "/guid"), ("Erased", "/erasedAt"), ("Record", "/record")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(session) => {
                let open = Session::open(&session).await?;
                session.output.entries(&open.list(&place(&open, session.resource_group.is_some())?).await?, COLUMNS)
            }
            Self::Download { guid, to, session } => {
                let open = Session::open(&session).await?;
                let found: Value = open.get(&format!("{}/{guid}", place(&open, false)?)).await?;
                write(&to, &found)?;
                session.output.done(&format!("the certificate is in {}", to.display()), &found)
            }
            Self::Verify { file, public_key, data_dir, output } => {
                let key = public_key.unwrap_or_else(|| data_dir.join(PUBLIC_KEY));
                let verified = verified(&file, &key)?;
                output.entries(&verified, VERIFIED)
            }
        }
    }
}

fn place(open: &Session, in_group: bool) -> Result<String, Failure> {
    let parent = if in_group { open.group()? } else { open.subscription()? };
    Ok(format!("{parent}/providers/Microsoft.MachineLearningServices/erasedWorkspaces"))
}

fn write(to: &Path, found: &Value) -> Result<(), Failure> {
    let cannot = |fault: std::io::Error| Failure::usage(format!("cannot make {}: {fault}", to.display()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(to).map_err(cannot)?;
    let text = serde_json::to_string_pretty(found).map_err(|fault| Failure::new(fault.to_string()))?;
    file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(cannot)?;
    file.sync_all().map_err(cannot)
}

/// The certificates of a file: one, or a list as the command `list` prints it.
pub fn read(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let text =
        fs::read_to_string(file).map_err(|fault| Failure::usage(format!("cannot read {}: {fault}", file.display())))?;
    let none = |fault| Failure::new(format!("{} holds no certificate of erasure: {fault}", file.display()));
    let value: Value = serde_json::from_str(&text).map_err(none)?;
    match value {
        Value::Array(_) => serde_json::from_value(value).map_err(none),
        one => Ok(vec![serde_json::from_value(one).map_err(none)?]),
    }
}

fn verified(file: &Path, key: &Path) -> Result<Vec<Value>, Failure> {
    let line = fs::read_to_string(key).map_err(|fault| {
        Failure::usage(format!("cannot read {}: {fault}; say where with --public-key or --data-dir", key.display()))
    })?;
    let none = || Failure::usage(format!("{} holds no public key of an activity log", key.display()));
    let key = CheckpointVerifier::from_line(&line).ok_or_else(none)?;
    let certificates = read(file)?;
    if certificates.is_empty() {
        return Err(Failure::new(format!("{} is an empty list: it proves nothing", file.display())));
    }
    let mut entries = Vec::new();
    for (certificate, number) in certificates.iter().zip(1u64..) {
        let found = certificate.verify(&key).map_err(|fault| {
            Failure::new(format!("{}: certificate {number} proves nothing: {fault}", file.display()))
        })?;
        entries.push(json!({
            "valid": true,
            "workspace": found.erasure.workspace,
            "guid": found.erasure.workspace_guid,
            "erasedAt": found.erasure.erased_at,
            "record": found.record,
            "link": found.link,
            "tenant": found.tenant,
        }));
    }
    Ok(entries)
}
