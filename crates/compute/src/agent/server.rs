//! The server as the agent sees it: the calls of `wire::agent`, each with its patience.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use kernel::Secret;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep, timeout};
use wire::agent::{Assignment, Finish, Heartbeat, IdentityToken, Orders, Problem, Secrets, Start, Status};

use super::{
    redact::Redactor,
    transport::{Body, Transport, empty, full},
};

/// The largest JSON answer.
const LARGEST_ANSWER: usize = 16 << 20;
/// How long an ordinary call may take to answer.
const CALL_TIME: Duration = Duration::from_secs(60);
/// How long the server may be away before the work is given up.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// First and last pause between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(15);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No answer, or one that says to try again.
    #[error("the server cannot be reached")]
    Away(#[source] io::Error),
    /// The run is over, as far as the server is concerned.
    #[error("the server does not know this run any more")]
    Over,
    /// Any other refusal.
    #[error("the server refused: {0}")]
    Refused(String),
}

/// The server, for one run.
pub struct Server {
    transport: Arc<dyn Transport>,
    run: String,
    token: Mutex<Secret<String>>,
    /// What is hidden in all that is told.
    redactor: Redactor,
}

impl Server {
    /// Speaks for `run` with its bootstrap token, until `start` brings the run token.
    pub fn new(transport: Arc<dyn Transport>, run: &str, token: Secret<String>) -> Self {
        Self { transport, run: encoded(run), token: Mutex::new(token), redactor: Redactor::default() }
    }

    /// The first call. It works once, so an answer that got lost cannot be asked for again: only a server that was never
    /// reached is tried again.
    pub async fn start(&self, start: &Start) -> Result<Assignment, ServerError> {
        let assignment: Assignment = patiently(PATIENCE, || self.ask(Method::POST, "start", start)).await?;
        self.renew(&assignment.run_token);
        Ok(assignment)
    }

    /// Uses this run token from now on.
    pub fn renew(&self, token: &str) {
        if let Ok(mut held) = self.token.lock() {
            *held = Secret::new(String::from(token));
        }
    }

    /// What hides the secrets of the run: in states, in the last word, and in logs.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    fn redacted(&self, message: Option<&str>) -> Option<String> {
        message.map(|text| self.redactor().text(text))
    }

    /// Tells where the run stands.
    pub async fn status(&self, status: &Status) -> Result<(), ServerError> {
        let status = Status { state: status.state, message: self.redacted(status.message.as_deref()) };
        patiently(PATIENCE, || self.tell(Method::POST, "status", &status)).await
    }

    /// A sign of life; answers with what the server wants.
    pub async fn heartbeat(&self, wait: Duration) -> Result<Orders, ServerError> {
        let beat = Heartbeat { wait_seconds: wait.as_secs() };
        self.ask(Method::POST, "heartbeat", &beat).await
    }

    /// The secrets that the run's variables name.
    pub async fn secrets(&self) -> Result<BTreeMap<String, Secret<String>>, ServerError> {
        patiently(PATIENCE, || async {
            let answer = self.exchange(self.request(Method::GET, "secrets", empty())?, CALL_TIME).await?;
            let text = Limited::new(answer.into_body(), LARGEST_ANSWER).collect();
            let text = timeout(CALL_TIME, text).await.map_err(|_| ServerError::Away(io::ErrorKind::TimedOut.into()))?;
            let text = text.map_err(|error| ServerError::Away(io::Error::other(error)))?.to_bytes();
            // The parser's words may quote what it read.
            let unread = |_| ServerError::Refused(String::from("its answer to `secrets` cannot be read"));
            let Secrets { values } = serde_json::from_slice(&text).map_err(unread)?;
            Ok(values.into_iter().map(|(variable, value)| (variable, Secret::new(value))).collect())
        })
        .await
    }

    /// Appends to a log at an offset; bytes the server has already are skipped, so it may be repeated.
    pub async fn log(&self, name: &str, offset: u64, bytes: Bytes) -> Result<(), ServerError> {
        let path = format!("logs/{}?offset={offset}", encoded_path(name));
        patiently(PATIENCE, || self.send_bytes(Method::POST, &path, full(bytes.clone()))).await
    }

    /// Stores a file of the run. `body` is made anew for each attempt.
    pub async fn artifact(
        &self,
        name: &str,
        length: u64,
        body: impl Fn() -> io::Result<Body> + Send + Sync,
    ) -> Result<(), ServerError> {
        let path = format!("artifacts/{}", encoded_path(name));
        patiently(PATIENCE, || async {
            let mut request = self.request(Method::PUT, &path, body().map_err(refused)?)?;
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            // Large files take their time; what stalls is found by the connection's own timeouts.
            self.exchange(request, Duration::from_secs(3600)).await.map(drop)
        })
        .await
    }

    /// Opens a file of the assignment.
    pub async fn file(&self, sha256: &str) -> Result<Body, ServerError> {
        self.download(&format!("files/{}", encoded(sha256))).await
    }

    /// Opens a file of an input of the assignment, by its place among the input's files.
    pub async fn input(&self, name: &str, index: usize) -> Result<Body, ServerError> {
        self.download(&format!("inputs/{}/{index}", encoded(name))).await
    }

    /// Opens a layer of the assignment.
    pub async fn layer(&self, digest: &str) -> Result<Body, ServerError> {
        self.download(&format!("layers/{}", encoded(digest))).await
    }

    /// The last word.
    pub async fn finish(&self, finish: &Finish, patience: Duration) -> Result<(), ServerError> {
        let finish = Finish { message: self.redacted(finish.message.as_deref()), ..finish.clone() };
        patiently(patience, || self.tell(Method::POST, "finish", &finish)).await
    }

    /// A token of one of the run's managed identities. Only a person's program waits for it, so it is not repeated.
    pub async fn identity_token(&self, query: &[(&str, String)]) -> Result<IdentityToken, ServerError> {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let request = self.request(Method::GET, &format!("identity?{}", query.join("&")), empty())?;
        self.read(self.exchange(request, CALL_TIME).await?, "identity").await
    }

    /// Passes a request of the user's program on, with its own bearer or with the run token; its address was checked
    /// before.
    pub async fn forward(&self, mut request: Request<Body>, own: Option<HeaderValue>) -> io::Result<Response<Body>> {
        let bearer = match own {
            Some(mut own) => {
                own.set_sensitive(true);
                own
            }
            None => self.bearer().map_err(|error| io::Error::other(error.to_string()))?,
        };
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        self.transport.send(request).await
    }

    async fn download(&self, path: &str) -> Result<Body, ServerError> {
        patiently(PATIENCE, || async {
            let request = self.request(Method::GET, path, empty())?;
            self.exchange(request, CALL_TIME).await.map(Response::into_body)
        })
        .await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ServerError> {
        let answer = self.send_json(method, path, body).await?;
        self.read(answer, path).await
    }

    async fn read<T: DeserializeOwned>(&self, answer: Response<Body>, path: &str) -> Result<T, ServerError> {
        let text = Limited::new(answer.into_body(), LARGEST_ANSWER).collect();
        let text = timeout(CALL_TIME, text).await.map_err(|_| ServerError::Away(io::ErrorKind::TimedOut.into()))?;
        let text = text.map_err(|error| ServerError::Away(io::Error::other(error)))?.to_bytes();
        serde_json::from_slice(&text).map_err(|error| ServerError::Refused(format!("its answer to `{path}`: {error}")))
    }

    async fn tell(&self, method: Method, path: &str, body: &(impl Serialize + Sync)) -> Result<(), ServerError> {
        self.send_json(method, path, body).await.map(drop)
    }

    async fn send_json(
        &self,
        method: Method,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Response<Body>, ServerError> {
        let text = serde_json::to_vec(body).map_err(refused)?;
        let mut request = self.request(method, path, full(text))?;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.exchange(request, CALL_TIME).await
    }

    async fn send_bytes(&self, method: Method, path: &str, body: Body) -> Result<(), ServerError> {
        let request = self.request(method, path, body)?;
        self.exchange(request, CALL_TIME).await.map(drop)
    }

    fn request(&self, method: Method, path: &str, body: Body) -> Result<Request<Body>, ServerError> {
        let address = format!("/agent/v1/runs/{}/{path}", self.run);
        let mut request = Request::builder().method(method).uri(address).body(body).map_err(refused)?;
        request.headers_mut().insert(header::AUTHORIZATION, self.bearer()?);
        if !request.headers().contains_key(header::CONTENT_TYPE) {
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        }
        Ok(request)
    }

    fn bearer(&self) -> Result<HeaderValue, ServerError> {
        let token = self.token.lock().map_err(|_| ServerError::Refused(String::from("the token is lost")))?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(refused)?;
        // Keeps it out of debug prints and of header compression.
        value.set_sensitive(true);
        Ok(value)
    }

    async fn exchange(&self, request: Request<Body>, time: Duration) -> Result<Response<Body>, ServerError> {
        let sent = timeout(time, self.transport.send(request)).await;
        let answer = match sent {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(ServerError::Away(error)),
            Err(_) => return Err(ServerError::Away(io::ErrorKind::TimedOut.into())),
        };
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND | StatusCode::GONE => Err(ServerError::Over),
            _ if status.is_server_error()
                || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) =>
            {
                Err(ServerError::Away(io::Error::other(format!("it answered {}", status.as_u16()))))
            }
            _ => {
                let text = Limited::new(answer.into_body(), 64 << 10).collect().await;
                let problem = text.ok().and_then(|text| serde_json::from_slice::<Problem>(&text.to_bytes()).ok());
                let words = problem.map_or_else(|| format!("status {}", status.as_u16()), |problem| problem.message);
                Err(ServerError::Refused(words))
            }
        }
    }
}

fn refused(error: impl std::fmt::Display) -> ServerError {
    ServerError::Refused(error.to_string())
}

/// Repeats a call while the server is away, with growing pauses, until `patience` is used up.
pub async fn patiently<T, F>(patience: Duration, mut call: impl FnMut() -> F) -> Result<T, ServerError>
where
    F: Future<Output = Result<T, ServerError>>,
{
    let mut pause = FIRST_PAUSE;
    let mut away_since: Option<Instant> = None;
    loop {
        match call().await {
            Err(ServerError::Away(error)) => {
                let since = *away_since.get_or_insert_with(Instant::now);
                if since.elapsed() + pause > patience {
                    return Err(ServerError::Away(error));
                }
                tracing::debug!(%error, "the server is away; trying again");
                sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
            other => return other,
        }
    }
}

/// A path whose parts are encoded one by one.
fn encoded_path(path: &str) -> String {
    path.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

/// Percent-encodes what is not unreserved in a URL.
fn encoded(part: &str) -> String {
    part.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_part_by_part() {
        assert_eq!(encoded_path("outputs/a b/ü?#%.txt"), "outputs/a%20b/%C3%BC%3F%23%25.txt");
        assert_eq!(encoded("sha256:ab"), "sha256:ab");
    }
}
