//! The directory: the part of Microsoft Graph's `servicePrincipals` that the command line uses, below `/graph/v1.0`.

use serde::{Deserialize, Serialize};

/// Asks for a new service principal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewServicePrincipal {
    /// For people.
    pub display_name: String,
}

/// A service principal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePrincipal {
    /// Object id: what roles are assigned to.
    pub id: String,
    /// Client id: what signs in.
    pub app_id: String,
    /// For people.
    pub display_name: String,
    /// Always `Application`.
    pub service_principal_type: String,
    /// Its secrets.
    pub password_credentials: Vec<PasswordCredential>,
}

/// A secret; `secret_text` is there once, when it is made.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PasswordCredential {
    /// Names it.
    pub key_id: String,
    /// Its first characters.
    pub hint: String,
    /// RFC 3339.
    pub end_date_time: String,
    /// The secret, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_text: Option<String>,
}

/// A list.
#[derive(Debug, Serialize, Deserialize)]
pub struct List<T> {
    /// The entries.
    pub value: Vec<T>,
}
