//! Keys of a vault.

mod brought;
mod policy;
mod uses;

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

/// Which key.
#[derive(Args)]
pub struct Named {
    /// Its name: letters, digits and `-`.
    #[arg(short, long)]
    name: String,
    #[command(flatten)]
    vault: VaultOptions,
}

/// Which version of a key.
#[derive(Args)]
pub struct Version {
    /// Which version; the newest when none is named.
    #[arg(long)]
    version: Option<String>,
    #[command(flatten)]
    key: Named,
}

/// What is said of a key beside its numbers.
#[derive(Args, Default)]
pub struct About {
    /// What it may be used for, instead of all that its type does: `encrypt decrypt sign verify wrapKey unwrapKey`.
    #[arg(long, num_args = 0.., value_name = "OPERATION")]
    ops: Option<Vec<String>>,
    /// Whether it may be used.
    #[arg(long, action = clap::ArgAction::Set, value_name = "true|false")]
    enabled: Option<bool>,
    /// Not to be used before: `2030-01-31T12:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    not_before: Option<i64>,
    /// Makes nothing new from then on: `2030-01-31T12:00:00Z`. What it made is still decrypted, unwrapped and verified.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires: Option<i64>,
    /// Labels instead of those before: `--tags a=b c=d`.
    #[arg(long, num_args = 0.., value_name = "KEY=VALUE", value_parser = pair)]
    tags: Option<Vec<(String, String)>>,
}

/// Commands on keys.
#[derive(Subcommand)]
pub enum Command {
    /// Make a key: its first version, or one more.
    Create {
        /// Its type: `RSA`, `EC` or `oct`; followed by `-HSM` in vaults of the premium tier, which changes its name alone.
        #[arg(long, default_value = "RSA")]
        kty: String,
        /// Bits: 2048, 3072 or 4096 of RSA, 128, 192 or 256 of oct.
        #[arg(long)]
        size: Option<u32>,
        /// The curve of EC: `P-256`, `P-384` or `P-521`.
        #[arg(long)]
        curve: Option<String>,
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        key: Named,
    },
    /// Bring a key of your own. It is used in the vault from then on, and shown to nobody.
    Import {
        /// A file with the key as a JSON Web Key with its private members, or `-` for standard input.
        #[arg(short, long)]
        file: PathBuf,
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        key: Named,
    },
    /// Show one: its public half, and what is said of it.
    Show(#[command(flatten)] Version),
    /// List those of the vault.
    List(#[command(flatten)] VaultOptions),
    /// List the versions of one.
    ListVersions(#[command(flatten)] Named),
    /// Let a new version like the newest take over. Older ones go on opening what was made with them.
    Rotate(#[command(flatten)] Named),
    /// When a key is rotated by the vault itself.
    #[command(subcommand)]
    RotationPolicy(policy::Command),
    /// Change what is said of one: times, labels, what it is for, whether it may be used.
    SetAttributes {
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        version: Version,
    },
    /// Delete one with all versions. It rests, and can be recovered until its time is over.
    Delete(#[command(flatten)] Named),
    /// List deleted ones.
    ListDeleted(#[command(flatten)] VaultOptions),
    /// Show a deleted one.
    ShowDeleted(#[command(flatten)] Named),
    /// Take a deletion back.
    Recover(#[command(flatten)] Named),
    /// Destroy a deleted one: nothing brings back what was encrypted with it.
    Purge(#[command(flatten)] Named),
    /// Take one out with all versions, sealed: only a vault of this subscription opens it.
    Backup {
        /// The file to write; it must not be there yet.
        #[arg(short, long)]
        file: PathBuf,
        #[command(flatten)]
        key: Named,
    },
    /// Bring one back from its backup, under the name it had.
    Restore {
        /// The backup.
        #[arg(short, long)]
        file: PathBuf,
        #[command(flatten)]
        vault: VaultOptions,
    },
    #[command(flatten)]
    Uses(uses::Command),
}

const ROWS: &[(&str, &str)] = &[
    ("Kid", "/key/kid"),
    ("Type", "/key/kty"),
    ("Curve", "/key/crv"),
    ("Operations", "/key/key_ops"),
    ("Enabled", "/attributes/enabled"),
    ("NotBefore", "/attributes/nbf"),
    ("Expires", "/attributes/exp"),
    ("Tags", "/tags"),
];
const COLUMNS: &[(&str, &str)] = &[("Kid", "/kid"), ("Enabled", "/attributes/enabled"), ("Expires", "/attributes/exp")];
const DELETED: &[(&str, &str)] =
    &[("Deleted", "/deletedDate"), ("Purged", "/scheduledPurgeDate"), ("RecoveryId", "/recoveryId")];

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
        if let Some(operations) = self.ops {
            body.insert(String::from("key_ops"), json!(operations));
        }
        if let Some(tags) = self.tags {
            let tags: Map<String, Value> = tags.into_iter().map(|(key, value)| (key, json!(value))).collect();
            body.insert(String::from("tags"), Value::Object(tags));
        }
        body
    }
}

/// The address of a key, or of one version.
fn place(collection: &str, name: &str, version: Option<&str>) -> Result<String, Failure> {
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    if !is_plain(name) || version.is_some_and(|version| !is_plain(version)) {
        return Err(Failure::usage("names are letters, digits and `-`"));
    }
    let version = version.map(|version| format!("/{version}")).unwrap_or_default();
    Ok(format!("{collection}/{name}{version}"))
}

impl Named {
    fn place(&self) -> Result<String, Failure> {
        place("keys", &self.name, None)
    }

    fn deleted_place(&self) -> Result<String, Failure> {
        place("deletedkeys", &self.name, None)
    }
}

impl Version {
    fn place(&self) -> Result<String, Failure> {
        place("keys", &self.key.name, self.version.as_deref())
    }
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { kty, size, curve, about, key } => {
                let mut body = about.body();
                body.insert(String::from("kty"), json!(kty));
                size.map(|size| body.insert(String::from("key_size"), json!(size)));
                curve.map(|curve| body.insert(String::from("crv"), json!(curve)));
                let place = format!("{}/create", key.place()?);
                one(&key.vault, Method::POST, &place, Some(Value::Object(body)), ROWS).await
            }
            Self::Import { file, about, key } => {
                let body = brought::body(&file, about)?;
                one(&key.vault, Method::PUT, &key.place()?, Some(body), ROWS).await
            }
            Self::Show(version) => one(&version.key.vault, Method::GET, &version.place()?, None, ROWS).await,
            Self::List(vault) => many(&vault, "keys", COLUMNS).await,
            Self::ListVersions(key) => many(&key.vault, &format!("{}/versions", key.place()?), COLUMNS).await,
            Self::Rotate(key) => one(&key.vault, Method::POST, &format!("{}/rotate", key.place()?), None, ROWS).await,
            Self::RotationPolicy(command) => command.run().await,
            Self::SetAttributes { about, version } => {
                let body = Some(Value::Object(about.body()));
                one(&version.key.vault, Method::PATCH, &version.place()?, body, ROWS).await
            }
            Self::Delete(key) => one(&key.vault, Method::DELETE, &key.place()?, None, DELETED).await,
            Self::ListDeleted(vault) => many(&vault, "deletedkeys", DELETED).await,
            Self::ShowDeleted(key) => one(&key.vault, Method::GET, &key.deleted_place()?, None, DELETED).await,
            Self::Recover(key) => {
                one(&key.vault, Method::POST, &format!("{}/recover", key.deleted_place()?), None, ROWS).await
            }
            Self::Purge(key) => {
                let (at, place) = (AtVault::open(&key.vault).await?, key.deleted_place()?);
                at.ask(Method::DELETE, &place, None).await?;
                key.vault.session.output.done(&format!("key {} is purged", key.name), &Value::Null)
            }
            Self::Backup { file, key } => back_up(&key, &file).await,
            Self::Restore { file, vault } => {
                let mut text = String::new();
                std::fs::File::open(&file)?.take(LONGEST_BACKUP).read_to_string(&mut text)?;
                let body = json!({"value": text.trim()});
                one(&vault, Method::POST, "keys/restore", Some(body), ROWS).await
            }
            Self::Uses(command) => command.run().await,
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
    found.sort_by_key(|entry| entry.get("kid").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase());
    vault.session.output.entries(&found, columns)
}

async fn back_up(key: &Named, file: &Path) -> Result<ExitCode, Failure> {
    // Before anything is asked: a backup that is there stays as it is.
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    let place = format!("{}/backup", key.place()?);
    let taken = async { AtVault::open(&key.vault).await?.ask(Method::POST, &place, None).await };
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
    key.vault.session.output.done(&format!("key {} is in {}", key.name, file.display()), &said)
}
