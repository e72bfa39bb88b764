//! The registry.

use serde::Serialize;

use super::Pair;

/// A registered model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegisteredModel {
    /// Unique name.
    pub name: String,
    /// Milliseconds since the epoch.
    pub creation_timestamp: i64,
    /// Milliseconds since the epoch.
    pub last_updated_timestamp: i64,
    /// Whoever the server established as its maker.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_id: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The newest of each stage.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub latest_versions: Vec<ModelVersion>,
    /// Free labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Pair>,
    /// Names that point to versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Alias>,
}

/// A name that points to a version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alias {
    /// The name.
    pub alias: String,
    /// The version.
    pub version: String,
}

/// A version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelVersion {
    /// The model's name.
    pub name: String,
    /// A decimal number as text.
    pub version: String,
    /// Milliseconds since the epoch.
    pub creation_timestamp: i64,
    /// Milliseconds since the epoch.
    pub last_updated_timestamp: i64,
    /// Whoever the server established as its maker.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_id: String,
    /// `None`, `Staging`, `Production` or `Archived`.
    pub current_stage: String,
    /// For people.
    pub description: String,
    /// Where it came from.
    pub source: String,
    /// The run that made it.
    pub run_id: String,
    /// Always `READY`.
    pub status: String,
    /// Free labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Pair>,
    /// A link for people.
    pub run_link: String,
    /// Names that point to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The logged model it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
}

/// Answers about one registered model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegisteredModelReply {
    /// The model.
    pub registered_model: RegisteredModel,
}

/// `registered-models/search`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegisteredModels {
    /// A page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub registered_models: Vec<RegisteredModel>,
    /// For the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Answers about one version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelVersionReply {
    /// The version.
    pub model_version: ModelVersion,
}

/// `model-versions/search`, `registered-models/get-latest-versions`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelVersions {
    /// A page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model_versions: Vec<ModelVersion>,
    /// For the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// `model-versions/get-download-uri`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArtifactUri {
    /// Root of the version's files.
    pub artifact_uri: String,
}
