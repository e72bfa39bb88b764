//! Errors in Graph's form: `{"error": {"code", "message"}}`, with Graph's codes.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kernel::{Error, Kind};
use wire::graph::{ErrorBody, ErrorDetail};

use crate::challenge;

/// A room's error on its way out of this face.
pub struct Fault(Error);

impl From<Error> for Fault {
    fn from(fault: Error) -> Self {
        Self(fault)
    }
}

/// Status and code of each kind. Permanent faults are never a 5xx: clients retry those.
fn status_of(kind: Kind) -> (StatusCode, &'static str) {
    match kind {
        Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken"),
        Kind::Denied => (StatusCode::FORBIDDEN, "Authorization_RequestDenied"),
        Kind::NotFound => (StatusCode::NOT_FOUND, "Request_ResourceNotFound"),
        Kind::Exists => (StatusCode::CONFLICT, "Request_MultipleObjectsWithSameKeyValue"),
        Kind::Conflict | Kind::Stale => (StatusCode::CONFLICT, "Request_Conflict"),
        Kind::Invalid => (StatusCode::BAD_REQUEST, "Request_BadRequest"),
        Kind::Unsupported => (StatusCode::BAD_REQUEST, "Request_UnsupportedQuery"),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Directory_QuotaExceeded"),
        Kind::Throttled => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
        Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Service_ServiceUnavailable"),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "Service_InternalServerError"),
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, code) = status_of(self.0.kind());
        let code = self.0.code().unwrap_or(code);
        if status.is_server_error() {
            tracing::error!(fault = ?self.0, "a request failed");
        }
        let mut headers = HeaderMap::new();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, challenge::bearer(&self.0));
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.0.waits().unwrap_or(1)));
        }
        let message = match self.0.kind() {
            // Two changed the same at once; there is no ETag that a client could look at.
            Kind::Stale => String::from("somebody else changed this at the same time; try again"),
            _ => self.0.public().to_owned(),
        };
        let error = ErrorDetail { code: code.to_owned(), message };
        (status, headers, axum::Json(ErrorBody { error })).into_response()
    }
}
