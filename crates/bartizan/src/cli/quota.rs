//! Quotas of cores.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// Commands on quotas.
#[derive(Subcommand)]
pub enum Command {
    /// List the quotas of the subscription and its workspaces, with what is used of each.
    List {
        /// Where.
        #[arg(long, default_value = "local")]
        location: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Set one, of the subscription or of an enterprise workspace. It takes a role at the subscription.
    ///
    /// The server's own target is the family `local`: each running job counts as one core, and those beyond a quota wait.
    Set {
        /// The family of machines.
        family: String,
        /// Cores that may be used at once.
        limit: u32,
        /// The workspace; the subscription when none is named.
        #[arg(long)]
        of_workspace: Option<String>,
        /// Where.
        #[arg(long, default_value = "local")]
        location: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const COLUMNS: &[(&str, &str)] =
    &[("Family", "/name/value"), ("Used", "/currentValue"), ("Limit", "/limit"), ("Id", "/id")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List { location, session } => {
                let open = Session::open(&session).await?;
                session.output.entries(&open.list(&format!("{}/usages", place(&open, &location)?)).await?, COLUMNS)
            }
            Self::Set { family, limit, of_workspace, location, session } => {
                let open = Session::open(&session).await?;
                let place = place(&open, &location)?;
                let scope = match of_workspace {
                    Some(name) => format!("{}/{name}", open.workspaces()?),
                    None => place.clone(),
                };
                let body =
                    json!({"value": [{"id": format!("{scope}/quotas/{family}"), "limit": limit, "unit": "Count"}]});
                let answer = open.post(&format!("{place}/updateQuotas"), &body).await?;
                match answer.pointer("/value/0/status").and_then(Value::as_str) {
                    Some("Success") => session.output.done(&format!("{limit} cores of {family}"), &answer),
                    other => Err(Failure::new(explain(other.unwrap_or_default()))),
                }
            }
        }
    }
}

fn place(open: &Session, location: &str) -> Result<String, Failure> {
    Ok(format!("{}/providers/Microsoft.MachineLearningServices/locations/{location}", open.subscription()?))
}

fn explain(status: &str) -> String {
    let why = match status {
        "OperationNotSupportedForSku" => {
            "only an enterprise workspace has quotas of its own; `bartizan workspace update --sku enterprise` makes it one"
        }
        "InvalidQuotaExceedsSubscriptionLimit" => "a workspace cannot have more than its subscription",
        "InvalidVMFamilyName" => "a family's name is 1 to 80 letters, digits, `-` or `_`",
        _ => "the server did not set it",
    };
    format!("{status}: {why}")
}
