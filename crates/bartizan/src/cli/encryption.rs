//! Customer-managed keys of workspaces.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// The key that shall hold a new workspace's data; without one, the server's own keyring does.
#[derive(Args)]
pub struct NewKey {
    /// Resource id of the vault that has the key; it needs purge protection.
    #[arg(long, requires = "resource_cmk_uri")]
    cmk_keyvault: Option<String>,
    /// Address of the key with its version: `https://<vault>.vault.<suffix>/keys/<name>/<version>`.
    #[arg(long, requires = "cmk_keyvault")]
    resource_cmk_uri: Option<String>,
}

impl NewKey {
    /// As a body's `properties.encryption` says it.
    pub fn body(&self) -> Value {
        match (&self.cmk_keyvault, &self.resource_cmk_uri) {
            (None, None) => Value::Null,
            (vault, uri) => json!({
                "status": "Enabled",
                "keyVaultProperties": {"keyVaultArmId": vault, "keyIdentifier": uri},
            }),
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
        /// Resource id of the vault that has the key; it needs purge protection.
        #[arg(long)]
        cmk_keyvault: String,
        /// Address of the key with its version: `https://<vault>.vault.<suffix>/keys/<name>/<version>`.
        #[arg(long)]
        resource_cmk_uri: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const ROWS: &[(&str, &str)] = &[
    ("Customer-managed", "/status"),
    ("State", "/state"),
    ("Vault", "/keyVaultProperties/keyVaultArmId"),
    ("Key", "/keyVaultProperties/keyIdentifier"),
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
            Self::ChangeKey { name, cmk_keyvault, resource_cmk_uri, session } => {
                let open = Session::open(&session).await?;
                let place = format!("{}/{name}/changeEncryptionKey", open.workspaces()?);
                let body = json!({"keyVaultArmId": cmk_keyvault, "keyIdentifier": resource_cmk_uri});
                session.output.entry(&open.post(&place, &body).await?, ROWS)
            }
        }
    }
}
