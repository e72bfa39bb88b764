//! Uploads in parts, and addresses of files that are read without a token.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where a part is sent, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartCredential {
    /// The address.
    pub url: String,
    /// The part, from 1.
    pub part_number: u32,
    /// Headers to be sent with it, in the place of a token.
    pub headers: BTreeMap<String, String>,
}

/// A part that is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPart {
    /// The part, from 1.
    pub part_number: u32,
    /// Its tag.
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// An upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its id.
    pub upload_id: String,
    /// One for each part.
    pub credentials: Vec<PartCredential>,
    /// What is here already. Our own; MLflow's client ignores it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<StoredPart>,
}

/// How far an upload is. Our own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadParts {
    /// Its id.
    pub upload_id: String,
    /// How many parts it shall have.
    pub num_parts: u32,
    /// Whether it is completed.
    pub completed: bool,
    /// What is here.
    pub parts: Vec<StoredPart>,
}

/// Where a file is read, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresignedFile {
    /// The address.
    pub url: String,
    /// Headers to be sent with it, in the place of a token.
    pub headers: BTreeMap<String, String>,
    /// Bytes.
    pub file_size: u64,
}
