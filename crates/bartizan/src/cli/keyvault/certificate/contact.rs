//! Who is to be told of certificates of a vault.

use std::process::ExitCode;

use clap::Subcommand;
use outbound::Method;
use serde_json::{Value, json};

use super::AtVault;
use crate::{cli::keyvault::VaultOptions, failure::Failure};

/// Where they are.
const PLACE: &str = "certificates/contacts";
const COLUMNS: &[(&str, &str)] = &[("Email", "/email"), ("Name", "/name"), ("Phone", "/phone")];

/// Commands on contacts.
#[derive(Subcommand)]
pub enum Command {
    /// List them.
    List(#[command(flatten)] VaultOptions),
    /// Add one, or say something else of one that is there.
    Add {
        /// Address of mail.
        #[arg(long)]
        email: String,
        /// Name.
        #[arg(long)]
        name: Option<String>,
        /// Number of a telephone.
        #[arg(long)]
        phone: Option<String>,
        #[command(flatten)]
        vault: VaultOptions,
    },
    /// Remove one.
    Delete {
        /// Address of mail.
        #[arg(long)]
        email: String,
        #[command(flatten)]
        vault: VaultOptions,
    },
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(vault) => {
                let found = listed(&AtVault::open(&vault).await?).await?;
                vault.session.output.entries(&found, COLUMNS)
            }
            Self::Add { email, name, phone, vault } => {
                let at = AtVault::open(&vault).await?;
                let mut list = listed(&at).await?;
                list.retain(|entry| !is_of(entry, &email));
                list.push(json!({"email": email, "name": name, "phone": phone}));
                at.ask(Method::PUT, PLACE, Some(&json!({"contacts": list}))).await?;
                vault.session.output.entries(&listed(&at).await?, COLUMNS)
            }
            Self::Delete { email, vault } => {
                let at = AtVault::open(&vault).await?;
                let mut list = listed(&at).await?;
                let before = list.len();
                list.retain(|entry| !is_of(entry, &email));
                if list.len() == before {
                    return Err(Failure::new(format!("no contact has the address {email}")));
                }
                if list.is_empty() {
                    at.ask(Method::DELETE, PLACE, None).await?;
                } else {
                    at.ask(Method::PUT, PLACE, Some(&json!({"contacts": list}))).await?;
                }
                vault.session.output.done(&format!("contact {email} is removed"), &Value::Null)
            }
        }
    }
}

fn is_of(entry: &Value, email: &str) -> bool {
    entry.get("email").and_then(Value::as_str) == Some(email)
}

/// Those that there are.
async fn listed(at: &AtVault) -> Result<Vec<Value>, Failure> {
    let found = at.ask_if_found(PLACE).await?;
    Ok(found.and_then(|found| found.get("contacts").and_then(Value::as_array).cloned()).unwrap_or_default())
}
