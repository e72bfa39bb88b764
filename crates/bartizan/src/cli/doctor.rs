//! What this machine can enforce.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{Format, say};
use crate::{failure::Failure, server::local_target};

/// Probes the walls of a jail by really building them. Exit code 1 when one is missing.
#[derive(Args)]
pub struct Doctor {
    /// How to print the result.
    #[arg(short = 'o', long, value_enum, default_value = "table")]
    output: Format,
}

impl Doctor {
    /// Runs the probes.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let capabilities = local_target()?.capabilities();
        let walls: Vec<Value> =
            capabilities.walls.iter().map(|wall| serde_json::to_value(wall).unwrap_or_default()).collect();
        self.output.entries(&walls, &[("Wall", "/name"), ("Stands", "/stands"), ("Note", "/note")])?;
        let missing = capabilities.missing();
        if missing.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        if self.output == Format::Table {
            say(&format!("missing: {}; jobs run without these, and their records say so", missing.join(", ")));
        }
        Ok(ExitCode::FAILURE)
    }
}
