//! Customer-managed keys of workspaces (`properties.encryption` of `Microsoft.MachineLearningServices/workspaces`).

use serde::{Deserialize, Serialize};

/// What is said of encryption.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// `Enabled` or `Disabled`.
    pub status: String,
    /// Which key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_vault_properties: Option<KeyVaultProperties>,
    /// In whose name the key is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityForCmk>,
}

/// Which key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyVaultProperties {
    /// Resource id of the vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_vault_arm_id: Option<String>,
    /// Address of the key, with its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_identifier: Option<String>,
    /// A holder elsewhere that the operator of the server named, instead of vault and address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_holder: Option<String>,
    /// The key's name at that holder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// Client id of the identity that reaches the vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_client_id: Option<String>,
}

/// In whose name the key is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityForCmk {
    /// Resource id of a user-assigned identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_assigned_identity: Option<String>,
}

/// How it stands, as answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncryptionState {
    /// `Enabled` with a customer's key, `Disabled` without.
    pub status: String,
    /// Which key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_vault_properties: Option<KeyVaultProperties>,
    /// `Available`, or `Locked` while the key may not be used.
    pub state: String,
    /// Why it is locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A table's part in sealing anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResealedTable {
    /// Which.
    pub name: String,
    /// Rows that there were at the beginning.
    pub rows: u64,
    /// Rows that were looked at.
    pub seen: u64,
    /// Rows among them that were sealed anew; the others had been written since.
    pub resealed: u64,
    /// Blobs whose keys lie in those rows, and so were wrapped anew.
    pub rewrapped_blobs: u64,
    /// Rows that no key opens.
    pub unreadable: u64,
    /// Rows that name an older version of the key, counted now; only when it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older: Option<u64>,
}

/// Sealing a workspace's data anew, as answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reseal {
    /// `Sealing`, `Sealed` (the older versions are unused), `Retired` (they are destroyed) or `Failed`.
    pub state: String,
    /// How much was looked at, in percent; 100 once nothing names an older version.
    pub percent_complete: u8,
    /// The version that seals.
    pub key_version: u32,
    /// The versions that there were before.
    pub older_versions: Vec<u32>,
    /// Rows that were sealed anew.
    pub resealed: u64,
    /// Blobs whose keys were wrapped anew.
    pub rewrapped_blobs: u64,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// When everything was sealed anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_at: Option<String>,
    /// When the older versions were destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<String>,
    /// Why they cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Where to ask for the operation.
    pub status: String,
    /// By table.
    pub tables: Vec<ResealedTable>,
}
