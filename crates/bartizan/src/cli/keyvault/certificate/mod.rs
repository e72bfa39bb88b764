//! Certificates of a vault.

mod brought;
mod contact;
mod pending;
mod policy;

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::PathBuf, process::ExitCode};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Subcommand, ValueEnum};
use outbound::Method;
use serde_json::{Map, Value, json};

use self::policy::PolicyOptions;
use super::{
    AtVault,
    kept::{self, Kind, Named, Tags, Version, one},
};
use crate::failure::Failure;

/// Certificates, and what is shown of them.
const CERTIFICATES: Kind = Kind {
    collection: "certificates",
    word: "certificate",
    rows: &[
        ("Id", "/id"),
        ("Key", "/kid"),
        ("Secret", "/sid"),
        ("Thumbprint", "/x5t"),
        ("Subject", "/policy/x509_props/subject"),
        ("Issuer", "/policy/issuer/name"),
        ("Enabled", "/attributes/enabled"),
        ("NotBefore", "/attributes/nbf"),
        ("Expires", "/attributes/exp"),
        ("Tags", "/tags"),
    ],
    columns: &[
        ("Id", "/id"),
        ("Thumbprint", "/x5t"),
        ("Enabled", "/attributes/enabled"),
        ("Expires", "/attributes/exp"),
    ],
};

/// How a certificate is written into a file.
#[derive(Clone, Copy, ValueEnum)]
pub enum Encoding {
    /// Text.
    Pem,
    /// Bytes.
    Der,
}

/// Commands on certificates.
#[derive(Subcommand)]
pub enum Command {
    /// Make a certificate: its first version, or one more.
    ///
    /// With the issuer `Self` it is there at once. With `Unknown` there is a request: `pending show` gives it, somebody signs it, and
    /// `pending merge` takes in what was signed.
    Create {
        /// Make it disabled.
        #[arg(long)]
        disabled: bool,
        #[command(flatten)]
        policy: Box<PolicyOptions>,
        #[command(flatten)]
        tags: Tags,
        #[command(flatten)]
        certificate: Named,
    },
    /// Bring a certificate of your own, with its key.
    Import {
        /// A file with PKCS #12, or with PEM that is not encrypted; or `-` for PEM on standard input.
        #[arg(short, long)]
        file: PathBuf,
        /// A file with the password of PKCS #12, or `-` for standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Bring it disabled.
        #[arg(long)]
        disabled: bool,
        #[command(flatten)]
        policy: Box<PolicyOptions>,
        #[command(flatten)]
        tags: Tags,
        #[command(flatten)]
        certificate: Named,
    },
    /// Show one: what it says, and where its key and its secret are.
    Show(#[command(flatten)] Version),
    /// Write one into a file, without its private half; that is in the secret of the same name.
    Download {
        /// The file to write; it must not be there yet.
        #[arg(short, long)]
        file: PathBuf,
        /// How.
        #[arg(short, long, default_value = "pem")]
        encoding: Encoding,
        #[command(flatten)]
        version: Version,
    },
    /// Change what is said of one: labels, whether it and its key and secret may be used.
    SetAttributes {
        /// Whether it may be used.
        #[arg(long, action = clap::ArgAction::Set, value_name = "true|false")]
        enabled: Option<bool>,
        #[command(flatten)]
        tags: Tags,
        #[command(flatten)]
        version: Version,
    },
    /// What the next version is made like, and when.
    #[command(subcommand)]
    Policy(policy::Command),
    /// The last request for a version.
    #[command(subcommand)]
    Pending(pending::Command),
    /// Who is to be told of certificates. The vault keeps the list; it sends no mail.
    #[command(subcommand)]
    Contact(contact::Command),
    #[command(flatten)]
    Kept(kept::Command),
}

/// What is said of one when it is made.
fn body(disabled: bool, tags: Tags, policy: Map<String, Value>) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert(String::from("attributes"), json!({"enabled": !disabled}));
    body.insert(String::from("policy"), Value::Object(policy));
    tags.say(&mut body);
    body
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { disabled, policy, tags, certificate } => {
                let body = body(disabled, tags, policy.body()?);
                let place = format!("{}/create", certificate.place(&CERTIFICATES)?);
                one(&certificate.vault, Method::POST, &place, Some(Value::Object(body)), pending::ROWS).await
            }
            Self::Import { file, password_file, disabled, policy, tags, certificate } => {
                let mut body = body(disabled, tags, policy.body()?);
                brought::say(&mut body, &file, password_file.as_deref())?;
                let place = format!("{}/import", certificate.place(&CERTIFICATES)?);
                one(&certificate.vault, Method::POST, &place, Some(Value::Object(body)), CERTIFICATES.rows).await
            }
            Self::Show(version) => {
                one(&version.named.vault, Method::GET, &version.place(&CERTIFICATES)?, None, CERTIFICATES.rows).await
            }
            Self::Download { file, encoding, version } => download(&version, file, encoding).await,
            Self::SetAttributes { enabled, tags, version } => {
                let mut body = Map::new();
                enabled.map(|enabled| body.insert(String::from("attributes"), json!({"enabled": enabled})));
                tags.say(&mut body);
                let (place, body) = (version.place(&CERTIFICATES)?, Some(Value::Object(body)));
                one(&version.named.vault, Method::PATCH, &place, body, CERTIFICATES.rows).await
            }
            Self::Policy(command) => command.run().await,
            Self::Pending(command) => command.run().await,
            Self::Contact(command) => command.run().await,
            Self::Kept(command) => command.run(&CERTIFICATES).await,
        }
    }
}

async fn download(version: &Version, file: PathBuf, encoding: Encoding) -> Result<ExitCode, Failure> {
    let options = &version.named.vault;
    let at = AtVault::open(options).await?;
    let shown = at.ask(Method::GET, &version.place(&CERTIFICATES)?, None).await?;
    let text = shown.get("cer").and_then(Value::as_str).unwrap_or_default();
    let unread = |_| Failure::new("the server's answer holds no certificate");
    let bytes = match encoding {
        Encoding::Der => STANDARD.decode(text).map_err(unread)?,
        Encoding::Pem => armored("CERTIFICATE", text).into_bytes(),
    };
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&file)?;
    out.write_all(&bytes)?;
    out.sync_all()?;
    let said = json!({"file": file.display().to_string(), "bytes": bytes.len()});
    options.session.output.done(&format!("certificate {} is in {}", version.named.name, file.display()), &said)
}

/// PEM of what is in base64.
fn armored(label: &str, text: &str) -> String {
    let lines: Vec<String> =
        text.as_bytes().chunks(64).map(|line| line.iter().map(|byte| char::from(*byte)).collect()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
