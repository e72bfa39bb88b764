//! Sign-in: Entra's v2.0 token, device and authorization endpoints, OpenID discovery and the JSON Web Key Set.

use serde::{Deserialize, Serialize};

/// Form fields of a token request. Clients send many more; they are ignored, not bound. No `Debug`: it holds
/// secrets.
#[derive(Default)]
pub struct TokenRequest {
    /// One of `GRANTS`.
    pub grant_type: String,
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: String,
    /// What a client proves itself by instead (RFC 7521 §4.2).
    pub client_assertion: String,
    /// `CLIENT_ASSERTION`.
    pub client_assertion_type: String,
    /// `{resource}/.default`, and for users `openid profile offline_access`.
    pub scope: String,
    /// The v1 form of `scope`.
    pub resource: String,
    /// The claims request (OpenID Connect Core §5.5).
    pub claims: String,
    /// Authorization code; Entra's clients put a device code here too.
    pub code: String,
    /// Device code (RFC 8628 §3.4).
    pub device_code: String,
    /// As the authorization request had it.
    pub redirect_uri: String,
    /// What the challenge was made of (RFC 7636 §4.5).
    pub code_verifier: String,
    /// Refresh token.
    pub refresh_token: String,
    /// A user's access token (on behalf of).
    pub assertion: String,
    /// `on_behalf_of`.
    pub requested_token_use: String,
    /// The token to exchange (RFC 8693 §2.1).
    pub subject_token: String,
    /// What it is.
    pub subject_token_type: String,
    /// Who acts, if somebody else does.
    pub actor_token: String,
    /// What is wanted for it.
    pub requested_token_type: String,
    /// For whom it is wanted.
    pub audience: String,
}

/// The grants on offer, as discovery lists them.
pub const GRANTS: [&str; 6] =
    ["authorization_code", "refresh_token", "client_credentials", DEVICE_CODE, JWT_BEARER, TOKEN_EXCHANGE];
/// The device grant (RFC 8628).
pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The assertion grant (RFC 7523), which is here on behalf of a user alone.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Token exchange (RFC 8693).
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// A client's assertion (RFC 7523 §2.2).
pub const CLIENT_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// An access token, to RFC 8693 §3.
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The same as a JSON Web Token.
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A token. No `Debug`: it holds secrets.
#[derive(Serialize)]
pub struct TokenResponse {
    /// `Bearer`.
    pub token_type: &'static str,
    /// What was granted; users only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Seconds.
    pub expires_in: i64,
    /// Seconds; the same.
    pub ext_expires_in: i64,
    /// Seconds after which a client may fetch the next one.
    pub refresh_in: i64,
    /// Epoch seconds.
    pub expires_on: i64,
    /// The audience.
    pub resource: String,
    /// The token.
    pub access_token: String,
    /// For the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// For the client itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// Base64url of `{"uid", "utid"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_info: Option<String>,
}

/// A token that was exchanged (RFC 8693 §2.2.1). No `Debug`: it holds a secret.
#[derive(Serialize)]
pub struct ExchangeResponse {
    /// The token.
    pub access_token: String,
    /// `ACCESS_TOKEN`.
    pub issued_token_type: &'static str,
    /// `Bearer`.
    pub token_type: &'static str,
    /// Seconds.
    pub expires_in: i64,
    /// The actions it is for, when they are listed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
}

/// What a device shows and polls with (RFC 8628 §3.2, with Entra's `message`). No `Debug`: it holds a secret.
#[derive(Serialize)]
pub struct DeviceResponse {
    /// To be typed.
    pub user_code: String,
    /// To poll with.
    pub device_code: String,
    /// Where to type it.
    pub verification_uri: String,
    /// The same with the code filled in.
    pub verification_uri_complete: String,
    /// Seconds.
    pub expires_in: u64,
    /// Seconds between two polls.
    pub interval: u32,
    /// For people: clients print it as it is.
    pub message: String,
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
    /// What a client may do about it: `basic_action` is to let the user sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suberror: Option<String>,
    /// What the next sign-in has to show, as the `claims` parameter takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<String>,
}

/// `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0 §3, RFC 8414, RFC 9207).
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
    /// Where people sign out.
    pub end_session_endpoint: String,
    /// How clients prove themselves.
    pub token_endpoint_auth_methods_supported: Vec<&'static str>,
    /// What they sign assertions with.
    pub token_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    /// Grants on offer.
    pub grant_types_supported: Vec<&'static str>,
    /// Response types.
    pub response_types_supported: Vec<&'static str>,
    /// How answers travel.
    pub response_modes_supported: Vec<&'static str>,
    /// How challenges are made.
    pub code_challenge_methods_supported: Vec<&'static str>,
    /// Whom clients may want asked.
    pub prompt_values_supported: Vec<&'static str>,
    /// Subject types.
    pub subject_types_supported: Vec<&'static str>,
    /// Algorithms.
    pub id_token_signing_alg_values_supported: Vec<&'static str>,
    /// Scopes.
    pub scopes_supported: Vec<&'static str>,
    /// What ID tokens say.
    pub claims_supported: Vec<&'static str>,
    /// The `claims` parameter.
    pub claims_parameter_supported: bool,
    /// Request objects.
    pub request_parameter_supported: bool,
    /// Request objects by address.
    pub request_uri_parameter_supported: bool,
    /// `iss` in answers (RFC 9207).
    pub authorization_response_iss_parameter_supported: bool,
}

/// Instance discovery: which hosts are one authority.
#[derive(Debug, Serialize)]
pub struct Instance {
    /// Where the discovery document is.
    pub tenant_discovery_endpoint: String,
    /// `1.1`.
    #[serde(rename = "api-version")]
    pub api_version: &'static str,
    /// The authority.
    pub metadata: Vec<InstanceMetadata>,
}

/// One authority.
#[derive(Debug, Serialize)]
pub struct InstanceMetadata {
    /// Host and port.
    pub preferred_network: String,
    /// The same.
    pub preferred_cache: String,
    /// The same.
    pub aliases: Vec<String>,
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
