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

/// What an image rests on, and whether all of it is what was signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chain {
    /// `name@sha256:…`.
    pub reference: String,
    /// Whether no link is broken.
    pub is_sound: bool,
    /// The first cause first.
    pub links: Vec<ChainLink>,
    /// The image's statement (a DSSE envelope, JSON), if it has one.
    pub envelope: Option<String>,
    /// The statement of the model in it.
    pub model_envelope: Option<String>,
}

/// A link.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainLink {
    /// `snapshot`, `run`, `model` or `image`.
    pub of: String,
    /// Its name.
    pub name: String,
    /// `algorithm:hex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// `sound`, `absent` or `broken`.
    pub state: String,
    /// Why it is absent or broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Id of the key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Object id of whoever asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_for: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<String>,
}

/// The public half of a key that signs statements.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementKey {
    /// SHA-256 of the key (`SubjectPublicKeyInfo`, DER), lower-case hex.
    pub key_id: String,
    /// `ES256`.
    pub algorithm: String,
    /// PEM.
    pub public_key: String,
    /// RFC 3339.
    pub created_at: String,
}
