//! A replica's double: a small server on a Unix socket that does what a header tells it.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;

/// How many connections and calls the double has seen.
#[derive(Default)]
pub struct Seen {
    pub connections: AtomicUsize,
    pub calls: AtomicUsize,
}

/// Listens at `socket` until the test ends.
pub fn listen(socket: &str) -> Arc<Seen> {
    let listener = UnixListener::bind(socket).unwrap();
    let seen = Arc::new(Seen::default());
    let counted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.connections.fetch_add(1, Ordering::SeqCst);
            let seen = Arc::clone(&counted);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&seen), request));
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    seen
}

async fn answer(seen: Arc<Seen>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    if request.method() == http::Method::GET {
        let body = if request.uri().path() == "/" { "Healthy" } else { "{\"swagger\":\"2.0\"}" };
        return Ok(Response::new(Body::from(body)));
    }
    seen.calls.fetch_add(1, Ordering::SeqCst);
    let order = request.headers().get("x-order").map(|order| order.to_str().unwrap().to_owned()).unwrap_or_default();
    let headers: Vec<String> = request.headers().keys().map(ToString::to_string).collect();
    let length = match request.into_body().collect().await {
        Ok(body) => body.to_bytes().len(),
        Err(_) => return Ok(Response::new(Body::from("the body broke off"))),
    };
    Ok(match order.as_str() {
        "slow" => {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Response::new(Body::from("late"))
        }
        "wait" => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Response::new(Body::from("waited"))
        }
        "pieces" => {
            let pieces = stream::iter(0..3).then(|at| async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok::<_, Infallible>(Bytes::from(format!("piece {at};")))
            });
            Response::new(Body::from_stream(pieces))
        }
        "stall" => {
            let pieces = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"begun"))]).chain(stream::pending());
            Response::new(Body::from_stream(pieces))
        }
        "break" => {
            let end = stream::once(async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(std::io::Error::other("broken"))
            });
            Response::new(Body::from_stream(stream::iter([Ok(Bytes::from_static(b"begun"))]).chain(end)))
        }
        // The server ends the connection without an answer when its service panics.
        "die" => panic!("told to"),
        "fail" => {
            let mut response = Response::new(Body::from("{\"status_code\":502,\"message\":\"run() raised\"}"));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response.headers_mut().insert("x-ms-run-function-failed", "true".parse().unwrap());
            response
        }
        "speak" => {
            let mut response = Response::new(Body::from("<script>"));
            for (name, value) in [
                ("set-cookie", "a=b"),
                ("content-security-policy", "default-src *"),
                ("clear-site-data", "*"),
                ("x-own", "kept"),
                ("x-ms-request-id", "forged"),
            ] {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        _ => Response::new(Body::from(serde_json::json!({"headers": headers, "length": length}).to_string())),
    })
}
