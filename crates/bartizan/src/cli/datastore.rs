//! Datastores.

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Session, SessionOptions, say, secret};
use crate::failure::Failure;

/// Commands on datastores.
#[derive(Subcommand)]
pub enum Command {
    /// List those of the workspace.
    List(#[command(flatten)] SessionOptions),
    /// Register one, or overwrite it, its key included.
    Create {
        /// Its name: letters, digits and `_`.
        name: String,
        /// Name of the storage account.
        #[arg(long)]
        account: String,
        /// The container, or the share of a file datastore.
        #[arg(long)]
        container: String,
        /// A file share, not a blob container.
        #[arg(long)]
        file_share: bool,
        /// A file with the account's key, or `-` for standard input. Without one, the key that the workspace synced last is used.
        #[arg(long, value_name = "FILE")]
        account_key_file: Option<PathBuf>,
        /// Make it the workspace's default.
        #[arg(long)]
        default: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Sign for the data of one, for at most an hour: to read, and to write if you may change the datastore. Prints the query to add to
    /// an address below its container; whoever has it has that access. No key is ever shown.
    Sign {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Remove one. What it points to stays.
    Delete {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const COLUMNS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Type", "/properties/datastoreType"),
    ("Account", "/properties/accountName"),
    ("Container", "/properties/containerName"),
    ("Default", "/properties/isDefault"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(options) => {
                let session = Session::open(&options).await?;
                let found = session.list(&format!("{}/datastores", session.workspace()?)).await?;
                options.output.entries(&found, COLUMNS)
            }
            Self::Create { name, account, container, file_share, account_key_file, default, session } => {
                let open = Session::open(&session).await?;
                let key = account_key_file.as_deref().map(secret::read).transpose()?;
                let credentials = match &key {
                    Some(key) => json!({
                        "credentialsType": "AccountKey",
                        "secrets": {"secretsType": "AccountKey", "key": key.expose()},
                    }),
                    None => json!({"credentialsType": "None"}),
                };
                let place = if file_share { "fileShareName" } else { "containerName" };
                let body = json!({"properties": {
                    "datastoreType": if file_share { "AzureFile" } else { "AzureBlob" },
                    "accountName": account,
                    place: container,
                    "credentials": credentials,
                    "isDefault": default,
                }});
                let made = open.put(&format!("{}/datastores/{name}", open.workspace()?), &body).await?;
                session.output.entry(&made, COLUMNS)
            }
            Self::Sign { name, session } => {
                let open = Session::open(&session).await?;
                let place = format!("{}/datastores/{name}/listSecrets", open.workspace()?);
                let told = open.post(&place, &json!({})).await?;
                match session.output {
                    super::Format::Table => say(told.get("sasToken").and_then(Value::as_str).unwrap_or_default()),
                    super::Format::Json => return session.output.done("", &told),
                }
                Ok(ExitCode::SUCCESS)
            }
            Self::Delete { name, session } => {
                let open = Session::open(&session).await?;
                open.delete(&format!("{}/datastores/{name}", open.workspace()?)).await?;
                session.output.done(&format!("datastore {name} is gone"), &Value::Null)
            }
        }
    }
}
