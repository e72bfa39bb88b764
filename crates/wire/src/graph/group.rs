//! Groups and their members (Graph's `group` and `directoryObject`).

use serde::{Deserialize, Serialize};

/// A group.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Object id.
    pub id: String,
    /// For people.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Its short name.
    pub mail_nickname: String,
    /// Always false: there is no mail here.
    pub mail_enabled: bool,
    /// Always true: groups are for giving rights.
    pub security_enabled: bool,
    /// Always empty: its members are those that were added.
    pub group_types: Vec<String>,
    /// RFC 3339.
    pub created_date_time: String,
}

/// Asks for a new group, or for changes of one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupForm {
    /// For people.
    #[serde(default)]
    pub display_name: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Its short name.
    #[serde(default)]
    pub mail_nickname: Option<String>,
    /// Only false.
    #[serde(default)]
    pub mail_enabled: Option<bool>,
    /// Only true.
    #[serde(default)]
    pub security_enabled: Option<bool>,
    /// Only empty.
    #[serde(default)]
    pub group_types: Option<Vec<String>>,
}

/// A principal of any kind.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryObject {
    /// `#microsoft.graph.user`, `#microsoft.graph.group` or `#microsoft.graph.servicePrincipal`.
    #[serde(rename = "@odata.type")]
    pub odata_type: String,
    /// Object id.
    pub id: String,
    /// For people.
    pub display_name: String,
    /// Sign-in name, for users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_principal_name: Option<String>,
    /// Client id, for service principals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
}

/// Names a principal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// An address that ends in the object id: `https://…/graph/v1.0/directoryObjects/{id}`.
    #[serde(rename = "@odata.id")]
    pub odata_id: String,
}

/// Asks for several principals.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetByIds {
    /// Object ids.
    pub ids: Vec<String>,
    /// Only of these kinds: `user`, `group`, `servicePrincipal`.
    #[serde(default)]
    pub types: Vec<String>,
}
