//! Diagnostics that may leave the installation: whether any are collected, and the outbox in which they lie before.

use std::process::ExitCode;

use clap::Subcommand;
use outbound::Method;
use serde_json::{Value, json};

use super::{Session, SessionOptions, output};
use crate::failure::Failure;

const COLLECTION: &str = "/diagnostics/v1/collection";
const OUTBOX: &str = "/diagnostics/v1/outbox";

/// Commands on diagnostics.
#[derive(Subcommand)]
pub enum Command {
    /// Whether anything is collected, and where it goes. Nothing is, to nowhere, until an owner of the tenant says so.
    #[command(subcommand)]
    Collection(Collection),
    /// What was collected, byte for byte as it would leave.
    #[command(subcommand)]
    Outbox(Outbox),
}

/// Commands on collection.
#[derive(Subcommand)]
pub enum Collection {
    /// Show what was said, and by whom.
    Show(#[command(flatten)] SessionOptions),
    /// Collect from now on: names of experiments and data sets, and names of environment variables. No values, files, people or
    /// workspaces; nothing of workspaces of high business impact or that were opted out.
    On {
        /// Where to send it: a URL of a server that `serve --outbound-host` lists. Without it, everything stays in the outbox.
        #[arg(long, value_name = "URL")]
        destination: Option<String>,
        /// For so many hours an entry stays in the outbox, to be looked at or purged, before it is sent.
        #[arg(long, default_value_t = 24)]
        hold_hours: u32,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Collect and send nothing. What is in the outbox stays there until it is purged.
    Off(#[command(flatten)] SessionOptions),
}

/// Commands on the outbox.
#[derive(Subcommand)]
pub enum Outbox {
    /// List it, oldest first.
    List(#[command(flatten)] SessionOptions),
    /// Print the bytes of an entry, as they leave.
    Show {
        /// Its id, as `list` shows it.
        id: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Remove everything in it. What was not sent never is.
    Purge {
        /// Do not ask.
        #[arg(long, required = true)]
        yes: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const ROWS: &[(&str, &str)] = &[
    ("Collected", "/enabled"),
    ("Destination", "/destination"),
    ("Held for (hours)", "/holdHours"),
    ("Changed", "/changedAt"),
    ("By", "/changedBy"),
];
const COLUMNS: &[(&str, &str)] = &[
    ("Id", "/id"),
    ("Collected", "/collectedAt"),
    ("Workspace", "/workspace"),
    ("Bytes", "/length"),
    ("State", "/state"),
    ("Sent", "/sentAt"),
    ("Fault", "/fault"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Collection(command) => command.run().await,
            Self::Outbox(command) => command.run().await,
        }
    }
}

impl Collection {
    async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Show(session) => {
                let open = Session::open(&session).await?;
                session.output.entry(&open.get::<Value>(COLLECTION).await?, ROWS)
            }
            Self::On { destination, hold_hours, session } => {
                let body = json!({"enabled": true, "destination": destination, "holdHours": hold_hours});
                let open = Session::open(&session).await?;
                session.output.entry(&open.put(COLLECTION, &body).await?, ROWS)
            }
            Self::Off(session) => {
                let open = Session::open(&session).await?;
                session.output.entry(&open.put(COLLECTION, &json!({"enabled": false})).await?, ROWS)
            }
        }
    }
}

impl Outbox {
    async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(session) => {
                let open = Session::open(&session).await?;
                session.output.entries(&open.list(OUTBOX).await?, COLUMNS)
            }
            Self::Show { id, session } => {
                let open = Session::open(&session).await?;
                let answer = open.call(Method::GET, &format!("{OUTBOX}/{id}")).send().await?.success().await?;
                output::pour(&answer.bytes(1 << 20).await?)?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Purge { yes: _, session } => {
                let open = Session::open(&session).await?;
                open.delete(OUTBOX).await?;
                session.output.done("the outbox is empty", &Value::Null)
            }
        }
    }
}
