//! Alert rules (`Microsoft.Insights/metricAlerts`, api 2018-03-01) and action groups (`Microsoft.Insights/actionGroups`, api
//! 2023-01-01), as far as they are offered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of a rule's PUT or PATCH.
#[derive(Debug, Serialize, Deserialize)]
pub struct PutRule {
    /// Where; any word will do.
    #[serde(default)]
    pub location: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, String>>,
    /// What it shall be.
    #[serde(default)]
    pub properties: Rule,
}

/// What a rule shall be.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// 0 to 4.
    #[serde(default)]
    pub severity: Option<u8>,
    /// Whether it is evaluated.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Ids of workspaces.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// `PT5M`.
    #[serde(default)]
    pub evaluation_frequency: Option<String>,
    /// `PT5M`.
    #[serde(default)]
    pub window_size: Option<String>,
    /// What must hold.
    #[serde(default)]
    pub criteria: Option<Criteria>,
    /// Whether alerts are resolved by themselves.
    #[serde(default)]
    pub auto_mitigate: Option<bool>,
    /// Who is told.
    #[serde(default)]
    pub actions: Option<Vec<Action>>,
    /// The type of the scopes, with several of them.
    #[serde(default)]
    pub target_resource_type: Option<String>,
    /// Their region; any word will do.
    #[serde(default)]
    pub target_resource_region: Option<String>,
    /// Only read.
    #[serde(default)]
    pub last_updated_time: Option<Value>,
    /// Only read.
    #[serde(default)]
    pub is_migrated: Option<Value>,
    /// Only read.
    #[serde(default)]
    pub evaluation: Option<Value>,
}

/// What must hold.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Criteria {
    /// `Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria`, or with `MultipleResource`.
    #[serde(rename = "odata.type")]
    pub kind: String,
    /// All of these.
    #[serde(default)]
    pub all_of: Vec<Criterion>,
    /// Of web tests: refused.
    #[serde(default)]
    pub web_test_id: Option<String>,
    /// Of web tests: refused.
    #[serde(default)]
    pub component_id: Option<String>,
    /// Of web tests: refused.
    #[serde(default)]
    pub failed_location_count: Option<Value>,
}

/// One condition.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Criterion {
    /// `StaticThresholdCriterion`.
    #[serde(default)]
    pub criterion_type: Option<String>,
    /// Its name within the rule.
    pub name: String,
    /// Of what.
    pub metric_name: String,
    /// `Microsoft.MachineLearningServices/workspaces`.
    #[serde(default)]
    pub metric_namespace: Option<String>,
    /// `GreaterThan` and others.
    pub operator: String,
    /// With what it is compared.
    #[serde(default)]
    pub threshold: Option<f64>,
    /// `Total` and others.
    pub time_aggregation: String,
    /// Only what has these.
    #[serde(default)]
    pub dimensions: Option<Vec<Dimension>>,
    /// Whether the metric may be unknown: it may not.
    #[serde(default)]
    pub skip_metric_validation: Option<bool>,
    /// Of dynamic thresholds: refused.
    #[serde(default)]
    pub alert_sensitivity: Option<Value>,
    /// Of dynamic thresholds: refused.
    #[serde(default)]
    pub failing_periods: Option<Value>,
    /// Of dynamic thresholds: refused.
    #[serde(default)]
    pub ignore_data_before: Option<Value>,
}

/// Only what has one of these values.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dimension {
    /// The dimension.
    pub name: String,
    /// `Include`.
    pub operator: String,
    /// The values.
    pub values: Vec<String>,
}

/// Who is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Action {
    /// An action group's id.
    pub action_group_id: String,
    /// Words for the webhook: refused.
    #[serde(default)]
    pub web_hook_properties: Option<BTreeMap<String, String>>,
}

/// The body of an action group's PUT.
#[derive(Debug, Serialize, Deserialize)]
pub struct PutGroup {
    /// Where; any word will do.
    #[serde(default)]
    pub location: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, String>>,
    /// What it shall be.
    pub properties: Group,
}

/// What an action group shall be.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// For short messages.
    pub group_short_name: String,
    /// Whether it tells anybody. Default: yes.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Whom it tells.
    #[serde(default)]
    pub webhook_receivers: Option<Vec<WebhookReceiver>>,
    /// Everything else: other receivers are refused by name.
    #[serde(flatten)]
    pub others: BTreeMap<String, Value>,
}

/// A webhook.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookReceiver {
    /// Its name within the group.
    pub name: String,
    /// Its address.
    pub service_uri: String,
    /// The common alert schema is the one there is.
    #[serde(default)]
    pub use_common_alert_schema: Option<bool>,
    /// Tokens of Entra: refused.
    #[serde(default)]
    pub use_aad_auth: Option<bool>,
    /// Of such tokens.
    #[serde(default)]
    pub object_id: Option<String>,
    /// Of such tokens.
    #[serde(default)]
    pub identifier_uri: Option<String>,
    /// Of such tokens.
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// What signs notifications, as Standard Webhooks has it; never shown.
    #[serde(default)]
    pub key: Option<String>,
    /// Only read.
    #[serde(default)]
    pub is_signed: Option<Value>,
}
