//! Where clients get their tokens: `/oauth2/token` in Docker's forms, `/oauth2/exchange` in Azure's. Service principals, admin accounts
//! and refresh tokens are taken; no password of a person is.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    registry::{Credential, ExchangeForRegistry, GetRegistryToken, IssuedTokens, Login},
};
use http::{HeaderValue, StatusCode, header};
use kernel::{Caller, Error, Kind, Result, Secret};
use serde_json::json;

use super::{credential::of, place::dress};
use crate::{Guest, path};

/// Bytes of the longest form.
const MOST_FORM: usize = 64 << 10;

/// `GET` with a name and a password.
pub(super) async fn get(guest: Guest) -> Response {
    let done = match of(&guest) {
        Ok(Credential::Basic(login)) => {
            let service = guest.query("service").unwrap_or_default();
            let scopes = scopes(guest.query_all("scope"));
            let wants_refresh = guest.query("offline_token").is_some_and(|wants| wants == "true" || wants == "1");
            issue(&guest, GetRegistryToken { service, scopes, login, wants_refresh }).await
        }
        _ => Err(unproved()),
    };
    answered(done)
}

/// `POST` of a form: `grant_type` is `refresh_token`, or `password` for service principals.
pub(super) async fn post(guest: Guest) -> Response {
    let shell = guest.shell();
    answered(posted(guest, &shell).await)
}

async fn posted(guest: Guest, shell: &Guest) -> Result<Response> {
    let from_header = match of(&guest)? {
        Credential::Basic(login) => Some(login),
        _ => None,
    };
    let form = Form::read(guest).await?;
    let login = match form.get("grant_type") {
        "refresh_token" => Login::Refresh(form.secret("refresh_token")?),
        "password" => match from_header {
            Some(login) => login,
            None => Login::new(form.get("username").to_owned(), form.secret("password")?),
        },
        "access_token" => {
            let token = form.secret("access_token")?;
            return exchanged(shell, form.get("service").to_owned(), token).await;
        }
        _ => return Err(Error::invalid("grant_type", "must be `refresh_token` or `password`")),
    };
    let wants_refresh = form.get("access_type") == "offline";
    let (service, scopes) = (form.get("service").to_owned(), scopes(form.all("scope")));
    issue(shell, GetRegistryToken { service, scopes, login, wants_refresh }).await
}

/// `POST` of an access token, for a refresh token of the registry.
pub(super) async fn exchange(guest: Guest) -> Response {
    let shell = guest.shell();
    let done = async {
        let form = Form::read(guest).await?;
        if !matches!(form.get("grant_type"), "access_token" | "access_token_refresh_token") {
            return Err(Error::invalid("grant_type", "must be `access_token`"));
        }
        let token = form.secret("access_token")?;
        exchanged(&shell, form.get("service").to_owned(), token).await
    };
    answered(done.await)
}

async fn exchanged(guest: &Guest, service: String, token: Secret<String>) -> Result<Response> {
    let caller = Caller::nobody(guest.source());
    let issued = enter(guest.house(), &caller, ExchangeForRegistry { service, token }).await?;
    let issued = issued.ok_or_else(unproved)?;
    Ok(axum::Json(json!({"refresh_token": issued.token.expose()})).into_response())
}

async fn issue(guest: &Guest, op: GetRegistryToken) -> Result<Response> {
    let caller = Caller::nobody(guest.source());
    let IssuedTokens { access, refresh } = enter(guest.house(), &caller, op).await?.ok_or_else(unproved)?;
    let mut body = json!({
        "token": access.token.expose(),
        "access_token": access.token.expose(),
        "expires_in": access.expires_in,
    });
    if let (Some(fields), Some(refresh)) = (body.as_object_mut(), refresh) {
        fields.insert(String::from("refresh_token"), json!(refresh.token.expose()));
    }
    Ok(axum::Json(body).into_response())
}

fn unproved() -> Error {
    let why = "show the client id and secret of a service principal, the admin account of a registry, or a token; people sign in with `az acr login` or `bartizan login` and exchange their access token";
    Error::new(Kind::Unauthenticated, why)
}

/// Several scopes come in several parameters, or in one with spaces between.
fn scopes(given: Vec<String>) -> Vec<String> {
    given.iter().flat_map(|scope| scope.split_whitespace()).map(str::to_owned).collect()
}

fn answered(done: Result<Response>) -> Response {
    let mut response = match done {
        Ok(response) => response,
        Err(fault) => refused(&fault),
    };
    // Tokens are nobody else's (RFC 6749 §5.1).
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    dress(&mut response);
    response
}

fn refused(fault: &Error) -> Response {
    let (status, code) = match fault.kind() {
        Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
        Kind::Invalid | Kind::TooLarge => (StatusCode::BAD_REQUEST, "UNSUPPORTED"),
        Kind::Throttled => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
        Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
    };
    if status.is_server_error() {
        tracing::error!(?fault, "a token could not be issued");
    }
    let mut response =
        (status, axum::Json(json!({"errors": [{"code": code, "message": fault.public()}]}))).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let realm = HeaderValue::from_static("Basic realm=\"registry\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    }
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        let seconds = HeaderValue::from(fault.waits().unwrap_or(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// A form; each value is wiped with it.
struct Form(Vec<(String, Secret<String>)>);

impl Form {
    async fn read(guest: Guest) -> Result<Self> {
        let bytes = guest.bytes_to(MOST_FORM).await?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::invalid("body", "must be a form in UTF-8"))?;
        Ok(Self(path::pairs(text).map(|(name, value)| (name, Secret::new(value))).collect()))
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.expose().as_str())
    }

    fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.expose().clone()).collect()
    }

    fn secret(&self, name: &str) -> Result<Secret<String>> {
        let value = self.get(name);
        if value.is_empty() {
            return Err(Error::invalid(name, "is needed"));
        }
        Ok(Secret::new(value.to_owned()))
    }
}
