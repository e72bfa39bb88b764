//! What is set of a storage account's Blob service, and ending its delegation keys.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{InAccount, Session};
use crate::failure::Failure;

/// Commands on storage accounts.
#[derive(Subcommand)]
pub enum Command {
    /// End every delegation key of an account, and all signatures that were made with one, at once.
    RevokeDelegationKeys(#[command(flatten)] InAccount),
    /// Show what is kept of deleted and overwritten blobs.
    ShowBlobService(#[command(flatten)] InAccount),
    /// Change what is kept of deleted and overwritten blobs. What is not said stays.
    UpdateBlobService {
        /// Whether what is overwritten or deleted stays as an older version.
        #[arg(long, value_name = "true|false")]
        versioning: Option<bool>,
        /// How many days deleted blobs can be had back, 1 to 365; 0 when they are gone at once.
        #[arg(long, value_name = "DAYS")]
        retention_days: Option<u32>,
        #[command(flatten)]
        account: InAccount,
    },
}

const ROWS: &[(&str, &str)] = &[
    ("Versions", "/properties/isVersioningEnabled"),
    ("Deleted are kept", "/properties/deleteRetentionPolicy/enabled"),
    ("Days", "/properties/deleteRetentionPolicy/days"),
];

fn place(session: &Session, account: &InAccount) -> Result<String, Failure> {
    Ok(format!("{}/providers/Microsoft.Storage/storageAccounts/{}", session.group()?, account.account_name))
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::RevokeDelegationKeys(account) => {
                let open = Session::open(&account.session).await?;
                open.post(&format!("{}/revokeUserDelegationKeys", place(&open, &account)?), &json!({})).await?;
                account.session.output.done("no delegation key of the account is worth anything any more", &Value::Null)
            }
            Self::ShowBlobService(account) => {
                let open = Session::open(&account.session).await?;
                let found: Value = open.get(&format!("{}/blobServices/default", place(&open, &account)?)).await?;
                account.session.output.entry(&found, ROWS)
            }
            Self::UpdateBlobService { versioning, retention_days, account } => {
                let open = Session::open(&account.session).await?;
                let retention = retention_days.map(|days| match days {
                    0 => json!({"enabled": false}),
                    days => json!({"enabled": true, "days": days}),
                });
                // What is null is not said.
                let properties = json!({"isVersioningEnabled": versioning, "deleteRetentionPolicy": retention});
                let place = format!("{}/blobServices/default", place(&open, &account)?);
                let now = open.put(&place, &json!({"properties": properties})).await?;
                account.session.output.entry(&now, ROWS)
            }
        }
    }
}
