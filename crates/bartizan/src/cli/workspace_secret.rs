//! Secrets of a workspace by name.

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;
use outbound::Method;
use serde_json::{Value, json};

use super::{Session, SessionOptions, secret};
use crate::failure::Failure;

/// The longest value, in bytes.
const LONGEST: usize = 25 * 1024;

/// Secrets for the workspace's jobs, by name. They lie in its key vault; the roles on the workspace say who may set and read them.
///
/// The code of a job reads them at `$BARTIZAN_VAULT_URL/NAME`, or has them in a variable: `--env DB_PASSWORD=secret://NAME`.
/// `bartizan keyvault secret` is for the vault itself: versions, labels, what was deleted.
#[derive(Subcommand)]
pub enum Command {
    /// Give one a value: its first, or a new one.
    Set {
        /// Its name: letters, digits and `-`.
        #[arg(short, long)]
        name: String,
        /// A file with the value, or `-` for standard input, so that no list of processes shows it. One line end behind it is left
        /// out.
        #[arg(short, long)]
        file: PathBuf,
        /// What the value is, in your words.
        #[arg(long)]
        content_type: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show some, with their values. One that is not there has none.
    Show {
        /// Its name; may be given several times.
        #[arg(short, long = "name", required = true)]
        names: Vec<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List their names.
    List(#[command(flatten)] SessionOptions),
    /// Delete one. It rests in the vault, where `bartizan keyvault secret recover` brings it back.
    Delete {
        /// Its name; may be given several times.
        #[arg(short, long = "name", required = true)]
        names: Vec<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const COLUMNS: &[(&str, &str)] = &[("Name", "/name")];
const SHOWN: &[(&str, &str)] =
    &[("Name", "/name"), ("Value", "/value"), ("ContentType", "/contentType"), ("Modified", "/modifiedTime")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Set { name, file, content_type, session } => {
                let value = secret::read_up_to(&file, LONGEST)?;
                let open = Session::open(&session).await?;
                let body = json!({"name": name, "value": value.expose(), "contentType": content_type});
                let made = open.put(&place(&open)?, &body).await?;
                session.output.done(&format!("secret {name} is set"), &made)
            }
            Self::Show { names, session } => {
                let open = Session::open(&session).await?;
                let found = open.post(&format!("{}:getbatch", place(&open)?), &named(&names)).await?;
                session.output.entries(&all(&found), SHOWN)
            }
            Self::List(session) => {
                let open = Session::open(&session).await?;
                session.output.entries(&listed(&open).await?, COLUMNS)
            }
            Self::Delete { names, session } => {
                let open = Session::open(&session).await?;
                open.post(&format!("{}:deletebatch", place(&open)?), &named(&names)).await?;
                session.output.done(&format!("deleted: {}", names.join(", ")), &Value::Null)
            }
        }
    }
}

fn place(open: &Session) -> Result<String, Failure> {
    Ok(format!("/credential/v2.0{}/secrets", open.workspace()?))
}

fn named(names: &[String]) -> Value {
    let secrets: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    json!({"secrets": secrets})
}

/// Those that were found, and those that were not with no value.
fn all(answer: &Value) -> Vec<Value> {
    let list = |name: &str| answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let missing = list("notFoundSecrets").into_iter().map(|name| json!({"name": name, "value": null}));
    list("secrets").into_iter().chain(missing).collect()
}

/// The names, all pages.
async fn listed(open: &Session) -> Result<Vec<Value>, Failure> {
    let place = place(open)?;
    let mut entries = Vec::new();
    let mut call = open.call(Method::GET, &place);
    loop {
        let mut page: Value = call.send_for_json().await?;
        if let Some(Value::Array(found)) = page.get_mut("value").map(Value::take) {
            entries.extend(found);
        }
        match page.get("continuationToken").and_then(Value::as_str) {
            Some(next) => call = open.call(Method::GET, &place).query(&[("continuationToken", next)]),
            None => return Ok(entries),
        }
    }
}
