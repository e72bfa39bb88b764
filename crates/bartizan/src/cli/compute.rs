//! Compute targets.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// Commands on compute targets.
#[derive(Subcommand)]
pub enum Command {
    /// List those of the workspace.
    List(#[command(flatten)] SessionOptions),
    /// Show what one can enforce around a job.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(options) => {
                let session = Session::open(&options).await?;
                let found = session.list(&format!("{}/computes", session.workspace()?)).await?;
                options.output.entries(
                    &found,
                    &[
                        ("Name", "/name"),
                        ("Type", "/properties/computeType"),
                        ("State", "/properties/provisioningState"),
                    ],
                )
            }
            Self::Show { name, session } => {
                let open = Session::open(&session).await?;
                let found: Value = open.get(&format!("{}/computes/{name}", open.workspace()?)).await?;
                if session.output == super::Format::Json {
                    return session.output.done("", &found);
                }
                let walls = found.pointer("/properties/properties/walls").and_then(Value::as_array);
                session.output.entries(
                    walls.map_or(&[], Vec::as_slice),
                    &[("Wall", "/name"), ("Stands", "/stands"), ("Note", "/note")],
                )
            }
        }
    }
}
