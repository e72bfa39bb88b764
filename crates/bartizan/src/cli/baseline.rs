//! The baseline report: how what is here stands to the controls of a security baseline.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Format, Session, SessionOptions, tell};
use crate::failure::Failure;

/// Commands on the security baseline.
#[derive(Subcommand)]
pub enum Command {
    /// Judge every control of the baseline at a subscription or workspace, now.
    ///
    /// Each control passes, fails, or is not applicable, and says why, what to do about it, and at which address of the server
    /// that can be seen. For example, `bartizan baseline report --failed` lists what is left to do.
    Report(Report),
}

/// What to report on.
#[derive(Args)]
pub struct Report {
    /// Subscription or workspace, by its resource id. Default: the workspace if one is set, else the subscription.
    #[arg(long)]
    scope: Option<String>,
    /// Only what fails.
    #[arg(long)]
    failed: bool,
    #[command(flatten)]
    session: SessionOptions,
}

const COLUMNS: &[(&str, &str)] =
    &[("Control", "/id"), ("Verdict", "/verdict"), ("Asks", "/title"), ("Why", "/reason"), ("Evidence", "/evidence")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let Self::Report(report) = self;
        report.run().await
    }
}

impl Report {
    async fn run(self) -> Result<ExitCode, Failure> {
        let output = self.session.output;
        let open = Session::open(&self.session).await?;
        let scope = match self.scope {
            Some(scope) => scope,
            None => open.workspace().or_else(|_| open.subscription())?,
        };
        let place = format!("{scope}/providers/Microsoft.Security/baselineReports/latest");
        let mut report: Value = open.get(&place).await?;
        let controls = report.pointer_mut("/properties/controls").and_then(Value::as_array_mut);
        let controls = controls.ok_or_else(|| Failure::new("the server sent no report"))?;
        if self.failed {
            controls.retain(|control| control.get("verdict").and_then(Value::as_str) == Some("Fail"));
        }
        if output == Format::Json {
            return output.done("", &report);
        }
        let printed = output.entries(controls, COLUMNS);
        let count = |what: &str| report.pointer(&format!("/properties/summary/{what}")).cloned().unwrap_or_default();
        tell(&format!(
            "{} passed, {} failed, {} not applicable",
            count("passed"),
            count("failed"),
            count("notApplicable")
        ));
        printed
    }
}
