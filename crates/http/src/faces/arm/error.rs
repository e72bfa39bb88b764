//! Errors in ARM's form: `{"error": {"code", "message"}}`.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kernel::{Error, Kind};
use wire::arm::{ErrorBody, ErrorDetail};

use crate::challenge;

/// A room's error on its way out of this face.
pub struct Fault(Error);

impl From<Error> for Fault {
    fn from(fault: Error) -> Self {
        Self(fault)
    }
}

/// Status and code of each kind. Permanent faults are never a 5xx: clients retry those for minutes.
fn status_of(kind: Kind) -> (StatusCode, &'static str) {
    match kind {
        Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken"),
        Kind::Denied => (StatusCode::FORBIDDEN, "AuthorizationFailed"),
        Kind::NotFound => (StatusCode::NOT_FOUND, "ResourceNotFound"),
        Kind::Exists => (StatusCode::CONFLICT, "ResourceExists"),
        Kind::Conflict => (StatusCode::CONFLICT, "Conflict"),
        Kind::Stale => (StatusCode::PRECONDITION_FAILED, "PreconditionFailed"),
        Kind::Invalid => (StatusCode::BAD_REQUEST, "InvalidRequestContent"),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
        Kind::Throttled => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
        Kind::Unsupported => (StatusCode::BAD_REQUEST, "NotSupported"),
        Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
    }
}

/// The code: the error's own, or else that of its kind.
fn code_of(fault: &Error) -> &'static str {
    fault.code().unwrap_or(status_of(fault.kind()).1)
}

/// The error as ARM details it; for operation statuses too.
pub(crate) fn detail(fault: &Error) -> ErrorDetail {
    ErrorDetail {
        code: code_of(fault).to_owned(),
        message: fault.public().to_owned(),
        target: fault.target().map(str::to_owned),
        details: Vec::new(),
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = status_of(self.0.kind()).0;
        if status.is_server_error() {
            tracing::error!(fault = ?self.0, "a request failed");
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-error-code", HeaderValue::from_static(code_of(&self.0)));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, challenge::bearer(&self.0));
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.0.waits().unwrap_or(1)));
        }
        (status, headers, axum::Json(ErrorBody { error: detail(&self.0) })).into_response()
    }
}
