//! Keys of a vault.

mod brought;
mod policy;
mod uses;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use outbound::Method;
use serde_json::{Map, Value, json};

use super::kept::{self, Kind, Named, Version, one};
use crate::failure::Failure;

/// Keys, and what is shown of them.
const KEYS: Kind = Kind {
    collection: "keys",
    word: "key",
    rows: &[
        ("Kid", "/key/kid"),
        ("Type", "/key/kty"),
        ("Curve", "/key/crv"),
        ("Operations", "/key/key_ops"),
        ("Enabled", "/attributes/enabled"),
        ("NotBefore", "/attributes/nbf"),
        ("Expires", "/attributes/exp"),
        ("Tags", "/tags"),
    ],
    columns: &[("Kid", "/kid"), ("Enabled", "/attributes/enabled"), ("Expires", "/attributes/exp")],
};

/// What is said of a key beside its numbers.
#[derive(Args, Default)]
pub struct About {
    /// What it may be used for, instead of all that its type does: `encrypt decrypt sign verify wrapKey unwrapKey`.
    #[arg(long, num_args = 0.., value_name = "OPERATION")]
    ops: Option<Vec<String>>,
    #[command(flatten)]
    attributes: kept::Attributes,
}

/// Commands on keys.
#[derive(Subcommand)]
pub enum Command {
    /// Make a key: its first version, or one more.
    Create {
        /// Its type: `RSA`, `EC` or `oct`; followed by `-HSM` in vaults of the premium tier, which changes its name alone.
        #[arg(long, default_value = "RSA")]
        kty: String,
        /// Bits: 2048, 3072 or 4096 of RSA, 128, 192 or 256 of oct.
        #[arg(long)]
        size: Option<u32>,
        /// The curve of EC: `P-256`, `P-384` or `P-521`.
        #[arg(long)]
        curve: Option<String>,
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        key: Named,
    },
    /// Bring a key of your own. It is used in the vault from then on, and shown to nobody.
    Import {
        /// A file with the key as a JSON Web Key with its private members, or `-` for standard input.
        #[arg(short, long)]
        file: PathBuf,
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        key: Named,
    },
    /// Show one: its public half, and what is said of it.
    Show(#[command(flatten)] Version),
    /// Let a new version like the newest take over. Older ones go on opening what was made with them.
    Rotate(#[command(flatten)] Named),
    /// When a key is rotated by the vault itself.
    #[command(subcommand)]
    RotationPolicy(policy::Command),
    /// Change what is said of one: times, labels, what it is for, whether it may be used.
    SetAttributes {
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        version: Version,
    },
    #[command(flatten)]
    Kept(kept::Command),
    #[command(flatten)]
    Uses(uses::Command),
}

impl About {
    fn body(self) -> Map<String, Value> {
        let mut body = self.attributes.body();
        if let Some(operations) = self.ops {
            body.insert(String::from("key_ops"), json!(operations));
        }
        body
    }
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { kty, size, curve, about, key } => {
                let mut body = about.body();
                body.insert(String::from("kty"), json!(kty));
                size.map(|size| body.insert(String::from("key_size"), json!(size)));
                curve.map(|curve| body.insert(String::from("crv"), json!(curve)));
                let place = format!("{}/create", key.place(&KEYS)?);
                one(&key.vault, Method::POST, &place, Some(Value::Object(body)), KEYS.rows).await
            }
            Self::Import { file, about, key } => {
                let body = brought::body(&file, about)?;
                one(&key.vault, Method::PUT, &key.place(&KEYS)?, Some(body), KEYS.rows).await
            }
            Self::Show(version) => {
                one(&version.named.vault, Method::GET, &version.place(&KEYS)?, None, KEYS.rows).await
            }
            Self::Rotate(key) => {
                one(&key.vault, Method::POST, &format!("{}/rotate", key.place(&KEYS)?), None, KEYS.rows).await
            }
            Self::RotationPolicy(command) => command.run().await,
            Self::SetAttributes { about, version } => {
                let body = Some(Value::Object(about.body()));
                one(&version.named.vault, Method::PATCH, &version.place(&KEYS)?, body, KEYS.rows).await
            }
            Self::Kept(command) => command.run(&KEYS).await,
            Self::Uses(command) => command.run().await,
        }
    }
}
