//! The scoring protocol, outside at the gateway and inside on a replica's Unix socket: `POST /score`, `GET /`,
//! `GET /swagger.json`; and the Open Inference Protocol v2 below `/v2`.

use serde::{Deserialize, Serialize};

/// The answer to `GET /` of a healthy service.
pub const HEALTHY: &str = "Healthy";

/// Body of every failed scoring call (`ErrorResponse` in the service's Swagger document).
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct ErrorResponse {
    /// The HTTP status again.
    pub status_code: u16,
    /// One sentence.
    pub message: String,
}

/// Body of every failed call of the Open Inference Protocol v2 (`$inference_error_response`).
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct InferenceError {
    /// One sentence.
    pub error: String,
}

/// Set to `true` by a replica on answers that report a fault of the user's `run()`, with status 502.
pub const RUN_FUNCTION_FAILED: &str = "x-ms-run-function-failed";
