//! Errors in MLflow's form: `{"error_code", "message"}`.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kernel::{Error, Kind};
use wire::mlflow::ErrorBody;

use crate::challenge;

/// A room's error on its way out of this face.
pub struct Fault(Error);

impl From<Error> for Fault {
    fn from(fault: Error) -> Self {
        Self(fault)
    }
}

/// Status and code of each kind. The client retries 408, 429 and most 5xx for minutes, so a user's fault is none of them.
fn status_of(kind: Kind) -> (StatusCode, &'static str) {
    match kind {
        Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        Kind::Denied => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        Kind::NotFound => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
        Kind::Exists => (StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS"),
        Kind::Conflict | Kind::Stale => (StatusCode::CONFLICT, "RESOURCE_CONFLICT"),
        Kind::Invalid => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "INVALID_PARAMETER_VALUE"),
        Kind::Throttled => (StatusCode::TOO_MANY_REQUESTS, "REQUEST_LIMIT_EXCEEDED"),
        Kind::Unsupported => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
        Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (mut status, mut code) = status_of(self.0.kind());
        // The client falls back on another way when it hears this status, and asks no second time.
        if self.0.code() == Some("NOT_IMPLEMENTED") {
            (status, code) = (StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED");
        } else if status.is_server_error() {
            tracing::error!(fault = ?self.0, "a request failed");
        }
        let mut headers = HeaderMap::new();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, challenge::bearer(&self.0));
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.0.waits().unwrap_or(1)));
        }
        let body = ErrorBody { error_code: code.to_owned(), message: self.0.public().to_owned() };
        (status, headers, axum::Json(body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_throttled_hears_for_how_long() {
        for (fault, seconds) in [
            (Error::new(Kind::Throttled, "busy"), "1"),
            (Error::new(Kind::Throttled, "busy").wait(0), "1"),
            (Error::new(Kind::Throttled, "busy").wait(11), "11"),
        ] {
            let answer = Fault(fault).into_response();
            assert_eq!(answer.headers().get(header::RETRY_AFTER).unwrap().to_str().unwrap(), seconds);
        }
    }
}
