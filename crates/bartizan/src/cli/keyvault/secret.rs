//! Secrets of a vault.

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
use crate::{cli::secret, failure::Failure};

/// The longest value, and the longest backup that is read, in bytes.
const LONGEST: usize = 25 * 1024;
const LONGEST_BACKUP: u64 = 24 << 20;

/// What is said of a secret beside its value.
#[derive(Args, Default)]
pub struct About {
    /// What the value is, in your words.
    #[arg(long)]
    content_type: Option<String>,
    /// Whether it may be read.
    #[arg(long, action = clap::ArgAction::Set, value_name = "true|false")]
    enabled: Option<bool>,
    /// Not to be used before: `2030-01-31T12:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    not_before: Option<i64>,
    /// Not to be used from then on: `2030-01-31T12:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires: Option<i64>,
    /// Labels instead of those before: `--tags a=b c=d`.
    #[arg(long, num_args = 0.., value_name = "KEY=VALUE", value_parser = pair)]
    tags: Option<Vec<(String, String)>>,
}

/// Commands on secrets.
#[derive(Subcommand)]
pub enum Command {
    /// Give a secret a value: its first version, or one more.
    Set {
        /// Its name: letters, digits and `-`.
        #[arg(short, long)]
        name: String,
        /// A file with the value, or `-` for standard input, so that no list of processes shows it. One line end behind it is left out.
        #[arg(short, long)]
        file: PathBuf,
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        vault: VaultOptions,
    },
    /// Show one, with its value.
    Show {
        /// Its name.
        #[arg(short, long)]
        name: String,
        /// Which version; the newest when none is named.
        #[arg(long)]
        version: Option<String>,
        #[command(flatten)]
        vault: VaultOptions,
    },
    /// List those of the vault, without values.
    List(#[command(flatten)] VaultOptions),
    /// List the versions of one, without values.
    ListVersions {
        /// Its name.
        #[arg(short, long)]
        name: String,
        #[command(flatten)]
        vault: VaultOptions,
    },
    /// Change what is said of one: times, labels, whether it may be read. Its value never changes.
    SetAttributes {
        /// Its name.
        #[arg(short, long)]
        name: String,
        /// Which version; the newest when none is named.
        #[arg(long)]
        version: Option<String>,
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        vault: VaultOptions,
    },
    /// Delete one with all versions. It rests, and can be recovered until its time is over.
    Delete {
        /// Its name.
        #[arg(short, long)]
        name: String,
        #[command(flatten)]
        vault: VaultOptions,
    },
    /// List deleted ones.
    ListDeleted(#[command(flatten)] VaultOptions),
    /// Show a deleted one, without its value.
    ShowDeleted {
        /// Its name.
        #[arg(short, long)]
        name: String,
        #[command(flatten)]
        vault: VaultOptions,
    },
    /// Take a deletion back.
    Recover {
        /// Its name.
        #[arg(short, long)]
        name: String,
        #[command(flatten)]
        vault: VaultOptions,
    },
    /// Destroy a deleted one: nothing brings it back.
    Purge {
        /// Its name.
        #[arg(short, long)]
        name: String,
        #[command(flatten)]
        vault: VaultOptions,
    },
    /// Take one out with all versions, sealed: only a vault of this subscription opens it.
    Backup {
        /// Its name.
        #[arg(short, long)]
        name: String,
        /// The file to write; it must not be there yet.
        #[arg(short, long)]
        file: PathBuf,
        #[command(flatten)]
        vault: VaultOptions,
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

const ROWS: &[(&str, &str)] = &[
    ("Id", "/id"),
    ("Value", "/value"),
    ("ContentType", "/contentType"),
    ("Enabled", "/attributes/enabled"),
    ("Expires", "/attributes/exp"),
    ("Tags", "/tags"),
];
const COLUMNS: &[(&str, &str)] = &[
    ("Id", "/id"),
    ("ContentType", "/contentType"),
    ("Enabled", "/attributes/enabled"),
    ("Expires", "/attributes/exp"),
];
const DELETED: &[(&str, &str)] =
    &[("Id", "/id"), ("Deleted", "/deletedDate"), ("Purged", "/scheduledPurgeDate"), ("RecoveryId", "/recoveryId")];

fn seconds(text: &str) -> Result<i64, String> {
    let time = Timestamp::parse_rfc3339(text).ok_or("must be a time such as 2030-01-31T12:00:00Z")?;
    Ok(time.seconds())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl About {
    fn body(self) -> Map<String, Value> {
        let mut attributes = Map::new();
        let mut say = |name: &str, value: Option<Value>| value.map(|value| attributes.insert(name.to_owned(), value));
        say("enabled", self.enabled.map(Value::from));
        say("nbf", self.not_before.map(Value::from));
        say("exp", self.expires.map(Value::from));
        let mut body = Map::new();
        body.insert(String::from("attributes"), Value::Object(attributes));
        if let Some(kind) = self.content_type {
            body.insert(String::from("contentType"), json!(kind));
        }
        if let Some(tags) = self.tags {
            let tags: Map<String, Value> = tags.into_iter().map(|(key, value)| (key, json!(value))).collect();
            body.insert(String::from("tags"), Value::Object(tags));
        }
        body
    }
}

/// The address of a secret, or of one version.
fn place(collection: &str, name: &str, version: Option<&str>) -> Result<String, Failure> {
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    if !is_plain(name) || version.is_some_and(|version| !is_plain(version)) {
        return Err(Failure::usage("names are letters, digits and `-`"));
    }
    let version = version.map(|version| format!("/{version}")).unwrap_or_default();
    Ok(format!("{collection}/{name}{version}"))
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Set { name, file, about, vault } => {
                let value = secret::read_up_to(&file, LONGEST)?;
                let mut body = about.body();
                body.insert(String::from("value"), json!(value.expose()));
                let (at, place) = (AtVault::open(&vault).await?, place("secrets", &name, None)?);
                let mut made = at.ask(Method::PUT, &place, Some(&Value::Object(body))).await?;
                // Whoever set it knows it; a terminal need not.
                if let Some(fields) = made.as_object_mut() {
                    fields.remove("value");
                }
                vault.session.output.entry(&made, ROWS)
            }
            Self::Show { name, version, vault } => {
                one(&vault, Method::GET, &place("secrets", &name, version.as_deref())?, None, ROWS).await
            }
            Self::List(vault) => many(&vault, "secrets", COLUMNS).await,
            Self::ListVersions { name, vault } => {
                many(&vault, &format!("{}/versions", place("secrets", &name, None)?), COLUMNS).await
            }
            Self::SetAttributes { name, version, about, vault } => {
                let body = Value::Object(about.body());
                let place = place("secrets", &name, version.as_deref())?;
                one(&vault, Method::PATCH, &place, Some(body), ROWS).await
            }
            Self::Delete { name, vault } => {
                one(&vault, Method::DELETE, &place("secrets", &name, None)?, None, DELETED).await
            }
            Self::ListDeleted(vault) => many(&vault, "deletedsecrets", DELETED).await,
            Self::ShowDeleted { name, vault } => {
                one(&vault, Method::GET, &place("deletedsecrets", &name, None)?, None, DELETED).await
            }
            Self::Recover { name, vault } => {
                let place = format!("{}/recover", place("deletedsecrets", &name, None)?);
                one(&vault, Method::POST, &place, None, ROWS).await
            }
            Self::Purge { name, vault } => {
                let (at, place) = (AtVault::open(&vault).await?, place("deletedsecrets", &name, None)?);
                at.ask(Method::DELETE, &place, None).await?;
                vault.session.output.done(&format!("secret {name} is purged"), &Value::Null)
            }
            Self::Backup { name, file, vault } => back_up(&name, &file, &vault).await,
            Self::Restore { file, vault } => {
                let mut text = String::new();
                std::fs::File::open(&file)?.take(LONGEST_BACKUP).read_to_string(&mut text)?;
                let body = json!({"value": text.trim()});
                one(&vault, Method::POST, "secrets/restore", Some(body), ROWS).await
            }
        }
    }
}

async fn one(
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
    found.sort_by_key(|entry| entry.get("id").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase());
    vault.session.output.entries(&found, columns)
}

async fn back_up(name: &str, file: &Path, vault: &VaultOptions) -> Result<ExitCode, Failure> {
    let place = format!("{}/backup", place("secrets", name, None)?);
    // Before anything is asked: a backup that is there stays as it is.
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    let taken = async { AtVault::open(vault).await?.ask(Method::POST, &place, None).await };
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
    vault.session.output.done(&format!("secret {name} is in {}", file.display()), &said)
}
