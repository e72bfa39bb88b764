//! Sign-in: Entra's v2.0 token endpoint, OpenID discovery and the JSON Web Key Set.

use serde::{Deserialize, Serialize};

/// Form fields of a token request. Clients send many more; they are ignored, not bound. No `Debug`: it holds a
/// secret.
#[derive(Default, Deserialize)]
pub struct TokenRequest {
    /// `client_credentials` is the only grant here.
    #[serde(default)]
    pub grant_type: String,
    /// Client id.
    #[serde(default)]
    pub client_id: String,
    /// Client secret.
    #[serde(default)]
    pub client_secret: String,
    /// `{resource}/.default`.
    #[serde(default)]
    pub scope: String,
    /// The v1 form of `scope`.
    #[serde(default)]
    pub resource: String,
}

/// A token.
#[derive(Serialize)]
pub struct TokenResponse {
    /// `Bearer`.
    pub token_type: &'static str,
    /// Seconds.
    pub expires_in: i64,
    /// Seconds; the same.
    pub ext_expires_in: i64,
    /// Epoch seconds.
    pub expires_on: i64,
    /// The audience.
    pub resource: String,
    /// The token.
    pub access_token: String,
}

/// A refusal (RFC 6749 §5.2, with Entra's additions).
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenError {
    /// OAuth's code.
    pub error: String,
    /// `AADSTS…: words`.
    pub error_description: String,
    /// The number in the words.
    pub error_codes: Vec<u32>,
    /// RFC 3339.
    pub timestamp: String,
    /// Names this answer in the server's log.
    pub trace_id: String,
    /// Names the request in the activity log.
    pub correlation_id: String,
}

/// `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0 §3).
#[derive(Debug, Serialize)]
pub struct Discovery {
    /// Issuer.
    pub issuer: String,
    /// Where people sign in.
    pub authorization_endpoint: String,
    /// Where tokens are.
    pub token_endpoint: String,
    /// Where device codes are.
    pub device_authorization_endpoint: String,
    /// Where keys are.
    pub jwks_uri: String,
    /// How clients prove themselves.
    pub token_endpoint_auth_methods_supported: Vec<&'static str>,
    /// Grants on offer.
    pub grant_types_supported: Vec<&'static str>,
    /// Response types.
    pub response_types_supported: Vec<&'static str>,
    /// Subject types.
    pub subject_types_supported: Vec<&'static str>,
    /// Algorithms.
    pub id_token_signing_alg_values_supported: Vec<&'static str>,
    /// Scopes.
    pub scopes_supported: Vec<&'static str>,
}

/// A key set (RFC 7517 §5).
#[derive(Debug, Serialize)]
pub struct KeySet {
    /// The keys.
    pub keys: Vec<Key>,
}

/// An elliptic-curve signing key (RFC 7518 §6.2).
#[derive(Debug, Serialize)]
pub struct Key {
    /// `EC`.
    pub kty: &'static str,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: &'static str,
    /// `ES256`.
    pub alg: &'static str,
    /// `P-256`.
    pub crv: &'static str,
    /// Key id.
    pub kid: String,
    /// x coordinate, base64url.
    pub x: String,
    /// y coordinate, base64url.
    pub y: String,
}
