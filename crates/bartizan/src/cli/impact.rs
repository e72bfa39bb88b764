//! High business impact of workspaces.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Format, Session, SessionOptions};
use crate::failure::Failure;

/// Commands on a workspace's business impact.
#[derive(Subcommand)]
pub enum Command {
    /// Raise one to high business impact, for good: there is no way back.
    ///
    /// From then on no run begins where its scratch can reach a disk, nothing of it is collected for diagnostics, and no name in it
    /// may tell who works there. The server looks through what was there before; `workspace impact` shows what is not as it must
    /// be, until nothing is.
    Raise {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(long, required = true)]
        yes: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show how one stands to high business impact: every node, run and service that is not as it must be. Exit code 1 when there are
    /// any.
    Impact {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const ROWS: &[(&str, &str)] = &[
    ("High impact", "/hbiWorkspace"),
    ("State", "/state"),
    ("Raised", "/raisedAt"),
    ("Raised by", "/raisedBy"),
    ("Looked through", "/looked"),
    ("Not conforming", "/nonConforming"),
    ("Proven", "/provenAt"),
];
const FINDINGS: &[(&str, &str)] = &[("Kind", "/kind"), ("Name", "/name"), ("What to do", "/message")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Raise { name, yes: _, session } => {
                let open = Session::open(&session).await?;
                let place = format!("{}/{name}/raiseBusinessImpact", open.workspaces()?);
                show(&session, open.post(&place, &json!({})).await?)?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Impact { name, session } => {
                let open = Session::open(&session).await?;
                let report: Value = open.get(&format!("{}/{name}/businessImpact", open.workspaces()?)).await?;
                let is_good = report.get("nonConforming").and_then(Value::as_u64) == Some(0);
                show(&session, report)?;
                Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
        }
    }
}

fn show(session: &SessionOptions, mut report: Value) -> Result<(), Failure> {
    let findings = report.get("findings").and_then(Value::as_array).cloned().unwrap_or_default();
    if session.output == Format::Table {
        let counts = report.get("lookedThrough").and_then(Value::as_object).cloned().unwrap_or_default();
        let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
        if let Some(fields) = report.as_object_mut() {
            fields.insert(String::from("looked"), json!(counts.join(", ")));
        }
    }
    session.output.entry(&report, ROWS)?;
    if session.output == Format::Table && !findings.is_empty() {
        session.output.entries(&findings, FINDINGS)?;
    }
    Ok(())
}
