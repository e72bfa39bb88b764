//! Errors in the form of the service's Swagger document, `{"status_code", "message"}`, and below `/v2` in that of the Open
//! Inference Protocol, `{"error"}`.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kernel::{Error, Kind};
use wire::score::{ErrorResponse, InferenceError};

/// A failed call.
#[derive(Debug)]
pub(super) struct ScoreFault {
    status: StatusCode,
    message: String,
    /// Seconds, where it is worth trying again.
    wait: u64,
    is_inference: bool,
}

impl ScoreFault {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), wait: 1, is_inference: false }
    }

    /// In how many seconds it is worth trying again.
    pub(super) fn wait(self, seconds: u64) -> Self {
        Self { wait: seconds, ..self }
    }

    /// In the words of the Open Inference Protocol, or not.
    pub(super) fn worded(self, is_inference: bool) -> Self {
        Self { is_inference, ..self }
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
            Kind::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!(?fault, "a scoring call failed");
        }
        Self::new(status, fault.public()).wait(fault.waits().unwrap_or(1))
    }
}

impl IntoResponse for ScoreFault {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"service\""));
        }
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.wait));
        }
        if self.is_inference {
            return (self.status, headers, axum::Json(InferenceError { error: self.message })).into_response();
        }
        let body = ErrorResponse { status_code: self.status.as_u16(), message: self.message };
        (self.status, headers, axum::Json(body)).into_response()
    }
}
