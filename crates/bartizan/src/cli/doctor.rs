//! What this machine can enforce, and whether the root key opens what is here.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use domain::gate::{RootKeyUse, root_key_use};
use serde_json::{Value, json};

use super::{Format, say};
use crate::{
    failure::Failure,
    server::{INCOMPLETE, RootKeyOptions, local_target, open_holder, refuse_incomplete},
};

/// Probes the walls of a jail by really building them, and whether the root key opens the data directory, if there is one. Exit
/// code 1 when a wall is missing or the key does not open it.
#[derive(Args)]
pub struct Doctor {
    /// The data directory whose root key is tried.
    #[arg(long, value_name = "D", default_value = "bartizan-data")]
    data_dir: PathBuf,
    #[command(flatten)]
    root_key: RootKeyOptions,
    /// How to print the result.
    #[arg(short = 'o', long, value_enum, default_value = "table")]
    output: Format,
}

impl Doctor {
    /// Runs the probes.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let capabilities = local_target()?.capabilities();
        let mut walls: Vec<Value> =
            capabilities.walls.iter().map(|wall| serde_json::to_value(wall).unwrap_or_default()).collect();
        let is_there = ["meta", INCOMPLETE].iter().any(|name| self.data_dir.join(name).exists());
        let key = if is_there { Some(self.root_key_use().await) } else { None };
        let opens = key.as_ref().is_none_or(Result::is_ok);
        walls.extend(key.map(|key| match key {
            Ok(RootKeyUse { provider, version }) => {
                let version = version.map(|version| format!(", {version}")).unwrap_or_default();
                json!({"name": "root-key", "stands": true, "note": format!("{provider}{version}")})
            }
            Err(fault) => json!({"name": "root-key", "stands": false, "note": fault.to_string()}),
        }));
        self.output.entries(&walls, &[("Wall", "/name"), ("Stands", "/stands"), ("Note", "/note")])?;
        let missing = capabilities.missing();
        if missing.is_empty() {
            return Ok(if opens { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        if self.output == Format::Table {
            say(&format!("missing: {}; jobs run without these, and their records say so", missing.join(", ")));
        }
        Ok(ExitCode::FAILURE)
    }

    /// Who holds the root key, and whether it opens what is here. Works beside a running server.
    async fn root_key_use(&self) -> Result<RootKeyUse, Failure> {
        refuse_incomplete(&self.data_dir)?;
        let meta = store::meta::Sqlite::open_read_only(&self.data_dir.join("meta"))?;
        let root = open_holder(&self.root_key.choice(&self.data_dir)?, false).await?;
        Ok(root_key_use(&meta, root.as_ref()).await?)
    }
}
