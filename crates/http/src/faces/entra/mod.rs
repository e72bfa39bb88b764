//! Sign-in at Entra's v2.0 addresses.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    identity::{GetDiscovery, GetToken, ListSigningKeys, TokenRefusal},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use kernel::{Error, Kind, Secret, Source};
use wire::oauth;

use crate::{Doors, Guest, path};

/// The doors of this face.
pub fn doors(doors: Doors) -> Doors {
    doors
        .open::<GetDiscovery, _, _>(Method::GET, "/{tenant}/v2.0/.well-known/openid-configuration", get_discovery)
        .open::<GetDiscovery, _, _>(Method::GET, "/{tenant}/.well-known/openid-configuration", get_discovery)
        .open::<ListSigningKeys, _, _>(Method::GET, "/{tenant}/discovery/v2.0/keys", list_signing_keys)
        .open::<GetToken, _, _>(Method::POST, "/{tenant}/oauth2/v2.0/token", get_token)
        .open::<GetToken, _, _>(Method::POST, "/{tenant}/oauth2/token", get_token)
}

async fn get_discovery(guest: Guest) -> Result<Response, Fault> {
    let op = GetDiscovery { tenant: guest.param("tenant").map_err(|why| guest.fault(why))? };
    let (issuer, tenant) = enter(guest.house(), &guest.anyone(), op).await.map_err(|why| guest.fault(why))?;
    let base = format!("{}/{tenant}", guest.house().settings().url);
    let document = oauth::Discovery {
        issuer,
        authorization_endpoint: format!("{base}/oauth2/v2.0/authorize"),
        token_endpoint: format!("{base}/oauth2/v2.0/token"),
        device_authorization_endpoint: format!("{base}/oauth2/v2.0/devicecode"),
        jwks_uri: format!("{base}/discovery/v2.0/keys"),
        token_endpoint_auth_methods_supported: vec!["client_secret_post"],
        grant_types_supported: vec!["client_credentials"],
        response_types_supported: Vec::new(),
        subject_types_supported: vec!["public"],
        id_token_signing_alg_values_supported: vec!["ES256"],
        scopes_supported: vec!["openid"],
    };
    Ok(axum::Json(document).into_response())
}

async fn list_signing_keys(guest: Guest) -> Result<Response, Fault> {
    let op = ListSigningKeys { tenant: guest.param("tenant").map_err(|why| guest.fault(why))? };
    let keys = enter(guest.house(), &guest.anyone(), op).await.map_err(|why| guest.fault(why))?;
    let view = |key: domain::identity::PublicKey| oauth::Key {
        kty: "EC",
        usage: "sig",
        alg: "ES256",
        crv: "P-256",
        kid: key.kid,
        x: key.x,
        y: key.y,
    };
    Ok(axum::Json(oauth::KeySet { keys: keys.into_iter().map(view).collect() }).into_response())
}

async fn get_token(guest: Guest) -> Result<Response, Fault> {
    let source = guest.source();
    let fault = |why: Error| Fault::of(&source, &why);
    let house = guest.house().clone();
    let caller = guest.anyone();
    let tenant = guest.param("tenant").map_err(fault)?;
    let basic = guest.header("authorization").and_then(basic_credentials);
    // A form of a few short fields; whoever asks is nobody yet.
    let body = guest.bytes_to(32 * 1024).await.map_err(fault)?;
    let mut form = parse_form(&body).map_err(|why| Fault::new(&source, 900_144, "invalid_request", &why))?;
    if let Some((client, secret)) = basic {
        (form.client_id, form.client_secret) = (client, secret);
    }
    if form.grant_type != "client_credentials" {
        let why = format!("the grant type `{}` is not supported; use `client_credentials`", form.grant_type);
        return Err(Fault::new(&source, 70_003, "unsupported_grant_type", &why));
    }
    let scope = if form.scope.is_empty() { format!("{}/.default", form.resource) } else { form.scope };
    let op = GetToken { tenant, client: form.client_id, secret: Secret::new(form.client_secret), scope };
    let token = enter(&house, &caller, op).await.map_err(fault)?.map_err(|why| refuse(&source, why))?;
    let view = oauth::TokenResponse {
        token_type: "Bearer",
        expires_in: token.expires_in,
        ext_expires_in: token.expires_in,
        expires_on: token.expires_on,
        resource: token.resource,
        access_token: token.token.expose().clone(),
    };
    Ok(axum::Json(view).into_response())
}

/// Reads the form. A parameter that comes twice is refused (RFC 6749 §3.2).
fn parse_form(body: &[u8]) -> Result<oauth::TokenRequest, String> {
    let text = std::str::from_utf8(body).map_err(|_| String::from("the body is not a form"))?;
    let mut form = oauth::TokenRequest::default();
    let mut seen = Vec::new();
    for (key, value) in path::pairs(text) {
        if seen.contains(&key) {
            return Err(format!("the parameter `{key}` comes twice"));
        }
        match key.as_str() {
            "grant_type" => form.grant_type = value,
            "client_id" => form.client_id = value,
            "client_secret" => form.client_secret = value,
            "scope" => form.scope = value,
            "resource" => form.resource = value,
            _ => {}
        }
        seen.push(key);
    }
    Ok(form)
}

/// `client_secret_basic` (RFC 6749 §2.3.1).
fn basic_credentials(header: &str) -> Option<(String, String)> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let encoded = header.strip_prefix("Basic ").or_else(|| header.strip_prefix("basic "))?;
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (client, secret) = text.split_once(':')?;
    Some((client.to_owned(), secret.to_owned()))
}

impl Guest {
    /// Sign-in takes no bearer: whoever asks is nobody yet.
    fn anyone(&self) -> kernel::Caller {
        kernel::Caller::nobody(self.source())
    }

    fn fault(&self, why: Error) -> Fault {
        Fault::of(&self.source(), &why)
    }
}

fn refuse(source: &Source, why: TokenRefusal) -> Fault {
    match why {
        TokenRefusal::UnknownTenant => Fault::new(source, 90_002, "invalid_tenant", "the tenant was not found"),
        TokenRefusal::UnknownClient => {
            Fault::new(source, 700_016, "unauthorized_client", "the application was not found in the tenant")
        }
        TokenRefusal::BadSecret => Fault::new(source, 7_000_215, "invalid_client", "Invalid client secret provided."),
        TokenRefusal::Disabled => {
            Fault::new(source, 7_000_112, "unauthorized_client", "the application is disabled in the tenant")
        }
        TokenRefusal::BadScope => {
            let why = "the scope is not valid: ask for one resource of this server, as `{resource}/.default`";
            Fault::new(source, 70_011, "invalid_scope", why)
        }
    }
}

/// An error in OAuth's form with Entra's additions.
pub struct Fault {
    status: StatusCode,
    body: oauth::TokenError,
}

impl Fault {
    fn new(source: &Source, number: u32, code: &str, words: &str) -> Self {
        let status = if code == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
        let correlation = source.correlation.to_string();
        let now = kernel::Clock::now(&kernel::SystemClock).rfc3339();
        let body = oauth::TokenError {
            error: code.to_owned(),
            error_description: format!(
                "AADSTS{number}: {words} Trace ID: {correlation} Correlation ID: {correlation} Timestamp: {now}"
            ),
            error_codes: vec![number],
            timestamp: now,
            trace_id: correlation.clone(),
            correlation_id: correlation,
        };
        Self { status, body }
    }

    fn of(source: &Source, why: &Error) -> Self {
        let (status, number, code) = match why.kind() {
            Kind::NotFound => (StatusCode::BAD_REQUEST, 90_002, "invalid_tenant"),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, 900_144, "invalid_request"),
            Kind::Throttled => (StatusCode::TOO_MANY_REQUESTS, 50_196, "temporarily_unavailable"),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, 90_033, "temporarily_unavailable"),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, 90_033, "server_error"),
            Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, 50_012, "invalid_client"),
            Kind::Denied | Kind::Exists | Kind::Conflict | Kind::Stale | Kind::Invalid | Kind::Unsupported => {
                (StatusCode::BAD_REQUEST, 900_144, "invalid_request")
            }
        };
        if why.kind() == Kind::Internal {
            tracing::error!(correlation = %source.correlation, fault = ?why, "sign-in failed");
        }
        Self { status, ..Self::new(source, number, code, why.public()) }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"token endpoint\""));
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS || self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        (self.status, headers, axum::Json(self.body)).into_response()
    }
}
