//! Backups: making them, looking whether one is whole, restoring one.

use std::{
    fs::{self, File},
    io::{self, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use bytes::Bytes;
use clap::{Args, Subcommand};
use domain::{
    gate::enter,
    safekeeping::{MakeBackup, Manifest, ReadBackup},
};
use futures::{Stream, StreamExt};
use kernel::Caller;
use outbound::Method;
use seal::CheckpointVerifier;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Format, Session, SessionOptions, erasure, output, tell};
use crate::{
    failure::Failure,
    server::{DataDir, RootKeyOptions, open_at_rest, open_holder, unpack},
};

/// Between two words about the progress.
const STEP: u64 = 64 << 20;

/// Copy everything that a server keeps, sealed as it is, into one signed archive: while it serves, or of a data directory at
/// rest. The root key is not in it; restoring needs that too.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Backup {
    #[command(subcommand)]
    command: Option<Command>,
    /// The file to make. It appears under this name when it is whole and on the disk; one that is there is not overwritten.
    #[arg(long, value_name = "FILE", required = true)]
    to: Option<PathBuf>,
    /// Copy this data directory, which no server has open, instead of asking a server.
    #[arg(long, value_name = "D")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    root_key: RootKeyOptions,
    #[command(flatten)]
    session: SessionOptions,
}

/// What else is done with backups.
#[derive(Subcommand)]
enum Command {
    /// Read a backup from its beginning to its end, and compare each byte with its signed manifest. Needs no root key.
    Verify {
        /// The backup.
        file: PathBuf,
        /// File of the server's public key, `activity-log.pub`: then only that server can have made it. Without it, damage is
        /// found, and not who made the backup.
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
    },
}

/// Make a data directory from a backup. It needs the root key that the backup was made under.
#[derive(Args)]
pub struct Restore {
    /// The backup.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The data directory to make: empty, or not there.
    #[arg(long, value_name = "D")]
    data_dir: PathBuf,
    #[command(flatten)]
    root_key: RootKeyOptions,
    /// File of the server's public key, `activity-log.pub`, if you kept one: a backup that another server made is refused then.
    /// That is known at its end, when all of it is unpacked and its wrapped key was tried; what was unpacked is removed. `backup
    /// verify` with the same option looks before anything is unpacked.
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// File of certificates of erasure, as `erasure list --output json` or `erasure download` gave them; can be given several times.
    /// Workspaces that were erased after the backup was made are erased again, before anybody can read them.
    #[arg(long, value_name = "FILE")]
    erased: Vec<PathBuf>,
    /// How to print the result.
    #[arg(short = 'o', long, value_enum, default_value = "table")]
    output: Format,
}

const ROWS: &[(&str, &str)] = &[
    ("File", "/file"),
    ("Made at", "/madeAt"),
    ("Release", "/release"),
    ("Members", "/members"),
    ("Bytes", "/bytes"),
    ("Records", "/records"),
];
const RESTORED: &[(&str, &str)] = &[
    ("File", "/file"),
    ("Made at", "/madeAt"),
    ("Release", "/release"),
    ("Members", "/members"),
    ("Bytes", "/bytes"),
    ("Records", "/records"),
    ("Erased again", "/erasedAgain"),
];

fn view(file: &Path, manifest: &Manifest) -> Value {
    json!({
        "file": file.display().to_string(),
        "madeAt": manifest.made_at,
        "release": manifest.release,
        "members": manifest.members,
        "bytes": manifest.bytes,
        "records": manifest.records,
    })
}

fn public_key(file: Option<&Path>) -> Result<Option<CheckpointVerifier>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let line =
        fs::read_to_string(file).map_err(|fault| Failure::usage(format!("cannot read {}: {fault}", file.display())))?;
    let none = || Failure::usage(format!("{} holds no public key of an activity log", file.display()));
    CheckpointVerifier::from_line(&line).map(Some).ok_or_else(none)
}

/// Reads a whole archive without keeping anything of it.
async fn verified(file: &Path, pinned: Option<CheckpointVerifier>) -> Result<Manifest, Failure> {
    let opened =
        File::open(file).map_err(|fault| Failure::usage(format!("cannot read {}: {fault}", file.display())))?;
    let read = move || ReadBackup::new(BufReader::with_capacity(1 << 20, opened), pinned).read(&mut ());
    let read = tokio::task::spawn_blocking(read).await.map_err(|fault| Failure::new(fault.to_string()))?;
    read.map(|(manifest, _)| manifest).map_err(|fault| Failure::new(format!("{}: {fault}", file.display())))
}

impl Backup {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let output = self.session.output;
        if let Some(Command::Verify { file, public_key: key }) = &self.command {
            let manifest = verified(file, public_key(key.as_deref())?).await?;
            return output.entry(&view(file, &manifest), ROWS);
        }
        let to = self.to.clone().ok_or_else(|| Failure::usage("say where to with --to FILE"))?;
        if to.symlink_metadata().is_ok() {
            return Err(Failure::usage(format!("{} is there already, and is not overwritten", to.display())));
        }
        let manifest = match &self.data_dir {
            Some(data_dir) => {
                let data = DataDir::open_existing(data_dir, &self.root_key).await?;
                let house = open_at_rest(&data).await?;
                let backup = enter(&house, &Caller::house(), MakeBackup).await?;
                keep(&to, backup.archive.map(|piece| piece.map_err(Failure::from))).await?
            }
            None => {
                let session = Session::open(&self.session).await?;
                let call = session.call(Method::POST, "/safekeeping/v1/backup").without_deadline();
                let answer = call.send().await?.success().await?;
                keep(&to, answer.stream().map(|piece| piece.map_err(Failure::from))).await?
            }
        };
        output.entry(&view(&to, &manifest), ROWS)
    }
}

/// Writes an archive under another name, reads it again as a whole, and only then gives it its own.
async fn keep(to: &Path, archive: impl Stream<Item = Result<Bytes, Failure>>) -> Result<Manifest, Failure> {
    // Of this command alone: two that are given one name must not write into, or name, each other's.
    let mut draft = to.as_os_str().to_owned();
    draft.push(format!(".{}.part", Uuid::new_v4().simple()));
    let draft = PathBuf::from(draft);
    let read_back = match write(&draft, archive).await {
        Ok(()) => verified(&draft, None).await,
        Err(fault) => Err(fault),
    };
    match read_back {
        Ok(manifest) => name(&draft, to).map(|()| manifest),
        Err(fault) => {
            let _ = fs::remove_file(&draft);
            Err(fault)
        }
    }
}

async fn write(draft: &Path, archive: impl Stream<Item = Result<Bytes, Failure>>) -> Result<(), Failure> {
    let cannot = |fault: io::Error| Failure::new(format!("cannot write {}: {fault}", draft.display()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft).map_err(cannot)?;
    let (mut written, mut told) = (0_u64, 0_u64);
    let mut archive = std::pin::pin!(archive);
    while let Some(piece) = archive.next().await {
        let piece = piece?;
        file.write_all(&piece).map_err(cannot)?;
        written = written.saturating_add(u64::try_from(piece.len()).unwrap_or(0));
        if written.saturating_sub(told) >= STEP {
            told = written;
            tell(&format!("{} MiB copied", written >> 20));
        }
    }
    tell(&format!("{} MiB copied; comparing all of it with its manifest", written >> 20));
    file.sync_all().map_err(cannot)
}

/// Gives a file its name, which fails when the name is taken, durably. One that cannot get it stays: it is whole.
fn name(draft: &Path, to: &Path) -> Result<(), Failure> {
    let cannot = |fault: io::Error| {
        let (to, draft) = (to.display(), draft.display());
        Failure::new(format!(
            "cannot make {to}: {fault}; the backup is whole, and lies at {draft}: give it a name yourself"
        ))
    };
    match fs::hard_link(draft, to) {
        // It is named; a second name that stays does no harm.
        Ok(()) => drop(fs::remove_file(draft)),
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => return Err(cannot(fault)),
        // A medium without links: FAT, and many that are mounted from elsewhere. Whoever makes the name between the two loses.
        Err(_) if to.symlink_metadata().is_err() => fs::rename(draft, to).map_err(cannot)?,
        Err(fault) => return Err(cannot(fault)),
    }
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(parent).and_then(|parent| parent.sync_all());
    synced.map_err(|fault| Failure::new(format!("{} may not outlive a power cut: {fault}", to.display())))
}

impl Restore {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let root = open_holder(&self.root_key.choice(&self.data_dir)?, false).await?;
        tell("unpacking, and comparing all of it with its manifest");
        let mut erased = Vec::new();
        for file in &self.erased {
            erased.extend(erasure::read(file)?);
        }
        let pinned = public_key(self.public_key.as_deref())?;
        let done = unpack(&self.from, &self.data_dir, root, pinned, erased).await?;
        let mut shown = view(&self.from, &done.manifest);
        if let Some(fields) = shown.as_object_mut() {
            fields.insert(String::from("erasedAgain"), json!(done.erased));
            fields.insert(String::from("dataDir"), json!(self.data_dir.display().to_string()));
        }
        if self.output == Format::Table {
            output::say(&format!("restored into {}; start it with `bartizan serve`", self.data_dir.display()));
        }
        self.output.entry(&shown, RESTORED)
    }
}
