//! The paths of the Open Inference Protocol v2. A replica serves one model, under whatever name it is asked for: which names
//! there are is for the gateway to know.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::answer::{Failure, ok};
use crate::onnx::{Onnx, Tongue};
use crate::service::{Engine, Limited, Replica, is_json};

/// Set by callers whose tensors follow the JSON as bytes, an extension that is not offered.
const BINARY: &str = "inference-header-content-length";

/// Answers one request below `/v2`.
///
/// # Errors
/// As for `/score`; and when the model is no ONNX model, below `/v2/models`.
pub(crate) async fn answer(replica: &Replica, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let segments: Vec<&str> = path.split('/').skip(2).collect();
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    match segments.as_slice() {
        ["models", name, "infer"] if request.method() == Method::POST => {
            let name = name_of(name)?;
            infer(replica, request, name).await
        }
        ["models", _, "infer"] => Err(Failure::WrongMethod("POST")),
        [] | ["health", "live" | "ready"] | ["models", _] | ["models", _, "ready"] if !is_get => {
            Err(Failure::WrongMethod("GET, HEAD"))
        }
        [] => Ok(said(&json!({"name": "bartizan", "version": env!("CARGO_PKG_VERSION"), "extensions": []}))),
        ["health", "live"] => Ok(said(&json!({"live": true}))),
        ["health", "ready"] => {
            ready(replica).await?;
            Ok(said(&json!({"ready": true})))
        }
        ["models", name] => {
            let name = name_of(name)?;
            Ok(said(&onnx(replica.engine().await?)?.metadata(&name)))
        }
        ["models", name, "ready"] => {
            let name = name_of(name)?;
            onnx(replica.engine().await?)?;
            ready(replica).await?;
            Ok(said(&json!({"name": name, "ready": true})))
        }
        _ => Err(Failure::NoSuchPath),
    }
}

fn said(body: &Value) -> Response<Full<Bytes>> {
    ok("application/json", Bytes::from(body.to_string()))
}

async fn ready(replica: &Replica) -> Result<(), Failure> {
    if replica.engine().await?.is_healthy() {
        return Ok(());
    }
    Err(Failure::Busy("the workers are being restarted"))
}

fn onnx(engine: &Engine) -> Result<&Onnx, Failure> {
    match engine {
        Engine::Onnx(onnx) => Ok(onnx),
        Engine::Python(_) => Err(Failure::NotOnnx),
    }
}

async fn infer(replica: &Replica, request: Request<Incoming>, name: String) -> Result<Response<Full<Bytes>>, Failure> {
    let onnx = onnx(replica.engine().await?)?;
    let (head, body) = request.into_parts();
    if head.headers.contains_key(BINARY) {
        return Err(Failure::Invalid(String::from("tensors as bytes are not supported; send their `data` as JSON")));
    }
    if !is_json(&head.headers) {
        return Err(Failure::NotJson);
    }
    let body = Limited { body, most: replica.max_body() }.read(&head.headers).await?;
    Ok(ok("application/json", Bytes::from(onnx.score(body, Tongue::Inference(name)).await?)))
}

/// A segment of the path, percent-decoded.
fn name_of(segment: &str) -> Result<String, Failure> {
    let mut name = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            name.push(byte);
            continue;
        }
        let mut digit =
            || bytes.next().and_then(|byte| char::from(byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(Failure::NoSuchPath) };
        name.push((high << 4) | low);
    }
    String::from_utf8(name).map_err(|_| Failure::NoSuchPath)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_once() {
        assert_eq!(name_of("iris").unwrap(), "iris");
        assert_eq!(name_of("my%20model%2525").unwrap(), "my model%25");
        for bad in ["%", "%2", "%zz", "%ff"] {
            assert!(name_of(bad).is_err(), "{bad}");
        }
    }
}
