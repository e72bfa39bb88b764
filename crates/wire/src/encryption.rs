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
    /// `Available`; `Locked` while the key may not be used; `OpenedByBreakGlass` while two custodians have it open.
    pub state: String,
    /// Why it is locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who opened it, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlassOpening>,
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

/// Somebody who may open a workspace, together with another, when its key is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Custodian {
    /// Object id of a person.
    pub principal_id: String,
    /// Their public key, RSA, as a JSON Web Key: `kty`, `n`, `e`.
    pub public_key: serde_json::Value,
    /// Their name, as answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Agreeing to break-glass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BreakGlassInput {
    /// Two to five people, any two of whom open it.
    pub custodians: Vec<Custodian>,
    /// For how long at most.
    pub longest_minutes: u32,
}

/// Asking to open a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BreakGlassAsk {
    /// The asker's own share, unwrapped; base64.
    pub share: String,
    /// For how long.
    pub minutes: u32,
    /// Why.
    pub reason: String,
}

/// Approving it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BreakGlassApproval {
    /// Which request.
    pub request: String,
    /// The approver's own share, unwrapped; base64.
    pub share: String,
}

/// A request to open a workspace, as answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlassRequest {
    /// Its name.
    pub name: String,
    /// Who asked.
    pub requested_by: String,
    /// Why.
    pub reason: String,
    /// For how long.
    pub minutes: u32,
    /// When it counts no more, RFC 3339.
    pub expires_at: String,
}

/// A workspace that two people opened: what everybody who sees the workspace sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlassOpening {
    /// Who asked.
    pub requested_by: String,
    /// Who approved.
    pub approved_by: String,
    /// Why.
    pub reason: String,
    /// Since when, RFC 3339.
    pub opened_at: String,
    /// Until when, RFC 3339.
    pub until: String,
}

/// How break-glass stands, as answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlass {
    /// `Disabled`, `Enabled`, `Requested` or `Open`.
    pub state: String,
    /// Who may open it, two together.
    pub custodians: Vec<Custodian>,
    /// For how long at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_minutes: Option<u32>,
    /// When it was agreed to, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed_at: Option<String>,
    /// Object id of who agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed_by: Option<String>,
    /// The asker's own share, wrapped with their public key (RSA-OAEP-256); base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapped_share: Option<String>,
    /// What was asked for and waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<BreakGlassRequest>,
    /// What is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<BreakGlassOpening>,
}
