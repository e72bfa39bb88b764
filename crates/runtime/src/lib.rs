//! `bartizan model-server`: the replica process of a scoring service. It runs inside a jail, loads one model (ONNX
//! Runtime in the process, or a Python entry script in worker processes) and answers HTTP/1.1 on an inherited Unix socket.
//!
//! | call | answer |
//! | --- | --- |
//! | `GET /` | 200 `Healthy` once the model is loaded or `init()` has returned, 503 before |
//! | `POST /score` | the prediction as JSON |
//! | `GET /swagger.json` | Swagger 2.0 of this very model |
//! | `/v2…` | the Open Inference Protocol v2 (REST), for ONNX models |
//!
//! Every failure is a [`wire::score::ErrorResponse`]; below `/v2` it is a [`wire::score::InferenceError`]. Standard error is the log of the service.

mod answer;
mod inference;
mod inherited;
mod log;
mod onnx;
mod options;
mod python;
mod serve;
mod service;
mod swagger;

pub use options::{EngineOptions, Options};
pub use serve::{Stop, model_server_main};
