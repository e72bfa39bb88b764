//! Data assets in Azure's form: what `data_containers` and `data_versions` of `azure-mgmt-machinelearningservices` send and read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A container in a PUT. Read-only fields that SDKs echo back are accepted and ignored.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerInput {
    /// `uri_file`, `uri_folder` or `mltable`.
    #[serde(default)]
    pub data_type: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, String>>,
    /// Free properties.
    #[serde(default)]
    pub properties: Option<BTreeMap<String, String>>,
    /// Whether lists leave it out.
    #[serde(default)]
    pub is_archived: Option<bool>,
}

/// A version in a PUT. Read-only fields that SDKs echo back are accepted and ignored.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionInput {
    /// `uri_file`, `uri_folder` or `mltable`.
    #[serde(default)]
    pub data_type: String,
    /// Where it lies: `azureml://datastores/{name}/paths/{path}` or `azureml://jobs/{job}/outputs/artifacts/paths/{path}`.
    #[serde(default)]
    pub data_uri: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, String>>,
    /// Free properties.
    #[serde(default)]
    pub properties: Option<BTreeMap<String, String>>,
    /// Whether nobody named it.
    #[serde(default)]
    pub is_anonymous: Option<bool>,
    /// Whether lists leave it out.
    #[serde(default)]
    pub is_archived: Option<bool>,
}

/// A container as answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// As above.
    pub data_type: String,
    /// The newest version that is not archived.
    pub latest_version: Option<String>,
    /// The number that the next version can be called.
    pub next_version: String,
    /// For people.
    pub description: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// Free properties.
    pub properties: BTreeMap<String, String>,
    /// Whether lists leave it out.
    pub is_archived: bool,
}

/// A version as answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// As above.
    pub data_type: String,
    /// Where it lies, as it was registered.
    pub data_uri: String,
    /// For people.
    pub description: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// Free properties.
    pub properties: BTreeMap<String, String>,
    /// Whether nobody named it.
    pub is_anonymous: bool,
    /// Whether lists leave it out.
    pub is_archived: bool,
}

/// A run that used a version. A field of our own: Azure has no such list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Use {
    /// The job, by its resource id.
    pub job_id: String,
    /// Its run.
    pub run_id: String,
    /// The name of the input.
    pub input: String,
    /// A digest of paths, lengths and states of all files that were read.
    pub digest: String,
    /// When the job was submitted, RFC 3339.
    pub used_at: String,
}
