//! Requests for versions of certificates.

use std::{
    fs::OpenOptions,
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Subcommand;
use outbound::Method;
use serde_json::{Value, json};

use super::{AtVault, CERTIFICATES, Named, armored, one};
use crate::failure::Failure;

/// Bytes of the longest file that is read.
const LONGEST: u64 = 256 * 1024;

pub(super) const ROWS: &[(&str, &str)] = &[
    ("Id", "/id"),
    ("Status", "/status"),
    ("Details", "/status_details"),
    ("Issuer", "/issuer/name"),
    ("Target", "/target"),
    ("Request", "/request_id"),
];

/// Commands on requests.
#[derive(Subcommand)]
pub enum Command {
    /// Show the last request of a certificate.
    Show {
        /// A file to write the request into, as PEM, for whoever signs it; it must not be there yet.
        #[arg(short, long)]
        file: Option<PathBuf>,
        #[command(flatten)]
        certificate: Named,
    },
    /// Make a version of what was signed for the request.
    Merge {
        /// A file with the certificate, and those that vouch for it: PEM, or one as DER.
        #[arg(short, long)]
        file: PathBuf,
        #[command(flatten)]
        certificate: Named,
    },
    /// Cancel a request that waits.
    Cancel(#[command(flatten)] Named),
    /// Forget the last request, and with one that waits its key.
    Delete(#[command(flatten)] Named),
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let place = |certificate: &Named| Ok::<_, Failure>(format!("{}/pending", certificate.place(&CERTIFICATES)?));
        match self {
            Self::Show { file: None, certificate } => {
                one(&certificate.vault, Method::GET, &place(&certificate)?, None, ROWS).await
            }
            Self::Show { file: Some(file), certificate } => {
                let at = AtVault::open(&certificate.vault).await?;
                let shown = at.ask(Method::GET, &place(&certificate)?, None).await?;
                let text = shown.get("csr").and_then(Value::as_str).unwrap_or_default();
                let mut out = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&file)?;
                out.write_all(armored("CERTIFICATE REQUEST", text).as_bytes())?;
                out.sync_all()?;
                certificate.vault.session.output.entry(&shown, ROWS)
            }
            Self::Merge { file, certificate } => {
                let body = json!({"x5c": read(&file)?});
                let place = format!("{}/merge", place(&certificate)?);
                one(&certificate.vault, Method::POST, &place, Some(body), CERTIFICATES.rows).await
            }
            Self::Cancel(certificate) => {
                let body = Some(json!({"cancellation_requested": true}));
                one(&certificate.vault, Method::PATCH, &place(&certificate)?, body, ROWS).await
            }
            Self::Delete(certificate) => {
                one(&certificate.vault, Method::DELETE, &place(&certificate)?, None, ROWS).await
            }
        }
    }
}

/// Certificates of a file: each DER, in base64.
fn read(file: &Path) -> Result<Vec<String>, Failure> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(LONGEST).read_to_end(&mut bytes)?;
    let Some(text) = std::str::from_utf8(&bytes).ok().filter(|text| text.contains(BEGIN)) else {
        return Ok(vec![STANDARD.encode(&bytes)]);
    };
    let parts = text.split(BEGIN).skip(1);
    let body =
        |part: &str| -> String { part.split("-----END").next().unwrap_or_default().split_ascii_whitespace().collect() };
    Ok(parts.map(body).collect())
}
