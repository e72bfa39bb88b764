//! Errors in the distribution specification's form, and the challenge that tells a client where it gets which token.

use axum::response::{IntoResponse, Response};
use domain::registry::INSUFFICIENT;
use http::{HeaderValue, Method, StatusCode, header};
use kernel::{Error, Kind};
use serde_json::json;

use super::{
    acr::repository_of,
    place::{Kind as Asked, Visit},
};
use crate::Guest;

/// What a customer-managed key that may not be used is answered with within the house.
const LOCKED: &str = "CustomerManagedKeyUnavailable";

/// A refusal, and where a client gets a token.
pub(super) struct Fault {
    error: Error,
    challenge: String,
}

impl Fault {
    pub(super) fn new(guest: &Guest, error: Error) -> Self {
        Self { challenge: challenge(guest, &error), error }
    }
}

/// Status and code of each kind; most errors name a code of their own.
fn status_of(error: &Error) -> (StatusCode, &'static str) {
    let (status, code) = match error.kind() {
        Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
        Kind::Denied => (StatusCode::FORBIDDEN, "DENIED"),
        Kind::NotFound => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        Kind::Exists | Kind::Conflict | Kind::Stale => (StatusCode::CONFLICT, "DENIED"),
        Kind::Invalid => (StatusCode::BAD_REQUEST, "UNSUPPORTED"),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
        Kind::Unsupported => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
        Kind::Throttled => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
        Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
    };
    match error.code() {
        Some("RANGE_INVALID") => (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID"),
        Some(INSUFFICIENT) => (status, "UNAUTHORIZED"),
        Some(LOCKED) => (StatusCode::FORBIDDEN, "DENIED"),
        Some(own) if own.bytes().all(|c| c.is_ascii_uppercase() || c == b'_') => (status, own),
        _ => (status, code),
    }
}

/// What is said of it: of a refusal that is the gate's own, no more than that it is one.
fn words(error: &Error) -> &str {
    match (error.kind(), error.code()) {
        (_, Some(LOCKED)) => "the key that holds this registry may not be used; whoever holds it can give it back",
        (Kind::NotFound, None) => "there is nothing by this name, or it is not for whoever asks",
        (Kind::Denied, None) => "whoever asks is not authorized to do this in this registry",
        _ => error.public(),
    }
}

/// `Bearer realm=…,service=…,scope=…` (Docker's "Token Authentication Specification").
fn challenge(guest: &Guest, error: &Error) -> String {
    let house = guest.house().settings();
    let (authority, is_own) = match guest.asked_as() {
        Some(asked) if !asked.authority.is_empty() => (asked.authority.clone(), asked.is_host_style),
        _ => (house.url.trim_start_matches("https://").to_owned(), false),
    };
    let mut text = format!("Bearer realm=\"https://{authority}/oauth2/token\",service=\"{authority}\"");
    if let Some(scope) = scope_of(guest, is_own) {
        text.push_str(&format!(",scope=\"{scope}\""));
    }
    if error.code() == Some(INSUFFICIENT) {
        text.push_str(",error=\"insufficient_scope\"");
    } else if guest.headers().contains_key(header::AUTHORIZATION) {
        text.push_str(",error=\"invalid_token\"");
    }
    text
}

/// What a token for this request is to be for.
fn scope_of(guest: &Guest, is_own: bool) -> Option<String> {
    let deletes = guest.method() == Method::DELETE;
    if let Some(below) = guest.path().strip_prefix("/acr/v1/") {
        let (registry, rest) = below.split_once('/')?;
        return scope(registry, repository_of(rest), if deletes { "delete" } else { "pull" }, is_own);
    }
    let visit = Visit::new(guest.shell()).ok()?;
    let actions = match (&visit.kind, guest.method()) {
        (Asked::Nothing, _) => return None,
        (Asked::Upload(_) | Asked::Uploads, _) => "pull,push",
        (_, &Method::GET | &Method::HEAD) => "pull",
        _ if deletes => "delete",
        _ => "pull,push",
    };
    scope(&visit.registry, &visit.repository, actions, is_own)
}

/// A scope, of the list of repositories when none is named. By the server's own name, a repository's name begins with its registry's.
fn scope(registry: &str, repository: &str, actions: &str, is_own: bool) -> Option<String> {
    let is_plain = |name: &str| name.bytes().all(|c| c.is_ascii_alphanumeric() || b"/._-".contains(&c));
    if !is_plain(registry) || !is_plain(repository) {
        return None;
    }
    Some(match (repository, is_own) {
        ("", true) => String::from("registry:catalog:*"),
        ("", false) => format!("registry:{registry}/catalog:*"),
        (name, true) => format!("repository:{name}:{actions}"),
        (name, false) => format!("repository:{registry}/{name}:{actions}"),
    })
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, code) = status_of(&self.error);
        if status.is_server_error() {
            tracing::error!(fault = ?self.error, "a request failed");
        }
        let body = json!({"errors": [{"code": code, "message": words(&self.error), "detail": null}]});
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED
            && let Ok(challenge) = HeaderValue::try_from(self.challenge)
        {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.error.waits().unwrap_or(1)));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_names_what_the_client_knows_it_by() {
        assert_eq!(scope("r", "a/b", "pull", true).as_deref(), Some("repository:a/b:pull"));
        assert_eq!(scope("r", "a/b", "pull,push", false).as_deref(), Some("repository:r/a/b:pull,push"));
        assert_eq!(scope("r", "", "pull", true).as_deref(), Some("registry:catalog:*"));
        assert_eq!(scope("r", "", "pull", false).as_deref(), Some("registry:r/catalog:*"));
        assert_eq!(scope("r", "a\",x=\"", "pull", true), None);
    }

    #[test]
    fn a_refusal_has_the_specification_s_code_and_tells_no_stranger_where_the_registry_lies() {
        let place = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/r";
        let missing = Error::not_found(format_args!("the resource `{place}`"));
        assert_eq!(status_of(&missing), (StatusCode::NOT_FOUND, "NAME_UNKNOWN"));
        assert!(!words(&missing).contains("/subscriptions"));
        let blob = Error::not_found("the blob").coded("BLOB_UNKNOWN");
        assert_eq!(status_of(&blob), (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"));
        let locked = Error::new(Kind::Denied, "its key `https://v/keys/k` is away").coded(LOCKED);
        assert_eq!(status_of(&locked), (StatusCode::FORBIDDEN, "DENIED"));
        assert!(!words(&locked).contains("https://"));
        let range = Error::new(Kind::Invalid, "x").coded("RANGE_INVALID");
        assert_eq!(status_of(&range).0, StatusCode::RANGE_NOT_SATISFIABLE);
    }
}
