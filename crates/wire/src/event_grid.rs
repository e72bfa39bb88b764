//! Event subscriptions (`Microsoft.EventGrid/eventSubscriptions`, api 2022-06-15), as far as they are offered.

use serde::{Deserialize, Serialize};

/// The body of a PUT.
#[derive(Debug, Serialize, Deserialize)]
pub struct Put {
    /// What it shall be.
    pub properties: Input,
}

/// What a subscription shall be.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    /// Where events go.
    pub destination: Destination,
    /// Which events. Default: all.
    #[serde(default)]
    pub filter: Option<Filter>,
    /// `EventGridSchema` (default) or `CloudEventSchemaV1_0`.
    #[serde(default)]
    pub event_delivery_schema: Option<String>,
}

/// Where events go.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Destination {
    /// `WebHook`.
    pub endpoint_type: String,
    /// The webhook.
    pub properties: WebHook,
}

/// A webhook.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebHook {
    /// Its address.
    pub endpoint_url: String,
}

/// Which events.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// These types.
    #[serde(default)]
    pub included_event_types: Option<Vec<String>>,
    /// The subject begins so.
    #[serde(default)]
    pub subject_begins_with: Option<String>,
    /// And ends so.
    #[serde(default)]
    pub subject_ends_with: Option<String>,
    /// Whether case counts in subjects.
    #[serde(default)]
    pub is_subject_case_sensitive: Option<bool>,
    /// Conditions on fields.
    #[serde(default)]
    pub advanced_filters: Option<Vec<AdvancedFilter>>,
}

/// A condition on a field.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdvancedFilter {
    /// `StringIn`, `StringNotIn`, `StringBeginsWith`, `StringEndsWith` or `StringContains`.
    pub operator_type: String,
    /// `subject`, `eventType`, or `data.` and a name.
    pub key: String,
    /// The values.
    pub values: Vec<String>,
}
