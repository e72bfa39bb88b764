//! Images of models, as the control API shows them.

use serde::{Deserialize, Serialize};

/// An image.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// `name@sha256:…`: what a deployment names.
    pub reference: String,
    /// `sha256:…` of its manifest.
    pub digest: String,
    /// Bytes of all layers.
    pub size: u64,
    /// Lowest first.
    pub layers: Vec<Layer>,
    /// Resource id of the model version in it.
    pub model: String,
    /// Digest of the layer that holds the model's files; scoring records name it.
    pub model_digest: String,
    /// Resource id of the code asset in it.
    pub code_id: Option<String>,
    /// `onnx` or `python`.
    pub engine: String,
    /// The model file or entry script inside the image.
    pub entry: String,
    /// Text of its pip requirements.
    pub requirements: String,
    /// Object id of who built it.
    pub built_by: String,
    /// RFC 3339.
    pub built_at: String,
    /// `Succeeded`.
    pub provisioning_state: String,
}

/// A layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// `sha256:…`.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// OCI media type.
    pub media_type: String,
    /// What it holds.
    pub about: String,
}
