//! Errors in the form of the service's Swagger document: `{"status_code", "message"}`.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kernel::{Error, Kind};
use wire::score::ErrorResponse;

/// A failed call.
#[derive(Debug)]
pub(super) struct ScoreFault {
    status: StatusCode,
    message: String,
    /// Seconds, where it is worth trying again.
    wait: u64,
}

impl ScoreFault {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), wait: 1 }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Error> for ScoreFault {
    fn from(fault: Error) -> Self {
        let status = match fault.kind() {
            Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
            Kind::Denied => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Exists | Kind::Conflict => StatusCode::CONFLICT,
            Kind::Stale => StatusCode::PRECONDITION_FAILED,
            Kind::Invalid | Kind::Unsupported => StatusCode::BAD_REQUEST,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Throttled | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!(?fault, "a scoring call failed");
        }
        Self { wait: fault.waits().unwrap_or(1), ..Self::new(status, fault.public()) }
    }
}

impl IntoResponse for ScoreFault {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"service\""));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.wait));
        }
        let body = ErrorResponse { status_code: self.status.as_u16(), message: self.message };
        (self.status, headers, axum::Json(body)).into_response()
    }
}
