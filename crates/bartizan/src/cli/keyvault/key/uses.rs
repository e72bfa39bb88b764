//! Using keys at the command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use outbound::Method;
use serde_json::{Map, Value, json};

use super::{KEYS, Version};
use crate::{
    cli::{
        keyvault::{AtVault, VaultOptions, kept::place},
        secret,
    },
    failure::Failure,
};

/// Bytes of the longest value that is read, as text.
const LONGEST: usize = 128 * 1024;

/// What encrypting and decrypting take. Values are base64url, as `--output json` shows them.
#[derive(Args)]
pub struct Cipher {
    /// How: `RSA-OAEP-256`, `RSA-OAEP`, `A256GCM`, `A256CBCPAD`, or with 128 or 192 bits.
    #[arg(short, long)]
    algorithm: String,
    /// A file with the value, base64url, or `-` for standard input, so that no list of processes shows it.
    #[arg(short, long)]
    file: PathBuf,
    /// The vector, base64url. Under GCM the vault chooses it.
    #[arg(long)]
    iv: Option<String>,
    /// The tag, base64url; for decrypting under GCM.
    #[arg(long)]
    tag: Option<String>,
    /// What is authenticated with the value, base64url.
    #[arg(long)]
    aad: Option<String>,
    #[command(flatten)]
    version: Version,
}

/// What signing takes.
#[derive(Args)]
pub struct Digest {
    /// How: `RS256`, `PS256`, `ES256`, or with 384 or 512 bits.
    #[arg(short, long)]
    algorithm: String,
    /// The digest of what is signed, base64url.
    #[arg(long)]
    digest: String,
    #[command(flatten)]
    version: Version,
}

/// Commands that use keys.
#[derive(Subcommand)]
pub enum Command {
    /// Encrypt a value.
    Encrypt(#[command(flatten)] Cipher),
    /// Decrypt a value.
    Decrypt(#[command(flatten)] Cipher),
    /// Wrap another key, also with `A256KW`.
    Wrap(#[command(flatten)] Cipher),
    /// Unwrap another key.
    Unwrap(#[command(flatten)] Cipher),
    /// Sign a digest.
    Sign(#[command(flatten)] Digest),
    /// Verify a signature. Exits with 1 when it does not hold.
    Verify {
        /// The signature, base64url.
        #[arg(long)]
        signature: String,
        #[command(flatten)]
        digest: Digest,
    },
}

const ROWS: &[(&str, &str)] = &[("Kid", "/kid"), ("Value", "/value"), ("Iv", "/iv"), ("Tag", "/tag")];

impl Cipher {
    async fn run(self, verb: &str) -> Result<ExitCode, Failure> {
        let mut body = Map::new();
        body.insert(String::from("alg"), json!(self.algorithm));
        body.insert(String::from("value"), json!(secret::read_up_to(&self.file, LONGEST)?.expose()));
        for (name, text) in [("iv", self.iv), ("tag", self.tag), ("aad", self.aad)] {
            text.map(|text| body.insert(name.to_owned(), json!(text)));
        }
        let answer = ask(&self.version, verb, &Value::Object(body)).await?;
        options(&self.version).session.output.entry(&answer, ROWS)
    }
}

fn options(version: &Version) -> &VaultOptions {
    &version.named.vault
}

/// Asks the version that is named, or the newest.
async fn ask(version: &Version, verb: &str, body: &Value) -> Result<Value, Failure> {
    let at = AtVault::open(options(version)).await?;
    let key = match &version.version {
        Some(_) => version.place(&KEYS)?,
        None => {
            let shown = at.ask(Method::GET, &version.place(&KEYS)?, None).await?;
            let kid = shown.pointer("/key/kid").and_then(Value::as_str).unwrap_or_default();
            place(KEYS.collection, &version.named.name, kid.rsplit('/').next())?
        }
    };
    at.ask(Method::POST, &format!("{key}/{verb}"), Some(body)).await
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Encrypt(cipher) => cipher.run("encrypt").await,
            Self::Decrypt(cipher) => cipher.run("decrypt").await,
            Self::Wrap(cipher) => cipher.run("wrapkey").await,
            Self::Unwrap(cipher) => cipher.run("unwrapkey").await,
            Self::Sign(Digest { algorithm, digest, version }) => {
                let answer = ask(&version, "sign", &json!({"alg": algorithm, "value": digest})).await?;
                options(&version).session.output.entry(&answer, ROWS)
            }
            Self::Verify { signature, digest: Digest { algorithm, digest, version } } => {
                let body = json!({"alg": algorithm, "digest": digest, "value": signature});
                let answer = ask(&version, "verify", &body).await?;
                options(&version).session.output.entry(&answer, &[("Valid", "/value")])?;
                Ok(if answer.get("value") == Some(&json!(true)) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
        }
    }
}
