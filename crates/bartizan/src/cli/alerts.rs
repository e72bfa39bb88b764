//! Action groups, and alerts that were raised.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use outbound::Method;
use serde_json::{Value, json};

use super::{Session, SessionOptions, secret};
use crate::failure::Failure;

/// Commands on action groups.
#[derive(Subcommand)]
pub enum ActionGroup {
    /// Create one with a webhook, or replace it.
    Create(Box<Create>),
    /// List those of the resource group.
    List(#[command(flatten)] SessionOptions),
    /// Delete one. Rules that name it tell nobody there any more.
    Delete(Named),
}

/// An action group.
#[derive(Args)]
pub struct Named {
    /// Its name.
    #[arg(short, long)]
    name: String,
    #[command(flatten)]
    session: SessionOptions,
}

/// What an action group shall be.
#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    named: Named,
    /// For short messages: 1 to 12 characters. Default: the beginning of the name.
    #[arg(long)]
    short_name: Option<String>,
    /// `webhook NAME URL`; can be given several times. The server must be allowed to reach it: `serve --outbound-host`.
    #[arg(short, long, num_args = 3, action = clap::ArgAction::Append, required = true, value_names = ["KIND", "NAME", "URL"])]
    action: Vec<String>,
    /// File with the key that signs notifications, `-` for the standard input.
    #[arg(long, value_name = "FILE")]
    webhook_key_file: Option<PathBuf>,
}

/// Commands on alerts.
#[derive(Subcommand)]
pub enum Alert {
    /// List the alerts of the subscription at workspaces that you may read, newest first.
    List {
        /// Raised within: 1h, 1d, 7d, 30d.
        #[arg(long, default_value = "1d")]
        time_range: String,
        /// Only those that stand (Fired), or that are over (Resolved).
        #[arg(long)]
        monitor_condition: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const GROUPS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Enabled", "/properties/enabled"),
    ("Webhooks", "/properties/webhookReceivers"),
    ("Id", "/id"),
];
const ALERTS: &[(&str, &str)] = &[
    ("Rule", "/properties/essentials/alertRule"),
    ("Severity", "/properties/essentials/severity"),
    ("Condition", "/properties/essentials/monitorCondition"),
    ("Fired", "/properties/essentials/startDateTime"),
    ("Resolved", "/properties/essentials/monitorConditionResolvedDateTime"),
    ("At", "/properties/essentials/targetResourceName"),
];

fn collection(session: &Session) -> Result<String, Failure> {
    Ok(format!("{}/providers/Microsoft.Insights/actionGroups", session.group()?))
}

impl ActionGroup {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => {
                let (session, place) = create.named.open().await?;
                let body = json!({"location": "global", "properties": create.properties()?});
                create.named.session.output.entry(&session.put(&place, &body).await?, GROUPS)
            }
            Self::List(options) => {
                let session = Session::open(&options).await?;
                options.output.entries(&session.list(&collection(&session)?).await?, GROUPS)
            }
            Self::Delete(named) => {
                let (session, place) = named.open().await?;
                session.delete(&place).await?;
                named.session.output.done(&format!("action group {} is gone", named.name), &Value::Null)
            }
        }
    }
}

impl Named {
    async fn open(&self) -> Result<(Session, String), Failure> {
        let session = Session::open(&self.session).await?;
        let place = format!("{}/{}", collection(&session)?, self.name);
        Ok((session, place))
    }
}

impl Create {
    fn properties(&self) -> Result<Value, Failure> {
        let key = self.webhook_key_file.as_ref().map(|path| secret::read(path)).transpose()?;
        let mut webhooks = Vec::new();
        for words in self.action.chunks(3) {
            let [kind, name, url] = words else { continue };
            if !kind.eq_ignore_ascii_case("webhook") {
                return Err(Failure::usage(format!("`{kind}` is not supported: --action webhook NAME URL")));
            }
            let key = key.as_ref().map(|key| key.expose().clone());
            webhooks.push(json!({"name": name, "serviceUri": url, "useCommonAlertSchema": true, "key": key}));
        }
        let short = self.short_name.clone().unwrap_or_else(|| self.named.name.chars().take(12).collect());
        Ok(json!({"groupShortName": short, "enabled": true, "webhookReceivers": webhooks}))
    }
}

impl Alert {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let Self::List { time_range, monitor_condition, session } = self;
        let open = Session::open(&session).await?;
        let place = format!("{}/providers/Microsoft.AlertsManagement/alerts", open.subscription()?);
        let mut query = vec![("timeRange", time_range.as_str())];
        query.extend(monitor_condition.as_deref().map(|condition| ("monitorCondition", condition)));
        let answer: Value = open.call(Method::GET, &place).query(&query).send_for_json().await?;
        let found = answer.get("value").and_then(Value::as_array).cloned().unwrap_or_default();
        session.output.entries(&found, ALERTS)
    }
}
