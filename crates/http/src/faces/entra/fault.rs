//! Errors in OAuth's form with Entra's additions (RFC 6749 §5.2).

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kernel::{Error, Kind, Source};
use wire::oauth;

use crate::Guest;

/// An error of this face.
pub struct Fault {
    status: StatusCode,
    body: Box<oauth::TokenError>,
}

impl Fault {
    /// A refusal with Entra's number, OAuth's code, and words for people.
    pub(super) fn new(source: &Source, number: u32, code: &str, words: &str) -> Self {
        let status = if code == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
        let correlation = source.correlation.to_string();
        let now = kernel::Clock::now(&kernel::SystemClock).rfc3339();
        let body = Box::new(oauth::TokenError {
            error: code.to_owned(),
            error_description: format!(
                "AADSTS{number}: {words} Trace ID: {correlation} Correlation ID: {correlation} Timestamp: {now}"
            ),
            error_codes: vec![number],
            timestamp: now,
            trace_id: correlation.clone(),
            correlation_id: correlation,
            suberror: None,
            claims: None,
        });
        Self { status, body }
    }

    /// The user is to sign in again, and show this.
    pub(super) fn demanding(mut self, claims: Option<String>) -> Self {
        self.body.suberror = Some(String::from("basic_action"));
        self.body.claims = claims;
        self
    }

    /// An error of the gate.
    pub(super) fn of(source: &Source, why: &Error) -> Self {
        let (status, number, code) = match why.kind() {
            Kind::NotFound => (StatusCode::BAD_REQUEST, 90_002, "invalid_tenant"),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, 900_144, "invalid_request"),
            Kind::Throttled => (StatusCode::TOO_MANY_REQUESTS, 50_196, "temporarily_unavailable"),
            Kind::Unavailable | Kind::Stale => (StatusCode::SERVICE_UNAVAILABLE, 90_033, "temporarily_unavailable"),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, 90_033, "server_error"),
            Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, 50_012, "invalid_client"),
            Kind::Denied | Kind::Exists | Kind::Conflict | Kind::Invalid | Kind::Unsupported => {
                (StatusCode::BAD_REQUEST, 900_144, "invalid_request")
            }
        };
        if why.kind() == Kind::Internal {
            tracing::error!(correlation = %source.correlation, fault = ?why, "sign-in failed");
        }
        Self { status, ..Self::new(source, number, code, why.public()) }
    }
}

impl Guest {
    pub(super) fn fault(&self, why: &Error) -> Fault {
        Fault::of(&self.source(), why)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"token endpoint\""));
        }
        // Not with a refusal: azure-core repeats whatever comes with this header, three times, before it asks anybody.
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        (self.status, headers, axum::Json(self.body)).into_response()
    }
}
