//! Applications, service principals, and their credentials (Graph's `application`, `servicePrincipal`, `passwordCredential`,
//! `keyCredential`, `federatedIdentityCredential`).

use serde::{Deserialize, Serialize};

/// An application.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// The same as `appId`: an application has no other name here.
    pub id: String,
    /// Client id: what signs in.
    pub app_id: String,
    /// Object id of its service principal: what roles are assigned to. Graph has no such field.
    pub service_principal_id: String,
    /// For people.
    pub display_name: String,
    /// RFC 3339.
    pub created_date_time: String,
    /// Always `AzureADMyOrg`.
    pub sign_in_audience: String,
    /// Whether it is a public client: no secret, always PKCE, device codes.
    pub is_fallback_public_client: bool,
    /// Whether it, being confidential, does without PKCE. Graph has no such field.
    pub without_pkce: bool,
    /// A confidential client's addresses.
    pub web: RedirectUris,
    /// A public client's addresses.
    pub public_client: RedirectUris,
    /// Its secrets.
    pub password_credentials: Vec<PasswordCredential>,
    /// Its certificates.
    pub key_credentials: Vec<KeyCredential>,
}

/// Where answers to sign-ins go.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedirectUris {
    /// Compared exactly, but for the port of loopback addresses.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
}

/// Asks for a new application, or for changes of one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplicationForm {
    /// For people.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Only `AzureADMyOrg`.
    #[serde(default)]
    pub sign_in_audience: Option<String>,
    /// Whether it is a public client.
    #[serde(default)]
    pub is_fallback_public_client: Option<bool>,
    /// Whether it, being confidential, does without PKCE.
    #[serde(default)]
    pub without_pkce: Option<bool>,
    /// A confidential client's addresses.
    #[serde(default)]
    pub web: Option<RedirectUris>,
    /// A public client's addresses.
    #[serde(default)]
    pub public_client: Option<RedirectUris>,
    /// Its certificates, all of them: those with a `keyId` stay, those with a `key` are added.
    #[serde(default)]
    pub key_credentials: Option<Vec<KeyCredentialForm>>,
}

/// Asks for a new application and its service principal, with a secret.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewServicePrincipal {
    /// For people.
    #[serde(default)]
    pub display_name: Option<String>,
    /// An application that exists. It has its service principal since it was made, so this is always answered by its id.
    #[serde(default)]
    pub app_id: Option<String>,
}

/// Asks for changes of a service principal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServicePrincipalForm {
    /// For people.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Whether it may sign in.
    #[serde(default)]
    pub account_enabled: Option<bool>,
}

/// A service principal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePrincipal {
    /// Object id: what roles are assigned to.
    pub id: String,
    /// Client id: what signs in. None for what only the server itself acts as.
    pub app_id: Option<String>,
    /// For people.
    pub display_name: String,
    /// `Application` or `ManagedIdentity`.
    pub service_principal_type: String,
    /// Whether it may sign in.
    pub account_enabled: bool,
    /// RFC 3339.
    pub created_date_time: String,
    /// The resource of a managed identity.
    #[serde(default)]
    pub alternative_names: Vec<String>,
    /// Its secrets.
    pub password_credentials: Vec<PasswordCredential>,
    /// Its certificates.
    #[serde(default)]
    pub key_credentials: Vec<KeyCredential>,
}

/// A secret; `secret_text` is there once, when it is made, and in no debug print.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PasswordCredential {
    /// Names it.
    pub key_id: String,
    /// What it is for.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Its first characters.
    pub hint: String,
    /// RFC 3339.
    #[serde(default)]
    pub start_date_time: Option<String>,
    /// RFC 3339.
    pub end_date_time: String,
    /// The secret, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_text: Option<String>,
}

impl std::fmt::Debug for PasswordCredential {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("PasswordCredential").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Asks for a new secret.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddPassword {
    /// What it is to be.
    #[serde(default)]
    pub password_credential: Option<PasswordCredentialForm>,
}

/// What a new secret is to be.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordCredentialForm {
    /// What it is for.
    #[serde(default)]
    pub display_name: Option<String>,
    /// RFC 3339; not in the future, since secrets are good at once.
    #[serde(default)]
    pub start_date_time: Option<String>,
    /// RFC 3339; a year from now when there is none.
    #[serde(default)]
    pub end_date_time: Option<String>,
}

/// Asks for a credential's removal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoveKey {
    /// Which one.
    pub key_id: String,
}

/// A certificate.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyCredential {
    /// Names it.
    pub key_id: String,
    /// What it is for.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Always `AsymmetricX509Cert`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Always `Verify`.
    pub usage: String,
    /// SHA-1 of the certificate, hexadecimal: its thumbprint.
    pub custom_key_identifier: String,
    /// RFC 3339.
    pub start_date_time: String,
    /// RFC 3339.
    pub end_date_time: String,
}

/// A certificate to be added, or one that is there. Clients send the latter back as they read it, so its fields are accepted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyCredentialForm {
    /// One that is there.
    #[serde(default)]
    pub key_id: Option<String>,
    /// A new one: base64 of its DER, or of its PEM.
    #[serde(default)]
    pub key: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Only `AsymmetricX509Cert`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Only `Verify`.
    #[serde(default)]
    pub usage: Option<String>,
    /// Computed from the certificate.
    #[serde(default)]
    pub custom_key_identifier: Option<String>,
    /// The certificate's own.
    #[serde(default)]
    pub start_date_time: Option<String>,
    /// The certificate's own.
    #[serde(default)]
    pub end_date_time: Option<String>,
}

/// Asks for a new certificate.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddKey {
    /// The certificate.
    pub key_credential: KeyCredentialForm,
}

/// Whose tokens stand for an application.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FederatedCredential {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// `aud`: exactly one.
    pub audiences: Vec<String>,
}

/// Asks for a new federated credential, or for changes of one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FederatedCredentialForm {
    /// Its name; never changes.
    #[serde(default)]
    pub name: Option<String>,
    /// `iss`.
    #[serde(default)]
    pub issuer: Option<String>,
    /// `sub`.
    #[serde(default)]
    pub subject: Option<String>,
    /// `aud`: exactly one; `api://AzureADTokenExchange` when there is none.
    #[serde(default)]
    pub audiences: Option<Vec<String>>,
}
