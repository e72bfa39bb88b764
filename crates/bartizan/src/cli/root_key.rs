//! The root key: who holds it, a new version of it, another holder.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use domain::{
    gate::{RootKeyUse, enter},
    safekeeping::{GetRootKey, MoveRootKey, RotateRootKey},
};
use kernel::Caller;
use serde_json::{Value, json};
use store::KeyConfig;

use super::{Format, Session, SessionOptions, output};
use crate::{
    failure::Failure,
    server::{DataDir, RootKeyOptions, open_at_rest, open_holder, read_choice},
};

/// Commands on the root key.
#[derive(Subcommand)]
pub enum Command {
    /// Show who holds the root key, and which version of it is in use.
    Show(At),
    /// Make a new version of the root key and wrap the keyring under it, in one step that is recorded. A passphrase has no
    /// versions: move to another one.
    Rotate(At),
    /// Give the root key to another holder. The server must be stopped, and is started with the new holder's options after it.
    Move(Move),
}

/// Which server, or which data directory at rest.
#[derive(Args)]
pub struct At {
    /// Work on this data directory, which no server has open, instead of asking a server.
    #[arg(long, value_name = "D")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    root_key: RootKeyOptions,
    #[command(flatten)]
    session: SessionOptions,
}

/// From where to where.
#[derive(Args)]
pub struct Move {
    /// The data directory, which no server has open.
    #[arg(long, value_name = "D")]
    data_dir: PathBuf,
    #[command(flatten)]
    root_key: RootKeyOptions,
    /// JSON file that names the new holder, as `serve --root-key-config` takes it.
    #[arg(long, value_name = "FILE", required_unless_present = "to_file", conflicts_with = "to_file")]
    to_config: Option<PathBuf>,
    /// A key file as the new holder; made when it is not there.
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
    /// How to print the result.
    #[arg(short = 'o', long, value_enum, default_value = "table")]
    output: Format,
}

const ROWS: &[(&str, &str)] = &[("Held by", "/provider"), ("Version", "/version")];

fn view(used: &RootKeyUse) -> Value {
    json!({"provider": used.provider, "version": used.version})
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Show(at) => {
                let shown = match &at.data_dir {
                    Some(data_dir) => {
                        let data = DataDir::open_existing(data_dir, &at.root_key).await?;
                        view(&enter(&open_at_rest(&data).await?, &Caller::house(), GetRootKey).await?)
                    }
                    None => Session::open(&at.session).await?.get("/safekeeping/v1/root-key").await?,
                };
                at.session.output.entry(&shown, ROWS)
            }
            Self::Rotate(at) => {
                let shown = match &at.data_dir {
                    Some(data_dir) => {
                        let data = DataDir::open_existing(data_dir, &at.root_key).await?;
                        view(&enter(&open_at_rest(&data).await?, &Caller::house(), RotateRootKey).await?)
                    }
                    None => {
                        Session::open(&at.session).await?.post("/safekeeping/v1/root-key/rotate", &json!({})).await?
                    }
                };
                output::tell("backups that were made before need the version before; keep it where you keep those");
                at.session.output.entry(&shown, ROWS)
            }
            Self::Move(to) => to.run().await,
        }
    }
}

impl Move {
    async fn run(self) -> Result<ExitCode, Failure> {
        let choice = match (&self.to_config, &self.to_file) {
            (Some(file), _) => read_choice(file)?,
            (None, Some(path)) => KeyConfig::File { path: path.clone() },
            (None, None) => return Err(Failure::usage("say who holds it from now on, with --to-config or --to-file")),
        };
        let data = DataDir::open_existing(&self.data_dir, &self.root_key).await?;
        let house = open_at_rest(&data).await?;
        let to = open_holder(&choice, true).await?;
        let used = enter(&house, &Caller::house(), MoveRootKey { to }).await?;
        output::tell(
            "start the server with the new holder from now on; backups that were made before need the one before",
        );
        self.output.entry(&view(&used), ROWS)
    }
}
