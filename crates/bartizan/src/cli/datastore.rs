//! Datastores.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// Commands on datastores.
#[derive(Subcommand)]
pub enum Command {
    /// List those of the workspace.
    List(#[command(flatten)] SessionOptions),
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let Self::List(options) = self;
        let session = Session::open(&options).await?;
        let found = session.list(&format!("{}/datastores", session.workspace()?)).await?;
        options.output.entries(
            &found,
            &[
                ("Name", "/name"),
                ("Type", "/properties/datastoreType"),
                ("Account", "/properties/accountName"),
                ("Container", "/properties/containerName"),
                ("Default", "/properties/isDefault"),
            ],
        )
    }
}
