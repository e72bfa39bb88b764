//! Snapshots: which contents are missing, and code versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::agent::SnapshotFile;

/// Contents asked about.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// At most 10,000.
    pub files: Vec<Content>,
}

/// One content.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// In bytes.
    pub length: u64,
}

/// Those that are not there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Missing {
    /// SHA-256 of each, in the order asked.
    pub missing: Vec<String>,
}

/// A code version as it is sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CodeInput {
    /// Its files; their contents were sent before, in packs.
    #[serde(default)]
    pub files: Option<Vec<SnapshotFile>>,
    /// The snapshot it was made from.
    #[serde(default)]
    pub parent_snapshot_id: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Where it came from: `azureml.git.…`.
    #[serde(default)]
    pub properties: Option<BTreeMap<String, String>>,
    /// Free labels.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, String>>,
    /// Azure's way to name code that lies in a storage account; not offered.
    #[serde(default)]
    pub code_uri: Option<String>,
}

/// A code version as it is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Code {
    /// The id of its tree (`docs/formats/snapshot.md`).
    pub snapshot_id: String,
    /// The snapshot it was made from.
    pub parent_snapshot_id: Option<String>,
    /// Its files; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<SnapshotFile>>,
    /// How many files.
    pub file_count: u64,
    /// How many bytes.
    pub total_bytes: u64,
    /// For people.
    pub description: String,
    /// Where it came from.
    pub properties: BTreeMap<String, String>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// What somebody should look at: lines that look as if they held a secret or personal data. Our own.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Always false: every version was made on purpose.
    pub is_anonymous: bool,
    /// Always false.
    pub is_archived: bool,
    /// `Succeeded`.
    pub provisioning_state: String,
}
