//! The HTTP face of a replica: three paths of the article, and those of the Open Inference Protocol below `/v2`.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use tokio::sync::watch;

use crate::Stop;
use crate::answer::{Answer, Failure, failed, ok};
use crate::inference;
use crate::onnx::{Onnx, Tongue};
use crate::python::Python;

/// How long a call waits for a model that is still loading before it is told so. Most are loaded within it, so that whoever
/// waits for a new replica need not ask twice.
const PATIENCE: Duration = Duration::from_millis(400);

/// What answers.
pub(crate) enum Engine {
    /// ONNX Runtime in this process.
    Onnx(Onnx),
    /// Python workers.
    Python(Python),
}

impl Engine {
    pub(crate) fn is_healthy(&self) -> bool {
        match self {
            Self::Onnx(_) => true,
            Self::Python(python) => python.is_healthy(),
        }
    }

    fn swagger(&self) -> Bytes {
        match self {
            Self::Onnx(onnx) => onnx.swagger(),
            Self::Python(python) => python.swagger(),
        }
    }
}

/// The state behind all connections.
pub(crate) struct Replica {
    engine: OnceLock<Engine>,
    loaded: watch::Sender<bool>,
    max_body: usize,
}

impl Replica {
    /// A replica whose engine is not loaded yet.
    pub(crate) fn new(max_body: usize) -> Self {
        Self { engine: OnceLock::new(), loaded: watch::Sender::new(false), max_body }
    }

    /// From now on `engine` answers. Returns when it gives up.
    pub(crate) async fn publish(&self, engine: Engine) -> Stop {
        let engine = self.engine.get_or_init(|| engine);
        self.loaded.send_replace(true);
        match engine {
            Engine::Onnx(_) => std::future::pending().await,
            Engine::Python(python) => python.gave_up().await,
        }
    }

    /// Ends the engine's own processes.
    pub(crate) async fn end(&self) {
        if let Some(Engine::Python(python)) = self.engine.get() {
            python.end().await;
        }
    }

    pub(crate) fn max_body(&self) -> usize {
        self.max_body
    }

    pub(crate) async fn engine(&self) -> Result<&Engine, Failure> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let mut loaded = self.loaded.subscribe();
        drop(tokio::time::timeout(PATIENCE, loaded.wait_for(|loaded| *loaded)).await);
        self.engine.get().ok_or(Failure::Busy("the model is still loading"))
    }
}

/// Answers one request.
pub(crate) async fn answer(
    replica: Arc<Replica>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_inference = request.uri().path().split('/').nth(1) == Some("v2");
    let answered = match (request.uri().path(), request.method()) {
        _ if is_inference => inference::answer(&replica, request).await,
        ("/score", _) => score(&replica, request).await,
        ("/", &Method::GET | &Method::HEAD) => health(&replica).await,
        ("/swagger.json", &Method::GET | &Method::HEAD) => swagger(&replica).await,
        ("/" | "/swagger.json", _) => Err(Failure::WrongMethod("GET, HEAD")),
        _ => Err(Failure::NoSuchPath),
    };
    Ok(answered.unwrap_or_else(|failure| failed(&failure, is_inference)))
}

async fn health(replica: &Replica) -> Result<Response<Full<Bytes>>, Failure> {
    if !replica.engine().await?.is_healthy() {
        return Err(Failure::Busy("the workers are being restarted"));
    }
    Ok(ok("text/plain; charset=utf-8", Bytes::from_static(wire::score::HEALTHY.as_bytes())))
}

async fn swagger(replica: &Replica) -> Result<Response<Full<Bytes>>, Failure> {
    Ok(ok("application/json", replica.engine().await?.swagger()))
}

async fn score(replica: &Replica, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
    let engine = replica.engine().await?;
    let (head, body) = request.into_parts();
    let body = Limited { body, most: replica.max_body };
    let answer = match engine {
        Engine::Python(python) if python.is_raw() => python.score_raw(&head, &body.read(&head.headers).await?).await?,
        _ if head.method != Method::POST => return Err(Failure::WrongMethod("POST")),
        _ if !is_json(&head.headers) => return Err(Failure::NotJson),
        Engine::Python(python) => python.score(body.read(&head.headers).await?).await?,
        Engine::Onnx(onnx) => Answer::Json(onnx.score(body.read(&head.headers).await?, Tongue::Score).await?),
    };
    match answer {
        Answer::Json(body) => Ok(ok("application/json", Bytes::from(body))),
        Answer::Made(response) => Ok(response.map(Full::new)),
    }
}

/// A body that says nothing about itself counts as JSON; the parser has the last word.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(declared) = headers.get(CONTENT_TYPE) else { return true };
    let media = declared.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/json")
        || (media.len() > 5 && media.get(media.len() - 5..).is_some_and(|end| end.eq_ignore_ascii_case("+json")))
}

/// A body that may be at most so long.
pub(crate) struct Limited {
    pub(crate) body: Incoming,
    pub(crate) most: usize,
}

impl Limited {
    /// Reads it. Nothing is read of a body that declares itself larger; one that arrives in one piece is not copied.
    pub(crate) async fn read(mut self, headers: &HeaderMap) -> Result<Bytes, Failure> {
        let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > self.most)) {
            return Err(Failure::TooLarge(self.most));
        }
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| Failure::Invalid(format!("the body could not be read: {error}")))?;
            let Ok(piece) = frame.into_data() else { continue };
            if first.len() + rest.len() + piece.len() > self.most {
                return Err(Failure::TooLarge(self.most));
            }
            if first.is_empty() {
                first = piece;
            } else {
                rest.extend_from_slice(&piece);
            }
            if self.body.is_end_stream() {
                break;
            }
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let mut whole = BytesMut::with_capacity(first.len() + rest.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&rest);
        Ok(whole.freeze())
    }
}
