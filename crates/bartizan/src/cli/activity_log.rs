//! Reading the activity log.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use kernel::{Clock, SystemClock, Timestamp};
use serde_json::Value;

use super::{Session, SessionOptions, output, say};
use crate::failure::Failure;

/// Commands on the activity log.
#[derive(Subcommand)]
pub enum Command {
    /// List records, newest first.
    List(List),
    /// Copy the log as it is stored, for keeping elsewhere: one JSON object a line. `bartizan verify-log` reads it.
    Export {
        /// Where to; `-` is standard output.
        #[arg(long, default_value = "-")]
        to: PathBuf,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Sign a checkpoint of the log as it is now. Keep it elsewhere: it makes cutting or rewriting the log visible.
    Checkpoint(#[command(flatten)] SessionOptions),
}

/// What to list.
#[derive(Args)]
pub struct List {
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    max_events: usize,
    /// Only the last so many minutes (`90m`), hours (`12h`) or days (`7d`).
    #[arg(long, value_name = "SPAN")]
    offset: Option<String>,
    /// Only what one request caused.
    #[arg(long, value_name = "GUID")]
    correlation_id: Option<String>,
    /// Only at and below this resource.
    #[arg(long, value_name = "ID")]
    resource_id: Option<String>,
    /// Reads and scoring calls too.
    #[arg(long)]
    reads: bool,
    /// The whole tenant's log instead of the subscription's; needs a role at the root.
    #[arg(long)]
    tenant_wide: bool,
    #[command(flatten)]
    session: SessionOptions,
}

const COLUMNS: &[(&str, &str)] = &[
    ("#", "/sequence"),
    ("Time", "/eventTimestamp"),
    ("Initiator", "/caller"),
    ("Operation", "/operationName/value"),
    ("Resource", "/shortResource"),
    ("Status", "/status/value"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(list) => list.run().await,
            Self::Export { to, session } => export(&Session::open(&session).await?, &to).await,
            Self::Checkpoint(options) => {
                let session = Session::open(&options).await?;
                let call = session.call(outbound::Method::GET, "/activity-log/v1/checkpoint");
                let text = call.send().await?.success().await?.bytes(64 << 10).await?;
                output::pour(&text)?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl List {
    async fn run(self) -> Result<ExitCode, Failure> {
        let session = Session::open(&self.session).await?;
        let mut found = self.fetch(&session).await?;
        for entry in &mut found {
            shorten(entry);
        }
        self.session.output.entries(&found, COLUMNS)
    }

    async fn fetch(&self, session: &Session) -> Result<Vec<Value>, Failure> {
        let mut clauses = Vec::new();
        if let Some(span) = &self.offset {
            clauses.push(format!("eventTimestamp ge '{}'", since(span)?.rfc3339()));
        }
        if let Some(id) = &self.correlation_id {
            clauses.push(format!("correlationId eq '{id}'"));
        }
        if let Some(id) = &self.resource_id {
            clauses.push(format!("resourceUri eq '{id}'"));
        }
        let scope = if self.tenant_wide { String::new() } else { session.subscription()? };
        let place = format!("{scope}/providers/Microsoft.Insights/eventtypes/management/values");
        let most = self.max_events.clamp(1, 1000).to_string();
        let filter = clauses.join(" and ");
        let reads = self.reads.to_string();
        let parameters =
            [("api-version", "2015-04-01"), ("$filter", filter.as_str()), ("$top", most.as_str()), ("reads", &reads)];
        let page: Value = session.call(outbound::Method::GET, &place).query(&parameters).send_for_json().await?;
        Ok(page.get("value").and_then(Value::as_array).cloned().unwrap_or_default())
    }
}

/// For the table: the resource without what all have in common.
pub(crate) fn shorten(entry: &mut Value) {
    let id = entry.get("resourceId").and_then(Value::as_str).unwrap_or_default();
    let short = match id.split_once("/workspaces/") {
        Some((_, below)) => below.to_owned(),
        None => id.split_once("/resourceGroups/").map_or(id, |(_, below)| below).to_owned(),
    };
    if let Some(object) = entry.as_object_mut() {
        object.insert(String::from("shortResource"), Value::String(short));
    }
}

fn since(span: &str) -> Result<Timestamp, Failure> {
    let bad = || Failure::usage(format!("`{span}` is no span: use for example 90m, 12h or 7d"));
    let unit = span.chars().next_back().ok_or_else(bad)?;
    let count: i64 = span.trim_end_matches(unit).parse().map_err(|_| bad())?;
    let minutes = match unit {
        'm' => count,
        'h' => count.saturating_mul(60),
        'd' => count.saturating_mul(24 * 60),
        _ => return Err(bad()),
    };
    Ok(Timestamp(SystemClock.now().0.saturating_sub(minutes.saturating_mul(60_000))))
}

async fn export(session: &Session, to: &PathBuf) -> Result<ExitCode, Failure> {
    const PAGE: u64 = 1000;
    let to_terminal = to.as_os_str() == "-";
    let mut file = if to_terminal { None } else { Some(std::fs::File::create(to)?) };
    let mut from: u64 = 1;
    loop {
        let (first, most) = (from.to_string(), PAGE.to_string());
        let parameters = [("from", first.as_str()), ("limit", most.as_str())];
        let call = session.call(outbound::Method::GET, "/activity-log/v1/records").query(&parameters);
        let page = call.send().await?.success().await?.bytes(256 << 20).await?;
        let rows = u64::try_from(page.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(0);
        match &mut file {
            Some(file) => std::io::Write::write_all(file, &page)?,
            None => output::pour(&page)?,
        }
        from = from.saturating_add(rows);
        if rows < PAGE {
            break;
        }
    }
    if !to_terminal {
        say(&format!("{} records written to {}", from.saturating_sub(1), to.display()));
    }
    Ok(ExitCode::SUCCESS)
}
