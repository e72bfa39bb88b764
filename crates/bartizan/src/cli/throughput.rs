//! The throughput of a workspace's metadata.

use std::process::ExitCode;

use clap::Subcommand;
use outbound::Method;
use serde_json::{Value, json};

use super::{Session, SessionOptions, session::json_or_null};
use crate::failure::Failure;

/// Commands on the throughput of a workspace's metadata, in request units a second.
///
/// Reading costs a unit for each started KiB, writing five for each started KiB of a commit. What is not used is kept for a minute;
/// beyond that, requests are answered with 429. Changes of resources and access, and the server's own work, are never refused.
#[derive(Subcommand)]
pub enum Command {
    /// Show it.
    Show {
        /// The workspace's name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Set it: 400 or more, in steps of 100, within the quota `requestUnits` of the subscription.
    Update {
        /// The workspace's name.
        name: String,
        /// Request units a second.
        #[arg(long)]
        throughput: u32,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const ROWS: &[(&str, &str)] = &[
    ("Request units a second", "/properties/resource/throughput"),
    ("Least", "/properties/resource/minimumThroughput"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let (name, session, throughput) = match self {
            Self::Show { name, session } => (name, session, None),
            Self::Update { name, throughput, session } => (name, session, Some(throughput)),
        };
        let open = Session::open(&session).await?;
        let place = format!("{}/{name}/throughputSettings/default", open.workspaces()?);
        let Some(throughput) = throughput else {
            return session.output.entry(&open.get::<Value>(&place).await?, ROWS);
        };
        let body = json!({"properties": {"resource": {"throughput": throughput}}});
        let answer = open.call(Method::PUT, &place).json(&body).send().await?.success().await?;
        session.output.entry(&json_or_null(answer).await?, ROWS)
    }
}
