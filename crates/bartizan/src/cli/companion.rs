//! Companions of workspaces: storage accounts, vaults, telemetry stores, registries.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// What a companion is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    /// A storage account: 3 to 24 lowercase letters and digits.
    Storage,
    /// A vault: 3 to 24 letters, digits and `-`.
    Vault,
    /// A telemetry store.
    Insights,
    /// A registry: 5 to 50 letters and digits.
    Registry,
}

impl Kind {
    fn place(self, session: &Session, name: &str) -> Result<String, Failure> {
        let kind = match self {
            Self::Storage => "Microsoft.Storage/storageAccounts",
            Self::Vault => "Microsoft.KeyVault/vaults",
            Self::Insights => "Microsoft.Insights/components",
            Self::Registry => "Microsoft.ContainerRegistry/registries",
        };
        Ok(format!("{}/providers/{kind}/{name}", session.group()?).trim_end_matches('/').to_owned())
    }

    /// What shows its keys, what makes one anew, and how the key is named there.
    fn keys(self) -> Result<(&'static str, &'static str, &'static str), Failure> {
        match self {
            Self::Storage => Ok(("listKeys", "regenerateKey", "keyName")),
            Self::Registry => Ok(("listCredentials", "regenerateCredential", "name")),
            Self::Vault | Self::Insights => Err(Failure::usage("only storage accounts and registries have keys")),
        }
    }
}

/// Commands on companions.
#[derive(Subcommand)]
pub enum Command {
    /// Create one, to bring it to a workspace (`bartizan workspace create --storage-account ID …`).
    Create {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        /// Where; any name.
        #[arg(long, default_value = "local")]
        location: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List those of the resource group.
    List {
        /// What they are.
        kind: Kind,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show the two keys of a storage account or a registry.
    ListKeys {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Make a key anew. Workspaces go on with the old one for an hour, or until `bartizan workspace sync-keys`.
    RegenerateKey {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        /// Which: `key1` or `key2` of a storage account, `password` or `password2` of a registry.
        #[arg(long)]
        key: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Delete one; refused while a workspace uses it.
    Delete {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const ROWS: &[(&str, &str)] = &[("Name", "/name"), ("Location", "/location"), ("Id", "/id")];
const KEYS: &[(&str, &str)] = &[("Name", "/name"), ("Value", "/value")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { kind, name, location, session } => {
                let open = Session::open(&session).await?;
                let mut body = json!({"location": location});
                if matches!(kind, Kind::Registry) {
                    // A workspace hands out its passwords.
                    body = json!({"location": location, "properties": {"adminUserEnabled": true}});
                }
                let made = open.put(&kind.place(&open, &name)?, &body).await?;
                session.output.entry(&made, ROWS)
            }
            Self::List { kind, session } => {
                let open = Session::open(&session).await?;
                session.output.entries(&open.list(&kind.place(&open, "")?).await?, ROWS)
            }
            Self::ListKeys { kind, name, session } => {
                let open = Session::open(&session).await?;
                let (list, ..) = kind.keys()?;
                let answer = open.post(&format!("{}/{list}", kind.place(&open, &name)?), &json!({})).await?;
                session.output.entries(&keys(&answer), KEYS)
            }
            Self::RegenerateKey { kind, name, key, session } => {
                let open = Session::open(&session).await?;
                let (_, regenerate, field) = kind.keys()?;
                let place = format!("{}/{regenerate}", kind.place(&open, &name)?);
                let answer = open.post(&place, &json!({field: key})).await?;
                session.output.entries(&keys(&answer), KEYS)
            }
            Self::Delete { kind, name, session } => {
                let open = Session::open(&session).await?;
                open.delete(&kind.place(&open, &name)?).await?;
                session.output.done(&format!("{name} is gone"), &Value::Null)
            }
        }
    }
}

/// The keys of an answer, whichever its form, each with its name.
fn keys(answer: &Value) -> Vec<Value> {
    let listed = answer.get("keys").or_else(|| answer.get("passwords")).and_then(Value::as_array);
    let name = |key: &Value| key.get("keyName").or_else(|| key.get("name")).cloned();
    let view = |key: &Value| json!({"name": name(key), "value": key.get("value")});
    listed.into_iter().flatten().map(view).collect()
}
