//! What is done with every kind of object that a vault keeps: naming one, lists, deletion and what comes after it, backups.

use std::{
    fs::OpenOptions,
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use kernel::Timestamp;
use outbound::Method;
use serde_json::{Map, Value, json};

use super::{AtVault, VaultOptions};
use crate::failure::Failure;

/// The longest backup that is read, in bytes.
const LONGEST_BACKUP: u64 = 24 << 20;

/// A kind of object: its words, and what is shown of one.
pub(super) struct Kind {
    /// `secrets`.
    pub collection: &'static str,
    /// `secret`.
    pub word: &'static str,
    /// What is shown of one.
    pub rows: &'static [(&'static str, &'static str)],
    /// What is shown of many; the first column is their id.
    pub columns: &'static [(&'static str, &'static str)],
}

/// What is shown of deleted ones.
const DELETED: &[(&str, &str)] =
    &[("Deleted", "/deletedDate"), ("Purged", "/scheduledPurgeDate"), ("RecoveryId", "/recoveryId")];

/// Which one.
#[derive(Args)]
pub struct Named {
    /// Its name: letters, digits and `-`.
    #[arg(short, long)]
    pub name: String,
    #[command(flatten)]
    pub vault: VaultOptions,
}

/// Which version of one.
#[derive(Args)]
pub struct Version {
    /// Which version; the newest when none is named.
    #[arg(long)]
    pub version: Option<String>,
    #[command(flatten)]
    pub named: Named,
}

/// What is said of one, whatever its kind.
#[derive(Args, Default)]
pub struct Attributes {
    /// Whether it may be used.
    #[arg(long, action = clap::ArgAction::Set, value_name = "true|false")]
    enabled: Option<bool>,
    /// Not to be used before: `2030-01-31T12:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    not_before: Option<i64>,
    /// Not to be used from then on: `2030-01-31T12:00:00Z`. What a key made is still decrypted, unwrapped and verified.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires: Option<i64>,
    #[command(flatten)]
    tags: Tags,
}

/// Labels of one.
#[derive(Args, Default)]
pub struct Tags {
    /// Labels instead of those before: `--tags a=b c=d`.
    #[arg(long, num_args = 0.., value_name = "KEY=VALUE", value_parser = pair)]
    tags: Option<Vec<(String, String)>>,
}

/// Commands that all kinds have.
#[derive(Subcommand)]
pub enum Command {
    /// List those of the vault, without values.
    List(#[command(flatten)] VaultOptions),
    /// List the versions of one, without values.
    ListVersions(#[command(flatten)] Named),
    /// Delete one with all versions. It rests, and can be recovered until its time is over.
    Delete(#[command(flatten)] Named),
    /// List deleted ones.
    ListDeleted(#[command(flatten)] VaultOptions),
    /// Show a deleted one, without its value.
    ShowDeleted(#[command(flatten)] Named),
    /// Take a deletion back.
    Recover(#[command(flatten)] Named),
    /// Destroy a deleted one: nothing brings it back, nor what was encrypted with it.
    Purge(#[command(flatten)] Named),
    /// Take one out with all versions, sealed: only a vault of this subscription opens it.
    Backup {
        /// The file to write; it must not be there yet.
        #[arg(short, long)]
        file: PathBuf,
        #[command(flatten)]
        named: Named,
    },
    /// Bring one back from its backup, under the name it had.
    Restore {
        /// The backup.
        #[arg(short, long)]
        file: PathBuf,
        #[command(flatten)]
        vault: VaultOptions,
    },
}

fn seconds(text: &str) -> Result<i64, String> {
    let time = Timestamp::parse_rfc3339(text).ok_or("must be a time such as 2030-01-31T12:00:00Z")?;
    Ok(time.seconds())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Tags {
    /// Says them in a body.
    pub(super) fn say(self, body: &mut Map<String, Value>) {
        if let Some(tags) = self.tags {
            let tags: Map<String, Value> = tags.into_iter().map(|(key, value)| (key, json!(value))).collect();
            body.insert(String::from("tags"), Value::Object(tags));
        }
    }
}

impl Attributes {
    /// What is sent for it.
    pub(super) fn body(self) -> Map<String, Value> {
        let mut attributes = Map::new();
        let mut say = |name: &str, value: Option<Value>| value.map(|value| attributes.insert(name.to_owned(), value));
        say("enabled", self.enabled.map(Value::from));
        say("nbf", self.not_before.map(Value::from));
        say("exp", self.expires.map(Value::from));
        let mut body = Map::new();
        body.insert(String::from("attributes"), Value::Object(attributes));
        self.tags.say(&mut body);
        body
    }
}

/// The address of an object, or of one version.
pub(super) fn place(collection: &str, name: &str, version: Option<&str>) -> Result<String, Failure> {
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    if !is_plain(name) || version.is_some_and(|version| !is_plain(version)) {
        return Err(Failure::usage("names are letters, digits and `-`"));
    }
    let version = version.map(|version| format!("/{version}")).unwrap_or_default();
    Ok(format!("{collection}/{name}{version}"))
}

impl Named {
    /// Its address.
    pub(super) fn place(&self, kind: &Kind) -> Result<String, Failure> {
        place(kind.collection, &self.name, None)
    }

    fn deleted_place(&self, kind: &Kind) -> Result<String, Failure> {
        place(&format!("deleted{}", kind.collection), &self.name, None)
    }
}

impl Version {
    /// Its address.
    pub(super) fn place(&self, kind: &Kind) -> Result<String, Failure> {
        place(kind.collection, &self.named.name, self.version.as_deref())
    }
}

impl Command {
    /// Runs the command for objects of a kind.
    pub(super) async fn run(self, kind: &Kind) -> Result<ExitCode, Failure> {
        match self {
            Self::List(vault) => many(&vault, kind.collection, kind.columns).await,
            Self::ListVersions(named) => {
                many(&named.vault, &format!("{}/versions", named.place(kind)?), kind.columns).await
            }
            Self::Delete(named) => one(&named.vault, Method::DELETE, &named.place(kind)?, None, DELETED).await,
            Self::ListDeleted(vault) => many(&vault, &format!("deleted{}", kind.collection), DELETED).await,
            Self::ShowDeleted(named) => {
                one(&named.vault, Method::GET, &named.deleted_place(kind)?, None, DELETED).await
            }
            Self::Recover(named) => {
                let place = format!("{}/recover", named.deleted_place(kind)?);
                one(&named.vault, Method::POST, &place, None, kind.rows).await
            }
            Self::Purge(named) => {
                let (at, place) = (AtVault::open(&named.vault).await?, named.deleted_place(kind)?);
                at.ask(Method::DELETE, &place, None).await?;
                let said = format!("{} {} is purged", kind.word, named.name);
                named.vault.session.output.done(&said, &Value::Null)
            }
            Self::Backup { file, named } => back_up(kind, &named, &file).await,
            Self::Restore { file, vault } => {
                let mut text = String::new();
                std::fs::File::open(&file)?.take(LONGEST_BACKUP).read_to_string(&mut text)?;
                let body = json!({"value": text.trim()});
                one(&vault, Method::POST, &format!("{}/restore", kind.collection), Some(body), kind.rows).await
            }
        }
    }
}

/// Asks, and shows the one thing that is answered.
pub(super) async fn one(
    vault: &VaultOptions,
    method: Method,
    place: &str,
    body: Option<Value>,
    rows: &[(&str, &str)],
) -> Result<ExitCode, Failure> {
    let at = AtVault::open(vault).await?;
    vault.session.output.entry(&at.ask(method, place, body.as_ref()).await?, rows)
}

async fn many(vault: &VaultOptions, place: &str, columns: &[(&str, &str)]) -> Result<ExitCode, Failure> {
    let mut found = AtVault::open(vault).await?.list(place).await?;
    let id = |entry: &Value| entry.get("kid").or_else(|| entry.get("id")).cloned().unwrap_or_default();
    found.sort_by_key(|entry| id(entry).as_str().unwrap_or_default().to_ascii_lowercase());
    vault.session.output.entries(&found, columns)
}

async fn back_up(kind: &Kind, named: &Named, file: &Path) -> Result<ExitCode, Failure> {
    let place = format!("{}/backup", named.place(kind)?);
    // Before anything is asked: a backup that is there stays as it is.
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    let taken = async { AtVault::open(&named.vault).await?.ask(Method::POST, &place, None).await };
    let blob = match taken.await {
        Ok(answer) => answer.get("value").and_then(Value::as_str).unwrap_or_default().to_owned(),
        Err(fault) => {
            std::fs::remove_file(file)?;
            return Err(fault);
        }
    };
    out.write_all(blob.as_bytes())?;
    out.sync_all()?;
    let said = json!({"file": file.display().to_string(), "bytes": blob.len()});
    let words = format!("{} {} is in {}", kind.word, named.name, file.display());
    named.vault.session.output.done(&words, &said)
}
