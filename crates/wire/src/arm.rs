//! Azure Resource Manager: the envelope of resources and errors, and the property bags (`wire/azure.md` §2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A resource as it is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource<P> {
    /// Canonical id.
    pub id: String,
    /// Last segment of the id.
    pub name: String,
    /// Full type name.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Version for `If-Match`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Managed identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Edition or tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// Sub-kind (`Default` for workspaces).
    #[serde(default, rename = "kind", skip_serializing_if = "Option::is_none")]
    pub subkind: Option<String>,
    /// Who made it, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_data: Option<SystemData>,
    /// What it is.
    pub properties: P,
}

/// Who made a resource, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemData {
    /// Object id.
    pub created_by: String,
    /// `User`, `Application` or `ManagedIdentity`.
    pub created_by_type: String,
    /// RFC 3339.
    pub created_at: String,
    /// Object id.
    pub last_modified_by: String,
    /// As above.
    pub last_modified_by_type: String,
    /// RFC 3339.
    pub last_modified_at: String,
}

/// A managed identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// `SystemAssigned`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Object id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal_id: Option<String>,
    /// Tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// User-assigned identities by resource id; what is said of each is read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_assigned_identities: Option<BTreeMap<String, Value>>,
}

/// A compute target in a PATCH.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchTarget {
    /// Its identities; replaces those it has.
    pub identity: Identity,
}

/// An edition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sku {
    /// `Basic` or `Enterprise`, of a workspace.
    pub name: String,
    /// The same.
    #[serde(default)]
    pub tier: Option<String>,
    /// Instances, for deployments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
}

/// A resource as it is sent in a PUT. Read-only fields that SDKs echo back are accepted and ignored, by name: they are
/// simply not bound.
#[derive(Debug, Clone, Deserialize)]
#[serde(bound(deserialize = "P: serde::Deserialize<'de>"))]
pub struct Put<P> {
    /// Where.
    #[serde(default)]
    pub location: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, String>>,
    /// What it shall be.
    pub properties: P,
}

/// A resource group's or workspace's PUT, whose properties may be absent.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PutGroup {
    /// Where.
    #[serde(default)]
    pub location: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, String>>,
}

/// A workspace in a PUT or PATCH.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkspacePut {
    /// Where.
    #[serde(default)]
    pub location: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, String>>,
    /// The edition.
    #[serde(default)]
    pub sku: Option<Sku>,
    /// The rest.
    #[serde(default)]
    pub properties: WorkspaceInput,
}

/// Properties of a workspace that callers may set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceInput {
    /// For people.
    pub friendly_name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Resource id.
    pub storage_account: Option<String>,
    /// Resource id.
    pub key_vault: Option<String>,
    /// Resource id.
    pub application_insights: Option<String>,
    /// Resource id.
    pub container_registry: Option<String>,
    /// `Enabled` or `Disabled`.
    pub public_network_access: Option<String>,
    /// Addresses and ranges that may reach it while public access is on; everybody when empty.
    pub ip_allowlist: Option<Vec<String>>,
    /// High business impact: chosen with a new workspace, raised later by an operation of its own, and never taken back.
    #[serde(default, deserialize_with = "bool_or_word")]
    pub hbi_workspace: Option<bool>,
    /// Whether diagnostics of it may be collected, where the operator collects any at all. Our own; Azure has none.
    #[serde(default, deserialize_with = "bool_or_word")]
    pub send_diagnostics: Option<bool>,
    /// The customer's key that shall hold its data; fixed once it is made.
    pub encryption: Option<crate::encryption::Encryption>,
    /// Days for which the workspace can be recovered after its deletion: 1 to 14.
    pub soft_delete_retention_in_days: Option<u8>,
    /// `Warn` or `Refuse`: what becomes of jobs and deployments in which a secret is written out. Our own; Azure has none.
    pub secret_detection: Option<String>,
    /// `Off`, `Warn` or `Refuse`: what becomes of code in whose files something looks like a secret or personal data. Our own.
    pub content_scan: Option<String>,
    /// The throughput of its metadata, which can be said again and not be changed so.
    pub service_managed_resources_settings: Option<ServiceManagedResources>,
    /// `Allow`, `Warn` or `Refuse`: what becomes of model versions whose files run code when they are loaded. Our own.
    pub model_scan: Option<String>,
    /// `True` recovers the deleted workspace that has this name. A boolean is taken as well.
    pub allow_recover_soft_deleted_workspace: Option<Value>,
}

/// Templates pass on what their parameters say: `"false"` where a boolean is meant, as Azure takes it.
fn bool_or_word<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Bool(bool),
        Word(String),
    }
    match Option::<Given>::deserialize(from)? {
        None => Ok(None),
        Some(Given::Bool(given)) => Ok(Some(given)),
        Some(Given::Word(word)) if word.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(Given::Word(word)) if word.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(Given::Word(_)) => Err(serde::de::Error::custom("expected true or false")),
    }
}

/// Properties of a workspace as answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workspace {
    /// For people.
    pub friendly_name: String,
    /// For people.
    pub description: String,
    /// GUID.
    pub workspace_id: String,
    /// `Succeeded`, or `SoftDeleted`.
    pub provisioning_state: String,
    /// GUID.
    pub tenant_id: String,
    /// RFC 3339.
    pub creation_time: String,
    /// High business impact.
    pub hbi_workspace: bool,
    /// Whether diagnostics of it may be collected, where the operator collects any at all; never with high business impact. Our own.
    #[serde(default)]
    pub send_diagnostics: bool,
    /// Resource id.
    pub storage_account: String,
    /// Resource id.
    pub key_vault: String,
    /// Resource id.
    pub application_insights: String,
    /// Resource id, once the first image was built.
    pub container_registry: Option<String>,
    /// `Enabled` or `Disabled`.
    pub public_network_access: String,
    /// Addresses and ranges that may reach it while public access is on; everybody when empty.
    #[serde(default)]
    pub ip_allowlist: Vec<String>,
    /// Who comes in through private endpoints.
    #[serde(default)]
    pub private_endpoint_connections: Vec<Value>,
    /// Hierarchical namespace of the storage account.
    pub storage_hns_enabled: bool,
    /// Where the workspace's services are listed.
    pub discovery_url: String,
    /// For MLflow through Azure's plug-in.
    pub ml_flow_tracking_uri: String,
    /// A deleted workspace can be recovered.
    pub soft_delete_enabled: bool,
    /// For so many days.
    pub soft_delete_retention_in_days: u8,
    /// `Warn` or `Refuse`: what becomes of secrets that are written out. Our own.
    #[serde(default)]
    pub secret_detection: String,
    /// `Off`, `Warn` or `Refuse`: what becomes of code that holds such. Our own.
    #[serde(default)]
    pub content_scan: String,
    /// `Allow`, `Warn` or `Refuse`: what becomes of models that run code when they are loaded. Our own.
    #[serde(default)]
    pub model_scan: String,
    /// RFC 3339, of a deleted one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_deleted_at: Option<String>,
    /// RFC 3339, of a deleted one: when the server purges it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_purge_date: Option<String>,
    /// The customer's key that holds its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<crate::encryption::Encryption>,
    /// The throughput of its metadata.
    #[serde(default)]
    pub service_managed_resources_settings: ServiceManagedResources,
    /// Said while two custodians have it open without that key. Our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<crate::encryption::BreakGlassOpening>,
}

/// What Azure manages for a workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceManagedResources {
    /// The metadata store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosmos_db: Option<CosmosDb>,
}

/// The metadata store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CosmosDb {
    /// Request units a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collections_throughput: Option<u32>,
}

/// `throughputSettings/default` (`Microsoft.DocumentDB`'s form).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThroughputSettings {
    /// The setting.
    pub resource: Throughput,
}

/// A throughput.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Throughput {
    /// Request units a second.
    pub throughput: u32,
    /// The least that can be set, as answered; a number in words, as there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_throughput: Option<String>,
}

/// A list. `next_link` is an absolute URL, or absent on the last page.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// The entries.
    pub value: Vec<T>,
    /// The next page.
    #[serde(default)]
    pub next_link: Option<String>,
}

/// An error.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// A stable code.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// The field at fault.
    #[serde(default)]
    pub target: Option<String>,
    /// More.
    #[serde(default)]
    pub details: Vec<Value>,
}

/// The status of a long-running operation (`Azure-AsyncOperation`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationStatus {
    /// Resource id of the operation.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `InProgress`, `Succeeded`, `Failed` or `Canceled`.
    pub status: String,
    /// RFC 3339.
    pub start_time: String,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_complete: Option<f64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDetail>,
    /// What it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<Value>,
}
