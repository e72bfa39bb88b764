//! What a scoring call ends in, and how it looks as HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

/// Messages go to callers; a runaway one is cut.
const LONGEST_MESSAGE: usize = 2_000;

/// A good end of a scoring call.
pub(crate) enum Answer {
    /// The prediction, as JSON.
    Json(Vec<u8>),
    /// A response that the entry script made itself, status and headers included.
    Made(Response<Bytes>),
}

/// A bad end of any call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The request does not fit the model.
    #[error("{0}")]
    Invalid(String),
    /// No such path.
    #[error("there is nothing at this path; score with `POST /score`")]
    NoSuchPath,
    /// The engine has no tensors to tell of.
    #[error("the Open Inference Protocol is answered for ONNX models only; score with `POST /score`")]
    NotOnnx,
    /// The path is good, the method is not.
    #[error("this path answers {0} only")]
    WrongMethod(&'static str),
    /// The body is larger than allowed.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The body is not declared as JSON.
    #[error("the body must be JSON, sent with `content-type: application/json`")]
    NotJson,
    /// The model or the user's `run()` failed.
    #[error("{0}")]
    RunFailed(String),
    /// The user's `run()` took too long.
    #[error("run() did not finish within {0:?}")]
    TimedOut(Duration),
    /// All workers are busy, or there is none yet.
    #[error("{0}")]
    Busy(&'static str),
    /// The fault is here.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// The status that tells it.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::NoSuchPath | Self::NotOnnx => StatusCode::NOT_FOUND,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RunFailed(_) => StatusCode::BAD_GATEWAY,
            Self::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// 200 with a body of this type.
pub(crate) fn ok(content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A failure as HTTP; in the words of the Open Inference Protocol, or not.
pub(crate) fn failed(failure: &Failure, is_inference: bool) -> Response<Full<Bytes>> {
    let status = failure.status();
    let mut message = one_line(&failure.to_string());
    if message.len() > LONGEST_MESSAGE {
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
        message.push('…');
    }
    let body = if is_inference {
        serde_json::to_vec(&wire::score::InferenceError { error: message })
    } else {
        serde_json::to_vec(&wire::score::ErrorResponse { status_code: status.as_u16(), message })
    };
    let mut response = ok("application/json", Bytes::from(body.unwrap_or_default()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    match failure {
        Failure::WrongMethod(allowed) => drop(headers.insert(ALLOW, HeaderValue::from_static(allowed))),
        Failure::Busy(_) => drop(headers.insert(RETRY_AFTER, HeaderValue::from_static("1"))),
        Failure::RunFailed(_) => {
            drop(headers.insert(wire::score::RUN_FUNCTION_FAILED, HeaderValue::from_static("true")));
        }
        _ => {}
    }
    response
}

/// Exceptions and library messages may span lines; a log line and an answer are one.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
