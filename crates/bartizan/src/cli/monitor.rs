//! Diagnostic settings, archives, queries of the log tables, metrics and alerts.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use kernel::Secret;
use outbound::Method;
use serde_json::{Map, Value, json};

use super::{Session, SessionOptions, alerts, metrics, output, secret};
use crate::failure::Failure;

/// Commands that bring what happens here elsewhere, and look into it.
#[derive(Subcommand)]
pub enum Command {
    /// Which events of a subscription or workspace go where.
    #[command(subcommand)]
    DiagnosticSettings(Settings),
    /// What diagnostic settings archived in a storage account.
    #[command(subcommand)]
    Archive(Archive),
    /// Ask the log tables of a workspace.
    #[command(subcommand)]
    LogAnalytics(LogAnalytics),
    /// Numbers of runs, models, deployments and nodes, and rules over them.
    #[command(subcommand)]
    Metrics(metrics::Metrics),
    /// Webhooks that alert rules tell.
    #[command(subcommand)]
    ActionGroup(alerts::ActionGroup),
    /// Alerts that were raised.
    #[command(subcommand)]
    Alert(alerts::Alert),
}

/// Commands on diagnostic settings.
#[derive(Subcommand)]
pub enum Settings {
    /// Create one, or replace it.
    Create(Box<Create>),
    /// List those of a resource.
    List(Resource),
    /// Show one, and how far each of its sinks has got.
    Show(Named),
    /// Delete one.
    Delete(Named),
    /// What can be chosen.
    #[command(subcommand)]
    Categories(Categories),
}

/// Commands on categories.
#[derive(Subcommand)]
pub enum Categories {
    /// List those of a resource.
    List(Resource),
}

/// A subscription or workspace.
#[derive(Args)]
pub struct Resource {
    /// Its id. Default: the subscription.
    #[arg(long, value_name = "ID")]
    resource: Option<String>,
    #[command(flatten)]
    session: SessionOptions,
}

/// A setting.
#[derive(Args)]
pub struct Named {
    /// Its name.
    #[arg(short, long)]
    name: String,
    #[command(flatten)]
    of: Resource,
}

/// What a setting shall be.
#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    named: Named,
    /// A category whose events are sent; can be given several times.
    #[arg(long, value_name = "NAME")]
    category: Vec<String>,
    /// A group of categories (`allLogs`, `audit`); can be given several times. Default: allLogs.
    #[arg(long, value_name = "NAME")]
    category_group: Vec<String>,
    /// Archive into this storage account, by its id.
    #[arg(long, value_name = "ID")]
    storage_account: Option<String>,
    /// Send CloudEvents to this address. The server must be allowed to reach it: `serve --outbound-host`.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// File with the key that signs them, `-` for the standard input.
    #[arg(long, value_name = "FILE", requires = "webhook")]
    webhook_key_file: Option<PathBuf>,
    /// One event a request, instead of batches.
    #[arg(long, requires = "webhook")]
    webhook_single: bool,
    /// Send messages of RFC 5424 to this server: `tls://logs.example.org:6514`.
    #[arg(long, value_name = "PLACE")]
    syslog: Option<String>,
    /// Send log records to this OpenTelemetry collector: `https://otel.example.org/v1/logs`.
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// File with the bearer token it asks for, `-` for the standard input.
    #[arg(long, value_name = "FILE", requires = "otlp")]
    otlp_token_file: Option<PathBuf>,
}

/// Commands on archives.
#[derive(Subcommand)]
pub enum Archive {
    /// List the blobs.
    List {
        /// The storage account's id.
        #[arg(long, value_name = "ID")]
        storage_account: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Print a blob: one JSON object a line.
    Show {
        /// The storage account's id.
        #[arg(long, value_name = "ID")]
        storage_account: String,
        /// The container.
        #[arg(long)]
        container: String,
        /// The blob's name.
        #[arg(short, long)]
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// Commands on log tables.
#[derive(Subcommand)]
pub enum LogAnalytics {
    /// Run a query of the Kusto query language: where, project, distinct, take, order by, count, summarize count() by.
    ///
    /// For example: AmlComputeJobEvent | where TimeGenerated > ago(5d) and EventType == "JobFailed"
    Query {
        /// The query.
        #[arg(long, value_name = "KQL")]
        analytics_query: String,
        /// Only of this time, as ISO 8601 has it: `P1D`, or start and end with a slash between them.
        #[arg(short, long)]
        timespan: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const ROWS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Storage account", "/properties/storageAccountId"),
    ("Webhook", "/properties/webhook/url"),
    ("Syslog", "/properties/syslog/server"),
    ("OTLP", "/properties/otlp/url"),
    ("Logs", "/properties/logs"),
    ("Delivery", "/properties/delivery"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::DiagnosticSettings(command) => command.run().await,
            Self::Archive(command) => command.run().await,
            Self::Metrics(command) => command.run().await,
            Self::ActionGroup(command) => command.run().await,
            Self::Alert(command) => command.run().await,
            Self::LogAnalytics(LogAnalytics::Query { analytics_query, timespan, session }) => {
                query(analytics_query, timespan, &session).await
            }
        }
    }
}

impl Resource {
    async fn open(&self) -> Result<(Session, String), Failure> {
        let session = Session::open(&self.session).await?;
        let scope = self.resource.clone().map_or_else(|| session.subscription(), Ok)?;
        Ok((session, format!("{scope}/providers/Microsoft.Insights")))
    }
}

impl Named {
    async fn open(&self) -> Result<(Session, String), Failure> {
        let (session, place) = self.of.open().await?;
        Ok((session, format!("{place}/diagnosticSettings/{}", self.name)))
    }
}

impl Settings {
    async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => {
                let (session, place) = create.named.open().await?;
                let made = session.put(&place, &json!({"properties": create.properties()?})).await?;
                create.named.of.session.output.entry(&made, ROWS)
            }
            Self::List(of) => {
                let (session, place) = of.open().await?;
                let found = session.list(&format!("{place}/diagnosticSettings")).await?;
                of.session.output.entries(&found, ROWS)
            }
            Self::Show(named) => {
                let (session, place) = named.open().await?;
                let found: Value = session.get(&place).await?;
                named.of.session.output.entry(&found, ROWS)
            }
            Self::Delete(named) => {
                let (session, place) = named.open().await?;
                session.delete(&place).await?;
                let said = format!("diagnostic setting {} is gone", named.name);
                named.of.session.output.done(&said, &Value::Null)
            }
            Self::Categories(Categories::List(of)) => {
                let (session, place) = of.open().await?;
                let found = session.list(&format!("{place}/diagnosticSettingsCategories")).await?;
                of.session.output.entries(&found, &[("Category", "/name"), ("Groups", "/properties/categoryGroups")])
            }
        }
    }
}

impl Create {
    fn properties(&self) -> Result<Value, Failure> {
        let read = |file: &Option<PathBuf>| file.as_ref().map(|path| secret::read(path)).transpose();
        let text = |secret: Option<Secret<String>>| secret.map(|secret| secret.expose().clone());
        let one = |kind: &str, name: &String| json!({kind: name, "enabled": true});
        let mut logs: Vec<Value> = self.category.iter().map(|name| one("category", name)).collect();
        logs.extend(self.category_group.iter().map(|name| one("categoryGroup", name)));
        if logs.is_empty() {
            logs.push(json!({"categoryGroup": "allLogs", "enabled": true}));
        }
        let mut properties = Map::new();
        properties.insert(String::from("logs"), Value::Array(logs));
        if let Some(account) = &self.storage_account {
            properties.insert(String::from("storageAccountId"), json!(account));
        }
        if let Some(url) = &self.webhook {
            let mode = if self.webhook_single { "single" } else { "batch" };
            let key = text(read(&self.webhook_key_file)?);
            properties.insert(String::from("webhook"), json!({"url": url, "mode": mode, "key": key}));
        }
        if let Some(server) = &self.syslog {
            properties.insert(String::from("syslog"), json!({"server": server}));
        }
        if let Some(url) = &self.otlp {
            let token = text(read(&self.otlp_token_file)?);
            properties.insert(String::from("otlp"), json!({"url": url, "token": token}));
        }
        Ok(Value::Object(properties))
    }
}

impl Archive {
    async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List { storage_account, session } => {
                let open = Session::open(&session).await?;
                let found = open.list(&format!("{storage_account}/archives")).await?;
                let columns = [
                    ("Container", "/container"),
                    ("Name", "/name"),
                    ("Events", "/events"),
                    ("Bytes", "/contentLength"),
                    ("Changed", "/lastModified"),
                ];
                session.output.entries(&found, &columns)
            }
            Self::Show { storage_account, container, name, session } => {
                let open = Session::open(&session).await?;
                let mut after = String::from("0");
                loop {
                    let parameters = [("container", container.as_str()), ("blob", &name), ("after", &after)];
                    let call = open.call(Method::GET, &format!("{storage_account}/archives/content"));
                    let part = call.query(&parameters).send().await?.success().await?;
                    let next = part.header("x-ms-continuation").map(ToOwned::to_owned);
                    output::pour(&part.bytes(1 << 30).await?)?;
                    match next {
                        Some(next) => after = next,
                        None => return Ok(ExitCode::SUCCESS),
                    }
                }
            }
        }
    }
}

async fn query(text: String, timespan: Option<String>, session: &SessionOptions) -> Result<ExitCode, Failure> {
    let open = Session::open(session).await?;
    let place = format!("/v1{}/query", open.workspace()?);
    let answer = open.post(&place, &json!({"query": text, "timespan": timespan})).await?;
    let columns: Vec<String> = answer
        .pointer("/tables/0/columns")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|column| column.get("name")?.as_str().map(ToOwned::to_owned))
        .collect();
    let rows = answer.pointer("/tables/0/rows").and_then(Value::as_array).into_iter().flatten();
    let named = |row: &Value| {
        let cells = row.as_array().cloned().unwrap_or_default();
        Value::Object(columns.iter().cloned().zip(cells).collect())
    };
    let entries: Vec<Value> = rows.map(named).collect();
    if let Some(partial) = answer.pointer("/error/details/0/message").and_then(Value::as_str) {
        super::tell(partial);
    }
    let pointers: Vec<(String, String)> = columns.iter().map(|name| (name.clone(), format!("/{name}"))).collect();
    let shown: Vec<(&str, &str)> = pointers.iter().map(|(name, place)| (name.as_str(), place.as_str())).collect();
    session.output.entries(&entries, &shown)
}
