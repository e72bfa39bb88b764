//! Registered models as resources, and packaging them into images (`wire/azure.md` §3.3).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A model version in a PUT. Read-only fields that SDKs echo back are accepted and ignored.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionInput {
    /// `azureml://jobs/{job}/outputs/artifacts/paths/{path}` or `runs:/{run}/{path}`.
    #[serde(default)]
    pub model_uri: String,
    /// For people.
    pub description: Option<String>,
    /// Free labels.
    pub tags: Option<BTreeMap<String, String>>,
}

/// A model version as answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// `custom_model` or `mlflow_model`.
    pub model_type: String,
    /// Where its files came from.
    pub model_uri: String,
    /// For people.
    pub description: String,
    /// Never absent: SDKs fail without it.
    pub flavors: BTreeMap<String, Value>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// Free properties.
    pub properties: BTreeMap<String, String>,
    /// `None`, `Staging`, `Production` or `Archived`.
    pub stage: String,
    /// The run that made it.
    pub job_name: Option<String>,
    /// How many files it has.
    pub file_count: usize,
    /// Always false.
    pub is_anonymous: bool,
    /// Always false.
    pub is_archived: bool,
    /// `Succeeded`.
    pub provisioning_state: String,
}

/// A model with the numbers of its versions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// The newest version; none when all were deleted.
    pub latest_version: Option<String>,
    /// The number that the next version gets.
    pub next_version: String,
    /// For people.
    pub description: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// Free properties.
    pub properties: BTreeMap<String, String>,
    /// Always false.
    pub is_archived: bool,
    /// `Succeeded`.
    pub provisioning_state: String,
}

/// Body of `POST …/models/{name}/versions/{v}/package`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Package {
    /// The image's name.
    pub target_image_name: String,
    /// Resource id of the code asset that holds the entry script.
    #[serde(default)]
    pub code_id: Option<String>,
    /// Path of the entry script within it.
    #[serde(default)]
    pub entry_script: Option<String>,
    /// Text of a pip requirements file.
    #[serde(default)]
    pub requirements: Option<String>,
}
