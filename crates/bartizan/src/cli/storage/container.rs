//! Containers.

use std::process::ExitCode;

use clap::Subcommand;
use outbound::Method;
use serde_json::{Value, json};

use super::{Account, InAccount, escaped, signature, xml};
use crate::{cli::say, failure::Failure};

/// Commands on containers.
#[derive(Subcommand)]
pub enum Command {
    /// Create a container: 3 to 63 lowercase letters, digits and `-`.
    Create {
        /// Its name.
        #[arg(short, long)]
        name: String,
        #[command(flatten)]
        account: InAccount,
    },
    /// List the containers of an account.
    List(#[command(flatten)] InAccount),
    /// Show when a container was changed and who has a lease on it.
    Show {
        /// Its name.
        #[arg(short, long)]
        name: String,
        #[command(flatten)]
        account: InAccount,
    },
    /// Delete a container with all its blobs. They cannot be had back.
    Delete {
        /// Its name.
        #[arg(short, long)]
        name: String,
        #[command(flatten)]
        account: InAccount,
    },
    /// Sign for a part of what you may do with a container, for at most seven days, and a day for a person. Prints the query to add to
    /// its address; whoever has it has that access.
    GenerateSas {
        /// Its name.
        #[arg(short, long)]
        name: String,
        /// What for: letters of `racwdl` (read, add, create, write, delete, list), in this order.
        #[arg(long, default_value = "r")]
        permissions: String,
        /// Until when, like 2026-01-31T12:00Z.
        #[arg(long)]
        expiry: String,
        /// The only address, or range of addresses, that may use it.
        #[arg(long)]
        ip: Option<String>,
        #[command(flatten)]
        account: InAccount,
    },
}

const COLUMNS: &[(&str, &str)] = &[("Name", "/name"), ("Lease", "/leaseState"), ("Changed", "/lastModified")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { name, account } => {
                let open = Account::open(&account).await?;
                open.send(open.call(Method::PUT, &format!("/{}?restype=container", escaped(&name)))).await?;
                account.session.output.done(&format!("container {name} is there"), &json!({"created": true}))
            }
            Self::List(account) => {
                let found = list(&Account::open(&account).await?).await?;
                account.session.output.entries(&found, COLUMNS)
            }
            Self::Show { name, account } => {
                let open = Account::open(&account).await?;
                let answer =
                    open.send(open.call(Method::GET, &format!("/{}?restype=container", escaped(&name)))).await?;
                let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
                let shown = json!({
                    "name": name,
                    "leaseState": header("x-ms-lease-state"),
                    "lastModified": header("last-modified"),
                    "etag": header("etag"),
                });
                account.session.output.entry(&shown, COLUMNS)
            }
            Self::Delete { name, account } => {
                let open = Account::open(&account).await?;
                open.send(open.call(Method::DELETE, &format!("/{}?restype=container", escaped(&name)))).await?;
                account.session.output.done(&format!("container {name} is gone"), &json!({"deleted": true}))
            }
            Self::GenerateSas { name, permissions, expiry, ip, account } => {
                let open = Account::open(&account).await?;
                let wanted = signature::Wanted {
                    account: &account.account_name,
                    container: &name,
                    blob: None,
                    permissions: &permissions,
                    expiry: &expiry,
                    ip: ip.as_deref(),
                };
                let sas = signature::delegated(&open, &wanted).await?;
                match account.session.output {
                    crate::cli::Format::Table => say(&sas),
                    crate::cli::Format::Json => return account.session.output.done("", &json!(sas)),
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

async fn list(account: &Account) -> Result<Vec<Value>, Failure> {
    let (mut found, mut marker) = (Vec::new(), String::new());
    loop {
        let place = format!("/?comp=list&marker={}", escaped(&marker));
        let text = account.document(account.call(Method::GET, &place)).await?;
        for part in xml::parts(&text, "Container") {
            found.push(json!({
                "name": xml::leaf(part, "Name"),
                "leaseState": xml::leaf(part, "LeaseState"),
                "lastModified": xml::leaf(part, "Last-Modified"),
                "etag": xml::leaf(part, "Etag"),
            }));
        }
        match xml::leaf(&text, "NextMarker") {
            Some(next) => marker = next,
            None => return Ok(found),
        }
    }
}
