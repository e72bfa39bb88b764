//! Logged models.

use serde::Serialize;

use super::{Double, Pair};

/// A logged model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoggedModel {
    /// What it is.
    pub info: LoggedModelInfo,
    /// What was measured of it.
    pub data: LoggedModelData,
}

/// What a logged model is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoggedModelInfo {
    /// `m-` and 32 hex digits.
    pub model_id: String,
    /// Its experiment.
    pub experiment_id: String,
    /// For people.
    pub name: String,
    /// Milliseconds since the epoch.
    pub creation_timestamp_ms: i64,
    /// Milliseconds since the epoch.
    pub last_updated_timestamp_ms: i64,
    /// Root of its files.
    pub artifact_uri: String,
    /// `LOGGED_MODEL_PENDING`, `LOGGED_MODEL_READY` or `LOGGED_MODEL_UPLOAD_FAILED`.
    pub status: String,
    /// Free word.
    pub model_type: String,
    /// The run that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_run_id: Option<String>,
    /// Free labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Pair>,
    /// Versions that were registered from it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub registrations: Vec<Registration>,
}

/// A registered version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Registration {
    /// The registered model.
    pub name: String,
    /// The version.
    pub version: String,
}

/// What was measured of a logged model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoggedModelData {
    /// Parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Pair>,
    /// Values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<LoggedModelMetric>,
}

/// A measured value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoggedModelMetric {
    /// Name.
    pub key: String,
    /// Value.
    pub value: Double,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Step.
    pub step: i64,
    /// The model.
    pub model_id: String,
    /// The run that measured it.
    pub run_id: String,
    /// On which data set.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub dataset_name: String,
    /// That data set's digest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub dataset_digest: String,
}

/// Answers about one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoggedModelReply {
    /// The model.
    pub model: LoggedModel,
}

/// `logged-models/search`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoggedModels {
    /// A page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<LoggedModel>,
    /// For the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}
