//! Resource groups.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// Commands on resource groups.
#[derive(Subcommand)]
pub enum Command {
    /// Create one (or update its location).
    Create {
        /// Its name.
        name: String,
        /// Where; any name.
        #[arg(long, default_value = "local")]
        location: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List those of the subscription.
    List(#[command(flatten)] SessionOptions),
    /// Show one.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Delete one; refused while it holds workspaces.
    Delete {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const ROWS: &[(&str, &str)] = &[("Name", "/name"), ("Location", "/location"), ("Id", "/id")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { name, location, session } => {
                let open = Session::open(&session).await?;
                let place = format!("{}/resourceGroups/{name}", open.subscription()?);
                session.output.entry(&open.put(&place, &json!({"location": location})).await?, ROWS)
            }
            Self::List(session) => {
                let open = Session::open(&session).await?;
                let place = format!("{}/resourceGroups", open.subscription()?);
                session.output.entries(&open.list(&place).await?, ROWS)
            }
            Self::Show { name, session } => {
                let open = Session::open(&session).await?;
                let found: Value = open.get(&format!("{}/resourceGroups/{name}", open.subscription()?)).await?;
                session.output.entry(&found, ROWS)
            }
            Self::Delete { name, session } => {
                let open = Session::open(&session).await?;
                open.delete(&format!("{}/resourceGroups/{name}", open.subscription()?)).await?;
                session.output.done(&format!("resource group {name} is gone"), &Value::Null)
            }
        }
    }
}
