//! Action groups, and alerts that were raised.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use outbound::Method;
use serde_json::{Value, json};

use super::{
    Session, SessionOptions,
    named::{self, Named},
    secret,
};
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
                let body = |_: &Session| Ok(json!({"location": "global", "properties": create.properties()?}));
                create.named.put(collection, body, GROUPS).await
            }
            Self::List(options) => named::list(options, collection, GROUPS).await,
            Self::Delete(named) => named.delete(collection, "action group").await,
        }
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
