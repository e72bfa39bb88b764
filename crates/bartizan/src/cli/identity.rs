//! User-assigned managed identities.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// Commands on user-assigned managed identities: principals without a credential, as which jobs can act.
///
/// Create one, give it roles (`bartizan role assignment create --assignee PRINCIPAL-ID`), and hand it to a compute target
/// (`bartizan compute update local --user-assigned-identities NAME`) or name it in one job (`bartizan job submit --identity
/// NAME`).
#[derive(Subcommand)]
pub enum Command {
    /// Create one in the resource group.
    Create {
        /// Its name: 3 to 128 letters, digits, `-` or `_`.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List those of the resource group.
    List(#[command(flatten)] SessionOptions),
    /// Show one.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Delete one with its roles. Its tokens stop working at once.
    Delete {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const ROWS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Principal id", "/properties/principalId"),
    ("Client id", "/properties/clientId"),
    ("Id", "/id"),
];

/// The resource id of an identity by its name in the session's resource group; an id stays as it is.
pub fn place(session: &Session, name: &str) -> Result<String, Failure> {
    if name.starts_with('/') {
        return Ok(name.to_owned());
    }
    Ok(format!("{}/{name}", collection(session)?))
}

fn collection(session: &Session) -> Result<String, Failure> {
    Ok(format!("{}/providers/Microsoft.ManagedIdentity/userAssignedIdentities", session.group()?))
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { name, session } => {
                let open = Session::open(&session).await?;
                let made = open.put(&place(&open, &name)?, &json!({"location": "local"})).await?;
                session.output.entry(&made, ROWS)
            }
            Self::List(session) => {
                let open = Session::open(&session).await?;
                session.output.entries(&open.list(&collection(&open)?).await?, ROWS)
            }
            Self::Show { name, session } => {
                let open = Session::open(&session).await?;
                let found: Value = open.get(&place(&open, &name)?).await?;
                session.output.entry(&found, ROWS)
            }
            Self::Delete { name, session } => {
                let open = Session::open(&session).await?;
                open.delete(&place(&open, &name)?).await?;
                session.output.done(&format!("managed identity {name} is gone"), &Value::Null)
            }
        }
    }
}
