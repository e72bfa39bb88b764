//! Secrets of a vault.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use outbound::Method;
use serde_json::{Map, Value, json};

use super::{
    AtVault,
    kept::{self, Kind, Named, Version, one},
};
use crate::{cli::secret, failure::Failure};

/// The longest value, in bytes.
const LONGEST: usize = 25 * 1024;

/// Secrets, and what is shown of them.
const SECRETS: Kind = Kind {
    collection: "secrets",
    word: "secret",
    rows: &[
        ("Id", "/id"),
        ("Value", "/value"),
        ("ContentType", "/contentType"),
        ("Enabled", "/attributes/enabled"),
        ("Expires", "/attributes/exp"),
        ("Tags", "/tags"),
    ],
    columns: &[
        ("Id", "/id"),
        ("ContentType", "/contentType"),
        ("Enabled", "/attributes/enabled"),
        ("Expires", "/attributes/exp"),
    ],
};

/// What is said of a secret beside its value.
#[derive(Args, Default)]
pub struct About {
    /// What the value is, in your words.
    #[arg(long)]
    content_type: Option<String>,
    #[command(flatten)]
    attributes: kept::Attributes,
}

/// Commands on secrets.
#[derive(Subcommand)]
pub enum Command {
    /// Give a secret a value: its first version, or one more.
    Set {
        /// A file with the value, or `-` for standard input, so that no list of processes shows it. One line end behind it is left out.
        #[arg(short, long)]
        file: PathBuf,
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        secret: Named,
    },
    /// Show one, with its value.
    Show(#[command(flatten)] Version),
    /// Change what is said of one: times, labels, whether it may be read. Its value never changes.
    SetAttributes {
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        version: Version,
    },
    #[command(flatten)]
    Kept(kept::Command),
}

impl About {
    fn body(self) -> Map<String, Value> {
        let mut body = self.attributes.body();
        if let Some(kind) = self.content_type {
            body.insert(String::from("contentType"), json!(kind));
        }
        body
    }
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Set { file, about, secret: named } => {
                let value = secret::read_up_to(&file, LONGEST)?;
                let mut body = about.body();
                body.insert(String::from("value"), json!(value.expose()));
                let (at, place) = (AtVault::open(&named.vault).await?, named.place(&SECRETS)?);
                let mut made = at.ask(Method::PUT, &place, Some(&Value::Object(body))).await?;
                // Whoever set it knows it; a terminal need not.
                if let Some(fields) = made.as_object_mut() {
                    fields.remove("value");
                }
                named.vault.session.output.entry(&made, SECRETS.rows)
            }
            Self::Show(version) => {
                one(&version.named.vault, Method::GET, &version.place(&SECRETS)?, None, SECRETS.rows).await
            }
            Self::SetAttributes { about, version } => {
                let body = Some(Value::Object(about.body()));
                one(&version.named.vault, Method::PATCH, &version.place(&SECRETS)?, body, SECRETS.rows).await
            }
            Self::Kept(command) => command.run(&SECRETS).await,
        }
    }
}
