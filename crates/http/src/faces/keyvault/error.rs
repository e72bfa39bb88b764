//! Errors in Key Vault's form, and the challenge that tells clients where to get a token.

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kernel::{Error, Kind};
use serde_json::{Value, json};

/// A room's error on its way out of this face.
pub(crate) struct Fault {
    fault: Error,
    challenge: Option<Box<Challenge>>,
}

/// Where a token is to be had, and for what.
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    /// The authority with the tenant.
    pub authority: String,
    /// The resource.
    pub resource: String,
}

impl From<Error> for Fault {
    fn from(fault: Error) -> Self {
        Self { fault, challenge: None }
    }
}

impl Fault {
    /// The refusal of somebody who shows no token, or a wrong one.
    pub(super) fn challenging(fault: Error, challenge: Challenge) -> Self {
        Self { fault, challenge: Some(Box::new(challenge)) }
    }
}

impl Challenge {
    /// The `WWW-Authenticate` of a 401 (RFC 6750 §3), in the order in which Azure's clients know it.
    fn header(&self, fault: &Error) -> Option<HeaderValue> {
        let Self { authority, resource } = self;
        let mut text = format!("Bearer authorization=\"{authority}\", resource=\"{resource}\"");
        if let Some(claims) = fault.challenge() {
            text = format!("{text}, error=\"insufficient_claims\", claims=\"{}\"", STANDARD.encode(claims));
        }
        HeaderValue::try_from(text).ok()
    }
}

/// Status, code, and the inner code that says why.
fn words(fault: &Error) -> (StatusCode, &'static str, Option<&'static str>) {
    let why = fault.code();
    match fault.kind() {
        Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, "Unauthorized", None),
        Kind::Denied => {
            let inner = why.unwrap_or("ForbiddenByRbac");
            (StatusCode::FORBIDDEN, "Forbidden", (inner != "Forbidden").then_some(inner))
        }
        Kind::NotFound => (StatusCode::NOT_FOUND, why.unwrap_or("VaultNotFound"), None),
        Kind::Exists | Kind::Conflict => (StatusCode::CONFLICT, "Conflict", why),
        Kind::Stale => (StatusCode::CONFLICT, "Conflict", None),
        Kind::Invalid => (StatusCode::BAD_REQUEST, why.unwrap_or("BadParameter"), None),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", None),
        Kind::Throttled => (StatusCode::TOO_MANY_REQUESTS, "Throttled", None),
        Kind::Unsupported => (StatusCode::BAD_REQUEST, "NotSupported", None),
        Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", None),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError", None),
    }
}

/// What is said. A refusal of the gate names the vault's whole id, which whoever may not know the vault must not learn.
fn message(fault: &Error) -> String {
    match fault.kind() {
        Kind::NotFound if fault.code().is_none() => String::from("there is no such vault, or you may not know of it"),
        Kind::Stale => String::from("somebody else changed this at the same time; try again"),
        _ => fault.public().to_owned(),
    }
}

fn body(fault: &Error) -> Value {
    let (_, code, inner) = words(fault);
    let mut error = json!({"code": code, "message": message(fault)});
    if let (Some(inner), Some(fields)) = (inner, error.as_object_mut()) {
        fields.insert(String::from("innererror"), json!({"code": inner}));
    }
    json!({"error": error})
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, ..) = words(&self.fault);
        if status.is_server_error() {
            tracing::error!(fault = ?self.fault, "a request failed");
        }
        let mut headers = HeaderMap::new();
        if let Some(asked) = self.challenge.and_then(|challenge| challenge.header(&self.fault)) {
            headers.insert(header::WWW_AUTHENTICATE, asked);
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.fault.waits().unwrap_or(1)));
        }
        (status, headers, axum::Json(body(&self.fault))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_names_authority_resource_and_claims() {
        let challenge =
            Challenge { authority: String::from("https://h:1/t"), resource: String::from("https://vault.x:1") };
        let plain = Error::new(Kind::Unauthenticated, "no");
        let said = challenge.header(&plain).unwrap();
        assert_eq!(said, "Bearer authorization=\"https://h:1/t\", resource=\"https://vault.x:1\"");
        let asked = plain.challenging(String::from(r#"{"access_token":{}}"#));
        let said = challenge.header(&asked).unwrap();
        let tail = ", error=\"insufficient_claims\", claims=\"eyJhY2Nlc3NfdG9rZW4iOnt9fQ==\"";
        assert!(said.to_str().unwrap().ends_with(tail), "{said:?}");
    }

    #[test]
    fn why_something_is_refused_is_the_inner_code() {
        let disabled = body(&Error::new(Kind::Denied, "no").coded("SecretDisabled"));
        assert_eq!(disabled["error"]["code"], "Forbidden");
        assert_eq!(disabled["error"]["innererror"]["code"], "SecretDisabled");
        let denied = body(&Error::new(Kind::Denied, "no"));
        assert_eq!(denied["error"]["innererror"]["code"], "ForbiddenByRbac");
        let hidden = body(&Error::not_found("the resource `/subscriptions/s/…`"));
        assert!(!hidden.to_string().contains("subscriptions"), "{hidden}");
    }
}
