//! Online endpoints and their deployments (`wire/azure.md` §3.4), with the fields of the article's services.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An endpoint or deployment in a PUT or PATCH, whose properties may be absent. Read-only fields that SDKs echo back are
/// accepted and ignored.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(bound(deserialize = "P: Default + serde::Deserialize<'de>"))]
pub struct Put<P> {
    /// Where.
    #[serde(default)]
    pub location: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, String>>,
    /// The rest.
    #[serde(default)]
    pub properties: P,
}

/// Properties of an endpoint that callers may set.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointInput {
    /// `Key`, `AMLToken` or `None`.
    pub auth_mode: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Keys that the caller chose.
    pub keys: Option<Keys>,
    /// Percent by deployment.
    pub traffic: Option<BTreeMap<String, u8>>,
    /// Percent of some deployments; the default gets the rest. The article's form, ours on this API.
    pub traffic_percentile: Option<BTreeMap<String, u8>>,
    /// The deployment that gets what is not assigned. Our own.
    pub default_deployment: Option<String>,
    /// Whether named keys are valid beside `authMode`. Our own.
    pub named_keys_enabled: Option<bool>,
    /// Not offered; refused unless empty.
    pub mirror_traffic: Option<BTreeMap<String, u8>>,
    /// Free properties.
    pub properties: Option<BTreeMap<String, String>>,
}

/// Both keys of a service. They show in no debug print.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Keys {
    /// The first.
    pub primary_key: String,
    /// The second.
    pub secondary_key: String,
}

/// Properties of an endpoint as answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// `Key`, `AMLToken` or `None`; absent until someone or a deployment decides.
    pub auth_mode: Option<String>,
    /// For people.
    pub description: String,
    /// Where to score.
    pub scoring_uri: String,
    /// Its Swagger document.
    pub swagger_uri: String,
    /// Percent by deployment.
    pub traffic: BTreeMap<String, u8>,
    /// Always empty.
    pub mirror_traffic: BTreeMap<String, u8>,
    /// The deployment that gets what is not assigned. Our own.
    pub default_deployment: Option<String>,
    /// Whether named keys are valid beside `authMode`. Our own.
    #[serde(default)]
    pub named_keys_enabled: bool,
    /// Free properties.
    pub properties: BTreeMap<String, String>,
    /// `SingleContainer` or `Cluster`, once it has a deployment.
    pub compute_type: Option<String>,
    /// `Succeeded`.
    pub provisioning_state: String,
    /// `Enabled`.
    pub public_network_access: String,
}

/// Properties of a deployment that callers may set.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentInput {
    /// `SingleContainer`, `Cluster`, or Azure's `Managed` and `Kubernetes`.
    pub endpoint_compute_type: Option<String>,
    /// `name`, `name:number`, `name@sha256:…` or an image's resource id.
    pub image: Option<String>,
    /// Resource id of a model version.
    pub model: Option<String>,
    /// Code around the model, for an image that is to be built.
    pub code_configuration: Option<CodeConfiguration>,
    /// Not offered; refused unless an image is named.
    pub environment_id: Option<String>,
    /// A key of its own for the disk of a single container; refused, since it has none here.
    pub encryption_properties: Option<serde_json::Value>,
    /// The same, as the first SDK calls it.
    #[serde(alias = "cmk_vault_base_url")]
    pub cmk_vault_base_url: Option<String>,
    /// Likewise.
    #[serde(alias = "cmk_key_name")]
    pub cmk_key_name: Option<String>,
    /// Likewise.
    #[serde(alias = "cmk_key_version")]
    pub cmk_key_version: Option<String>,
    /// Environment variables of the entry script.
    pub environment_variables: Option<BTreeMap<String, String>>,
    /// Whether keys are asked for.
    pub auth_enabled: Option<bool>,
    /// Whether tokens are asked for.
    pub token_auth_enabled: Option<bool>,
    /// Keys that the caller chose.
    pub keys: Option<Keys>,
    /// For people.
    pub description: Option<String>,
    /// Processor cores.
    pub cpu: Option<f64>,
    /// Memory, in GB.
    #[serde(rename = "memoryInGB")]
    pub memory_in_gb: Option<f64>,
    /// Enforced memory, in GB.
    #[serde(rename = "memoryInGBLimit")]
    pub memory_in_gb_limit: Option<f64>,
    /// Bounds of its calls.
    pub request_settings: Option<RequestSettings>,
    /// Whether telemetry is asked for.
    pub app_insights_enabled: Option<bool>,
    /// A machine size.
    pub instance_type: Option<String>,
    /// Free properties.
    pub properties: Option<BTreeMap<String, String>>,
}

/// The code around a model.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CodeConfiguration {
    /// Resource id of the code asset.
    #[serde(default)]
    pub code_id: Option<String>,
    /// Path of the entry script within it.
    pub scoring_script: String,
}

/// Bounds of calls; times as ISO 8601 durations (`PT0.5S`).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestSettings {
    /// Calls that a replica works on at once.
    pub max_concurrent_requests_per_instance: Option<u32>,
    /// How long a call waits for its turn.
    pub max_queue_wait: Option<String>,
    /// How long a call may take.
    pub request_timeout: Option<String>,
}

/// Properties of a deployment as answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// As it was asked for: `SingleContainer`, `Cluster`, `Managed` or `Kubernetes`.
    pub endpoint_compute_type: String,
    /// `SingleContainer` or `Cluster`.
    pub compute_type: String,
    /// `name@sha256:…`.
    pub image: String,
    /// Resource id of the model version.
    pub model: String,
    /// Digest of the layer that holds the model's files.
    pub model_digest: String,
    /// `Transitioning`, `Unhealthy`, `Unschedulable`, `Failed` or `Healthy`.
    pub state: String,
    /// Why it is not well.
    pub reason: Option<String>,
    /// `Creating`, `Updating`, `Succeeded` or `Failed`.
    pub provisioning_state: String,
    /// For people.
    pub description: String,
    /// Environment variables of the entry script.
    pub environment_variables: BTreeMap<String, String>,
    /// Processor cores asked for.
    pub cpu: f64,
    /// Memory asked for, in GB.
    #[serde(rename = "memoryInGB")]
    pub memory_in_gb: f64,
    /// Enforced memory, in GB.
    #[serde(rename = "memoryInGBLimit")]
    pub memory_in_gb_limit: f64,
    /// Bounds of its calls.
    pub request_settings: RequestSettings,
    /// Whether telemetry was asked for.
    pub app_insights_enabled: bool,
    /// A machine size.
    pub instance_type: Option<String>,
    /// Always `{"scaleType": "Default"}`: SDKs fail without it.
    pub scale_settings: BTreeMap<String, Value>,
    /// Free properties.
    pub properties: BTreeMap<String, String>,
    /// What somebody should look at. Our own.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Body of `POST …/regenerateKeys`.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegenerateKeys {
    /// `Primary` or `Secondary`.
    pub key_type: String,
    /// The new key, if the caller chooses it; some clients send the old one.
    #[serde(default)]
    pub key_value: Option<String>,
}

/// Body of `PUT …/namedKeys/{name}`. Our own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NamedKeyInput {
    /// RFC 3339; never when absent.
    pub expires_on: Option<String>,
    /// The deployments that it may call; all when absent or empty.
    pub deployments: Vec<String>,
    /// Any number when absent.
    pub calls_per_minute: Option<u32>,
}

/// A named key as listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedKey {
    /// Its name.
    pub name: String,
    /// RFC 3339.
    pub created_on: String,
    /// RFC 3339; absent when it does not expire.
    pub expires_on: Option<String>,
    /// The deployments that it may call; all when it is empty.
    pub deployments: Vec<String>,
    /// Absent when it is not bounded.
    pub calls_per_minute: Option<u32>,
}

/// A named key that was just made, with what its holder shows. It shows in no debug print.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewNamedKey {
    /// What it is.
    #[serde(flatten)]
    pub described: NamedKey,
    /// Shown here and never again.
    pub key: String,
}

/// A service token, in the words of the present API and of the article's.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// The token.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: String,
    /// Epoch seconds.
    pub expiry_time_utc: i64,
    /// Epoch seconds.
    pub refresh_after_time_utc: i64,
    /// Epoch seconds.
    pub expiry_on: i64,
    /// Epoch seconds.
    pub refresh_after: i64,
}

/// Body of `POST …/getLogs`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetLogs {
    /// How many lines.
    #[serde(default)]
    pub tail: Option<usize>,
}

/// Answer to `POST …/getLogs`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Logs {
    /// The lines.
    pub content: String,
}

/// One scoring call, with the names of the article's fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    /// RFC 3339.
    pub time_generated: String,
    /// The method.
    #[serde(rename = "HTTPMethod")]
    pub http_method: String,
    /// At most 70 characters.
    pub user_agent: String,
    /// `SingleContainer` or `Cluster`.
    pub compute_type: String,
    /// The path.
    pub request_url: String,
    /// The status; 499 when the client went away.
    pub status_code: u16,
    /// What the answer's `x-ms-request-id` says.
    pub request_id: String,
    /// In milliseconds.
    pub duration: f64,
    /// `key primary`, `key secondary`, `key {name of a named key}`, `principal {object id}` or `anonymous`.
    pub caller: String,
    /// The deployment that was to answer.
    pub deployment: String,
    /// `name:version`.
    pub model: String,
    /// Digest of the layer that holds the model's files.
    pub model_digest: String,
}
