//! Reading the activity log.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand, ValueEnum};
use kernel::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};

use super::{Session, SessionOptions, output, say};
use crate::failure::Failure;

/// Commands on the activity log.
#[derive(Subcommand)]
pub enum Command {
    /// List records, newest first.
    List(Box<List>),
    /// Copy the log for keeping elsewhere: one JSON object a line. `bartizan verify-log --export` reads every format.
    Export {
        /// Where to; `-` is standard output.
        #[arg(long, default_value = "-")]
        to: PathBuf,
        /// What each line holds.
        #[arg(long, value_enum, default_value = "rows")]
        format: ExportFormat,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Sign a checkpoint of the log as it is now. Keep it elsewhere: it makes cutting or rewriting the log visible.
    Checkpoint(#[command(flatten)] SessionOptions),
    /// Print the newest signed cut: what `verify-log --cuts` needs of a log whose front retention removed.
    Cut(#[command(flatten)] SessionOptions),
    /// How long the log is kept.
    #[command(subcommand)]
    Retention(Retention),
}

/// Commands on retention.
#[derive(Subcommand)]
pub enum Retention {
    /// Show how long records are kept, and who said so.
    Show(#[command(flatten)] SessionOptions),
    /// Say how long records are kept. What is older is removed, and a signed cut is left in its place.
    Set {
        /// Days, at least 90.
        #[arg(long, required_unless_present = "forever", conflicts_with = "forever")]
        days: Option<u32>,
        /// Keep everything, as in the beginning.
        #[arg(long)]
        forever: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// What a line of an export holds.
#[derive(Clone, Copy, ValueEnum)]
pub enum ExportFormat {
    /// The record as it is stored: sealed, for verifying.
    Rows,
    /// The same, with the record opened beside it.
    Jsonl,
    /// An event of the Open Cybersecurity Schema Framework (1.3.0), with the sealed record in `unmapped`.
    Ocsf,
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
    /// Only in this resource group. (`--resource-group` is the session's own, and no filter.)
    #[arg(long, value_name = "NAME")]
    in_group: Option<String>,
    /// Only of this resource provider (`Microsoft.MachineLearningServices`).
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Only by this initiator: its name or object id.
    #[arg(long, value_name = "WHO")]
    caller: Option<String>,
    /// Only with this status: Succeeded, Failed or Denied.
    #[arg(long, value_name = "WORD")]
    status: Option<String>,
    /// Not before this time (RFC 3339).
    #[arg(long, value_name = "TIME", conflicts_with = "offset")]
    start_time: Option<String>,
    /// Not after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    end_time: Option<String>,
    /// Reads and scoring calls too.
    #[arg(long)]
    reads: bool,
    /// Only what Azure's own activity log would have: not the start of training, models, data and the directory.
    #[arg(long, conflicts_with = "reads")]
    azure_view: bool,
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
            Self::Export { to, format, session } => export(&Session::open(&session).await?, &to, format).await,
            Self::Checkpoint(options) => signed_text(&options, "/activity-log/v1/checkpoint").await,
            Self::Cut(options) => signed_text(&options, "/activity-log/v1/cut").await,
            Self::Retention(Retention::Show(options)) => {
                let kept: Value = Session::open(&options).await?.get(RETENTION).await?;
                options.output.entry(&kept, KEPT)
            }
            Self::Retention(Retention::Set { days, session, .. }) => {
                let kept = Session::open(&session).await?.put(RETENTION, &json!({"days": days})).await?;
                session.output.entry(&kept, KEPT)
            }
        }
    }
}

const RETENTION: &str = "/activity-log/v1/retention";
const KEPT: &[(&str, &str)] = &[("Days", "/days"), ("Said at", "/changedAt"), ("Said by", "/changedBy")];

/// Prints a text that the server signed.
async fn signed_text(options: &SessionOptions, place: &str) -> Result<ExitCode, Failure> {
    let session = Session::open(options).await?;
    let text = session.call(outbound::Method::GET, place).send().await?.success().await?.bytes(64 << 10).await?;
    output::pour(&text)?;
    Ok(ExitCode::SUCCESS)
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

    /// Page after page, until there are enough.
    async fn fetch(&self, session: &Session) -> Result<Vec<Value>, Failure> {
        let scope = if self.tenant_wide { String::new() } else { session.subscription()? };
        let place = format!("{scope}/providers/Microsoft.Insights/eventtypes/management/values");
        let most = self.max_events.clamp(1, 1000).to_string();
        let filter = self.filter()?;
        let reads = self.reads.to_string();
        let view = if self.azure_view { "azure" } else { "full" };
        let parameters = [
            ("api-version", "2015-04-01"),
            ("$filter", filter.as_str()),
            ("$top", most.as_str()),
            ("reads", &reads),
            ("view", view),
        ];
        let mut page: Value = session.call(outbound::Method::GET, &place).query(&parameters).send_for_json().await?;
        let mut found = Vec::new();
        loop {
            found.extend(page.get("value").and_then(Value::as_array).cloned().unwrap_or_default());
            let next = page.get("nextLink").and_then(Value::as_str).filter(|_| found.len() < self.max_events);
            let Some(next) = next.map(ToOwned::to_owned) else { break };
            page = session.call(outbound::Method::GET, &next).send_for_json().await?;
        }
        found.truncate(self.max_events);
        Ok(found)
    }

    fn filter(&self) -> Result<String, Failure> {
        let start = match &self.offset {
            Some(span) => Some(since(span)?.rfc3339()),
            None => self.start_time.clone(),
        };
        let clauses = [
            ("eventTimestamp ge", &start),
            ("eventTimestamp le", &self.end_time),
            ("correlationId eq", &self.correlation_id),
            ("resourceUri eq", &self.resource_id),
            ("resourceGroupName eq", &self.in_group),
            ("resourceProvider eq", &self.namespace),
            ("caller eq", &self.caller),
            ("status eq", &self.status),
        ];
        let quoted = |(words, value): (&str, &Option<String>)| {
            value.as_ref().map(|value| format!("{words} '{}'", value.replace('\'', "''")))
        };
        Ok(clauses.into_iter().filter_map(quoted).collect::<Vec<_>>().join(" and "))
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

async fn export(session: &Session, to: &PathBuf, format: ExportFormat) -> Result<ExitCode, Failure> {
    const PAGE: u64 = 1000;
    let to_terminal = to.as_os_str() == "-";
    let mut file = if to_terminal { None } else { Some(std::fs::File::create(to)?) };
    let format = match format {
        ExportFormat::Rows => "rows",
        ExportFormat::Jsonl => "jsonl",
        ExportFormat::Ocsf => "ocsf",
    };
    let (mut from, mut written): (u64, u64) = (1, 0);
    loop {
        let (first, most) = (from.to_string(), PAGE.to_string());
        let parameters = [("from", first.as_str()), ("limit", most.as_str()), ("format", format)];
        let call = session.call(outbound::Method::GET, "/activity-log/v1/records").query(&parameters);
        let page = call.send().await?.success().await?.bytes(256 << 20).await?;
        // The log was cut meanwhile: what was written no longer goes on here, and begins in front of the cut.
        if written > 0 && number(page.split(|byte| *byte == b'\n').next()).is_some_and(|found| found != from) {
            let why = "the log was cut by its retention meanwhile; export it again";
            let Some(file) = &mut file else { return Err(Failure::new(why)) };
            *file = std::fs::File::create(to)?;
            (from, written) = (1, 0);
            continue;
        }
        let rows = u64::try_from(page.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(0);
        match &mut file {
            Some(file) => std::io::Write::write_all(file, &page)?,
            None => output::pour(&page)?,
        }
        written = written.saturating_add(rows);
        // Retention may have removed the first ones, so numbers are read and not counted.
        let last = page.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
        from = number(last).map_or(u64::MAX, |last| last.saturating_add(1));
        if rows < PAGE {
            break;
        }
    }
    if !to_terminal {
        say(&format!("{written} records written to {}", to.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The number of a line's record.
fn number(line: Option<&[u8]>) -> Option<u64> {
    let line: Value = serde_json::from_slice(line?).ok()?;
    line.get("seq").or_else(|| line.pointer("/metadata/sequence"))?.as_u64()
}
