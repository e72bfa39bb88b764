//! Customer-managed keys of workspaces.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// The key that shall hold a workspace's data; of a new one without, the server's own keyring does.
#[derive(Args)]
pub struct NewKey {
    /// Resource id of the vault that has the key; it needs purge protection. A vault elsewhere takes none.
    #[arg(long, requires = "resource_cmk_uri")]
    cmk_keyvault: Option<String>,
    /// Address of the key with its version: `https://<vault>.vault.<suffix>/keys/<name>/<version>`.
    #[arg(long)]
    resource_cmk_uri: Option<String>,
    /// Instead: a holder elsewhere that the server's operator named with `serve --key-holders`.
    #[arg(long, value_name = "HOLDER", requires = "key_name", conflicts_with = "resource_cmk_uri")]
    key_holder: Option<String>,
    /// The key's name at that holder.
    #[arg(long, value_name = "NAME", requires = "key_holder")]
    key_name: Option<String>,
}

impl NewKey {
    /// As a body's `properties.encryption` says it.
    pub fn body(&self) -> Value {
        if self.resource_cmk_uri.is_none() && self.key_holder.is_none() {
            return Value::Null;
        }
        json!({"status": "Enabled", "keyVaultProperties": self.properties()})
    }

    /// As `keyVaultProperties` says it.
    fn properties(&self) -> Value {
        match (&self.key_holder, &self.key_name) {
            (Some(holder), Some(name)) => json!({"keyHolder": holder, "keyName": name}),
            _ => json!({"keyVaultArmId": self.cmk_keyvault, "keyIdentifier": self.resource_cmk_uri}),
        }
    }
}

/// Commands on the key that holds a workspace's data.
#[derive(Subcommand)]
pub enum Command {
    /// Show which key holds the data, and whether it can be used now.
    Show {
        /// The workspace's name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Hold the data with another key, or another version, from now on. Nothing is interrupted, and the key it had is needed no more.
    ChangeKey {
        /// The workspace's name.
        name: String,
        #[command(flatten)]
        key: NewKey,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const ROWS: &[(&str, &str)] = &[
    ("Customer-managed", "/status"),
    ("State", "/state"),
    ("Vault", "/keyVaultProperties/keyVaultArmId"),
    ("Key", "/keyVaultProperties/keyIdentifier"),
    ("Holder", "/keyVaultProperties/keyHolder"),
    ("Key there", "/keyVaultProperties/keyName"),
    ("Reason", "/reason"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Show { name, session } => {
                let open = Session::open(&session).await?;
                let place = format!("{}/{name}/encryption", open.workspaces()?);
                session.output.entry(&open.get::<Value>(&place).await?, ROWS)
            }
            Self::ChangeKey { name, key, session } => {
                if key.body().is_null() {
                    let why = "name the key: --resource-cmk-uri with --cmk-keyvault, or --key-holder with --key-name";
                    return Err(Failure::usage(why));
                }
                let open = Session::open(&session).await?;
                let place = format!("{}/{name}/changeEncryptionKey", open.workspaces()?);
                session.output.entry(&open.post(&place, &key.properties()).await?, ROWS)
            }
        }
    }
}
