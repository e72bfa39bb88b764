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
    pub key_vault_arm_id: Option<String>,
    /// Address of the key, with its version.
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
