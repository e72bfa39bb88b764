//! From where a workspace may be reached.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use outbound::Method;
use serde_json::{Value, json};

use super::{Session, SessionOptions, session::json_or_null, tell};
use crate::failure::Failure;

/// Changes what is given of a workspace, and leaves the rest.
///
/// Network rules bind everything within the workspace: tracking, jobs, models, services. Its own settings, its access and
/// its activity log stay reachable, so that a rule can always be changed. Jobs on the server's own machine keep working.
#[derive(Args)]
pub struct Update {
    /// Its name.
    name: String,
    /// Name for people.
    #[arg(long)]
    friendly_name: Option<String>,
    /// What it is for.
    #[arg(long)]
    description: Option<String>,
    /// The edition: `enterprise`. Owners alone upgrade, and there is no way back.
    #[arg(long)]
    sku: Option<String>,
    /// Days for which it can be recovered after its deletion: 1 to 14.
    #[arg(long)]
    retention_days: Option<u8>,
    /// What becomes of jobs and deployments whose variables or command line look as if they held a secret: `warn`, or
    /// `refuse`. `secret://NAME` in a variable names one of the workspace's key vault instead.
    #[arg(long, value_enum, ignore_case = true)]
    secret_detection: Option<Detection>,
    /// Whether diagnostics of it may be collected, where the operator collects any: `true` or `false`. Never with high business
    /// impact.
    #[arg(long, value_name = "BOOL")]
    send_diagnostics: Option<bool>,
    /// What becomes of code in whose files something looks like a secret, or like personal data: `off`, `warn`, or `refuse`.
    #[arg(long, value_enum, ignore_case = true)]
    content_scan: Option<Scan>,
    /// What becomes of model versions whose files run code when somebody loads them, such as pickles that call the system: `allow`
    /// (they are not looked at), `warn` (they get tags), or `refuse`.
    #[arg(long, value_enum, ignore_case = true)]
    model_scan: Option<Models>,
    /// Whether others than approved private endpoints may reach it at all.
    #[arg(long, value_enum, ignore_case = true)]
    public_network_access: Option<Access>,
    /// The only address or range that may reach it, such as `203.0.113.0/24`; may be given several times, and replaces the
    /// present list. It counts while public access is enabled.
    #[arg(long, value_name = "NET", conflicts_with = "ip_allow_all")]
    ip_allow: Vec<String>,
    /// Empty the list: any address may reach it.
    #[arg(long)]
    ip_allow_all: bool,
    #[command(flatten)]
    session: SessionOptions,
}

/// Whether public addresses may reach a workspace.
#[derive(Clone, Copy, ValueEnum)]
pub enum Access {
    /// Any address, or those of the list when there is one.
    Enabled,
    /// Approved private endpoints only.
    Disabled,
}

/// What becomes of code that holds what it should not.
#[derive(Clone, Copy, ValueEnum)]
pub enum Scan {
    /// It is not looked at.
    Off,
    /// It is taken, with a warning that names file and line.
    Warn,
    /// It is refused.
    Refuse,
}

/// What becomes of models that run code when they are loaded.
#[derive(Clone, Copy, ValueEnum)]
pub enum Models {
    /// They are not looked at.
    Allow,
    /// They are taken, and get tags that say what was found.
    Warn,
    /// What names something dangerous is refused.
    Refuse,
}

/// What becomes of secrets that are written out.
#[derive(Clone, Copy, ValueEnum)]
pub enum Detection {
    /// A warning.
    Warn,
    /// A refusal.
    Refuse,
}

/// Commands on the addresses that may reach a workspace.
#[derive(Subcommand)]
pub enum Command {
    /// Let an address or range in. The first one shuts all others out.
    Add {
        /// Such as `203.0.113.7` or `2001:db8::/32`.
        #[arg(value_name = "NET")]
        network: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List who is let in.
    List(#[command(flatten)] SessionOptions),
    /// Take one back. Refused for the last one: an empty list lets everybody in; say that with `workspace update --ip-allow-all`.
    Remove {
        /// As `list` shows it.
        #[arg(value_name = "NET")]
        network: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const ROWS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Public network access", "/properties/publicNetworkAccess"),
    ("IP allow-list", "/properties/ipAllowlist"),
    ("Secret detection", "/properties/secretDetection"),
    ("Content scan", "/properties/contentScan"),
    ("Model scan", "/properties/modelScan"),
    ("Description", "/properties/description"),
];
const COLUMNS: &[(&str, &str)] = &[("Network", "/value"), ("Action", "/action")];

impl Update {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let open = Session::open(&self.session).await?;
        let place = format!("{}/{}", open.workspaces()?, self.name);
        let access = self.public_network_access.map(|access| match access {
            Access::Enabled => "Enabled",
            Access::Disabled => "Disabled",
        });
        let detection = self.secret_detection.map(|detection| match detection {
            Detection::Warn => "Warn",
            Detection::Refuse => "Refuse",
        });
        let scan = self.content_scan.map(|scan| match scan {
            Scan::Off => "Off",
            Scan::Warn => "Warn",
            Scan::Refuse => "Refuse",
        });
        let models = self.model_scan.map(|models| match models {
            Models::Allow => "Allow",
            Models::Warn => "Warn",
            Models::Refuse => "Refuse",
        });
        let list = (self.ip_allow_all || !self.ip_allow.is_empty()).then_some(self.ip_allow);
        let given = [
            ("friendlyName", json!(self.friendly_name)),
            ("description", json!(self.description)),
            ("softDeleteRetentionInDays", json!(self.retention_days)),
            ("secretDetection", json!(detection)),
            ("sendDiagnostics", json!(self.send_diagnostics)),
            ("contentScan", json!(scan)),
            ("modelScan", json!(models)),
            ("publicNetworkAccess", json!(access)),
            ("ipAllowlist", json!(list)),
        ];
        let properties: serde_json::Map<String, Value> = given
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let sku = self.sku.map(|name| json!({"name": name}));
        let changed = patch(&open, &place, &json!({"sku": sku, "properties": properties}), None).await?;
        if waits(&changed) {
            tell("public network access is disabled, so the IP allow-list has no effect until it is enabled");
        }
        self.session.output.entry(&changed, ROWS)
    }
}

/// Whether there is a list that does not count just now.
fn waits(workspace: &Value) -> bool {
    let is_disabled = workspace.pointer("/properties/publicNetworkAccess") == Some(&json!("Disabled"));
    is_disabled && !listed(workspace).is_empty()
}

fn listed(workspace: &Value) -> Vec<String> {
    let list = workspace.pointer("/properties/ipAllowlist").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

async fn patch(open: &Session, place: &str, body: &Value, etag: Option<&str>) -> Result<Value, Failure> {
    let mut call = open.call(Method::PATCH, place).json(body);
    if let Some(etag) = etag {
        call = call.header("if-match", etag);
    }
    json_or_null(call.send().await?.success().await?).await
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Add { network, session } => {
                let change = |mut list: Vec<String>| {
                    list.push(network);
                    Ok(list)
                };
                change_list(&session, change).await
            }
            Self::Remove { network, session } => {
                let change = |mut list: Vec<String>| {
                    let before = list.len();
                    list.retain(|known| *known != network && known.split('/').next() != Some(network.as_str()));
                    if list.len() == before {
                        return Err(Failure::usage(format!("{network} is not in the list")));
                    }
                    if list.is_empty() {
                        let why = "this is the last one, and an empty list lets everybody in; if that is meant, say \
                                   `bartizan workspace update NAME --ip-allow-all`";
                        return Err(Failure::usage(why));
                    }
                    Ok(list)
                };
                change_list(&session, change).await
            }
            Self::List(session) => {
                let open = Session::open(&session).await?;
                let found: Value = open.get(&open.workspace()?).await?;
                show(&session, &found)
            }
        }
    }
}

/// Reads the list, changes it, and writes it back unless somebody else wrote meanwhile.
async fn change_list(
    session: &SessionOptions,
    change: impl FnOnce(Vec<String>) -> Result<Vec<String>, Failure>,
) -> Result<ExitCode, Failure> {
    let open = Session::open(session).await?;
    let place = open.workspace()?;
    let found: Value = open.get(&place).await?;
    let list = change(listed(&found))?;
    let etag = found.get("etag").and_then(Value::as_str);
    let changed = patch(&open, &place, &json!({"properties": {"ipAllowlist": list}}), etag).await?;
    if waits(&changed) {
        tell("public network access is disabled, so the list has no effect until it is enabled");
    }
    show(session, &changed)
}

fn show(session: &SessionOptions, workspace: &Value) -> Result<ExitCode, Failure> {
    let rules: Vec<Value> =
        listed(workspace).into_iter().map(|network| json!({"value": network, "action": "Allow"})).collect();
    session.output.entries(&rules, COLUMNS)
}
