//! Diagnostic settings (`Microsoft.Insights/diagnosticSettings`, api 2021-05-01-preview), with the sinks of ours beside Azure's.

use serde::{Deserialize, Serialize};

/// The body of a PUT. What a client sends back of an earlier answer (`id`, `name`, `type`) is not looked at.
#[derive(Debug, Serialize, Deserialize)]
pub struct Put {
    /// What it shall be.
    pub properties: Input,
}

/// What a setting shall be.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    /// A storage account whose archive gets the events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_account_id: Option<String>,
    /// Azure's; not offered.
    #[serde(default, skip_serializing)]
    pub service_bus_rule_id: Option<String>,
    /// Azure's; not offered.
    #[serde(default, skip_serializing)]
    pub event_hub_authorization_rule_id: Option<String>,
    /// Azure's; not offered.
    #[serde(default, skip_serializing)]
    pub event_hub_name: Option<String>,
    /// Azure's; not offered.
    #[serde(default, skip_serializing)]
    pub workspace_id: Option<String>,
    /// Azure's; not offered.
    #[serde(default, skip_serializing)]
    pub marketplace_partner_id: Option<String>,
    /// Azure's; without meaning here.
    #[serde(default, skip_serializing)]
    pub log_analytics_destination_type: Option<String>,
    /// CloudEvents by HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Messages of RFC 5424.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syslog: Option<Syslog>,
    /// OTLP/HTTP with JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Otlp>,
    /// Which events.
    #[serde(default)]
    pub logs: Option<Vec<Log>>,
    /// Which metrics; none can be switched on yet.
    #[serde(default)]
    pub metrics: Option<Vec<Log>>,
    /// What an answer said of the sinks; not looked at.
    #[serde(default, skip_serializing)]
    pub delivery: Option<serde::de::IgnoredAny>,
}

/// A category or a group of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Log {
    /// The category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Or the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_group: Option<String>,
    /// Whether its events are sent.
    pub enabled: bool,
    /// Azure's, and obsolete there; must be off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_policy: Option<Retention>,
    /// Of metrics: how fine.
    #[serde(default, skip_serializing)]
    pub time_grain: Option<String>,
}

/// How long a destination keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retention {
    /// Whether there is an end.
    pub enabled: bool,
    /// Days.
    pub days: u32,
}

/// A webhook.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Where.
    pub url: String,
    /// What signs the events; given, and never shown.
    #[serde(default, skip_serializing)]
    pub key: Option<String>,
    /// `batch` (default) or `single`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// In answers: whether there is a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_key: Option<bool>,
}

/// A syslog server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Syslog {
    /// `tls://host:port`.
    pub server: String,
}

/// An OpenTelemetry collector.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Otlp {
    /// Its address for logs.
    pub url: String,
    /// The bearer token it asks for; given, and never shown.
    #[serde(default, skip_serializing)]
    pub token: Option<String>,
    /// In answers: whether there is a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_token: Option<bool>,
}

/// How long the activity log is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kept {
    /// Days; `null` for ever.
    pub days: Option<u32>,
}

/// What an operator says of diagnostics that may leave the installation. It is said whole.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Collection {
    /// Whether anything is collected.
    pub enabled: bool,
    /// Where it is sent; it stays in the outbox without.
    #[serde(default)]
    pub destination: Option<String>,
    /// For how many hours entries are held back; 24 when nobody says.
    #[serde(default)]
    pub hold_hours: Option<u32>,
}
