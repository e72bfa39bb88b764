//! The in-jail proxy: what a user's program reaches at `127.0.0.1`, answered by the agent from outside the jail.
//!
//! The program holds no token. The agent adds the run token to requests below the run's own workspace path, and refuses
//! everything else, so a program can do with the server what its run may do there, and nothing more. Secrets that the program asks
//! for are hidden in its log before it gets them (`vault_door`).

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    agent::{
        server::Server,
        transport::{Body, full},
    },
    azure,
    imds::{self, Given},
    jail_tls, vault_door,
};

/// Connections at once.
const CONNECTIONS: usize = 128;
/// How long the head of a request may take.
const HEAD_TIME: Duration = Duration::from_secs(20);
/// How long the server may take to begin its answer.
pub(crate) const ANSWER_TIME: Duration = Duration::from_secs(300);
/// How often an address may be decoded before it must not change any more.
const DECODINGS: usize = 4;

/// Headers that are between two neighbours, or that the agent sets itself.
const DROPPED: &[&str] = &[
    "authorization",
    "connection",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Serves the door until the task is dropped: plainly, and with TLS where there is a certificate for it.
pub async fn serve(
    listener: TcpListener,
    server: Arc<Server>,
    workspace_path: String,
    port: u16,
    tls: Option<TlsAcceptor>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let allowed = azure::allowed(&workspace_path);
    let secrets = vault_door::place(&workspace_path);
    let door = format!("http://127.0.0.1:{port}");
    // Files have a name of their own where they can have one.
    let files = match &tls {
        Some(_) => format!("https://{}:{port}", jail_tls::FILES),
        None => format!("{door}{}", azure::FILES),
    };
    let files = HeaderValue::from_str(&files).unwrap_or(HeaderValue::from_static(""));
    let desk = Arc::new(Desk { server, allowed, secrets, door, port, files, given: Given::default() });
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { return };
        let (desk, tls) = (Arc::clone(&desk), tls.clone());
        tokio::spawn(async move {
            // What goes wrong on the connection is the program's to notice.
            match (tls, begins_tls(&stream).await) {
                (Some(tls), true) => {
                    if let Ok(Ok(stream)) = timeout(HEAD_TIME, tls.accept(stream)).await {
                        converse(stream, desk).await;
                    }
                }
                _ => converse(stream, desk).await,
            }
            drop(place);
        });
    }
}

/// Whether the first byte is that of a handshake (RFC 8446, 5.1); nothing of it is taken away.
async fn begins_tls(stream: &TcpStream) -> bool {
    let mut first = [0; 1];
    matches!(timeout(HEAD_TIME, stream.peek(&mut first)).await, Ok(Ok(1)) if first == [22])
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, desk: Arc<Desk>) {
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    let mut connection = http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(64 << 10);
    let _broken = connection.serve_connection(TokioIo::new(stream), service).await;
}

/// Who answers at the door.
struct Desk {
    server: Arc<Server>,
    /// What the program may ask below.
    allowed: Vec<String>,
    /// Where the workspace's secrets are.
    secrets: String,
    /// How the program reaches it.
    door: String,
    port: u16,
    /// Where the program finds files of runs.
    files: HeaderValue,
    given: Given,
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (mut head, body) = request.into_parts();
        let is_plain = head.uri.authority().is_none() && head.uri.scheme().is_none() && is_plain_method(&head.method);
        if is_plain && let Some(uri) = of_file(&head) {
            head.uri = uri;
        }
        let path = head.uri.path();
        if is_plain && path == azure::DISCOVERY && head.method == Method::GET {
            return azure::discovery(&self.door);
        }
        if is_plain && path == azure::CLOUDS && head.method == Method::GET {
            return azure::clouds(&self.door, self.port);
        }
        if is_plain && path == imds::PATH {
            return imds::answer(&self.server, &self.given, &head).await;
        }
        if is_plain && vault_door::is_asked(&head, &self.secrets) && is_straight_in_every_reading(path) {
            return vault_door::answer(&self.server, head, body).await;
        }
        // With a token of its own that it got here, the program may ask for whatever that token is good for.
        let own = head.headers.get(header::AUTHORIZATION).filter(|_| self.given.is_in(&head.headers)).cloned();
        let may = if own.is_some() {
            is_open_to_identities(path)
        } else {
            self.allowed.iter().any(|allowed| is_allowed(path, allowed))
        };
        if !is_plain || !may {
            return refusal(
                StatusCode::FORBIDDEN,
                "Forbidden",
                "this run may call nothing but its own workspace's tracking interface here, or what a token of its managed \
                 identity is good for",
            );
        }
        strip(&mut head.headers);
        head.headers.insert(HeaderName::from_static(azure::DOOR_HEADER), self.files.clone());
        let body = body.map_err(io::Error::other).boxed_unsync();
        match timeout(ANSWER_TIME, self.server.forward(Request::from_parts(head, body), own)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a request of the program could not be passed on");
                refusal(StatusCode::BAD_GATEWAY, "BadGateway", "the server cannot be reached at the moment")
            }
            Err(_) => refusal(StatusCode::GATEWAY_TIMEOUT, "GatewayTimeout", "the server did not answer in time"),
        }
    }
}

/// The address of a file that was asked for under the name that files have of their own.
fn of_file(head: &http::request::Parts) -> Option<http::Uri> {
    let host = head.headers.get(header::HOST)?.to_str().ok()?;
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if !name.eq_ignore_ascii_case(jail_tls::FILES) {
        return None;
    }
    let rest = head.uri.path_and_query()?;
    format!("{}{rest}", azure::FILES).parse().ok()
}

/// What a managed identity may call: everything but the agent's own addresses.
fn is_open_to_identities(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    !first.is_empty()
        && first.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
        && first != "agent"
        && is_straight_in_every_reading(path)
}

fn is_plain_method(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
}

/// Whether a path lies below the allowed one, in every reading that anybody behind us could have of it.
fn is_allowed(path: &str, allowed: &str) -> bool {
    if !allowed.starts_with('/') || allowed.len() < 2 {
        return false;
    }
    // The allowed part must be there byte for byte, so no encoding of it is accepted.
    let Some(rest) = path.strip_prefix(allowed) else { return false };
    if rest.is_empty() {
        return true;
    }
    rest.starts_with('/') && is_straight_in_every_reading(rest)
}

/// Whether nobody behind us can read the path as one that goes up, however often it is decoded.
fn is_straight_in_every_reading(path: &str) -> bool {
    if has_broken_escape(path.as_bytes()) {
        return false;
    }
    let mut reading = path.as_bytes().to_vec();
    for _ in 0..DECODINGS {
        if !is_straight(&reading) {
            return false;
        }
        let next = decoded(&reading);
        if next == reading {
            return true;
        }
        reading = next;
    }
    false
}

/// No way up, no empty part, nothing that some reader takes for a separator or an end.
fn is_straight(path: &[u8]) -> bool {
    if path.iter().any(|byte| *byte < 0x20 || matches!(*byte, b'\\' | b';' | b'#' | b'?' | 0x7F)) {
        return false;
    }
    let mut parts = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        if part == b"." || part == b".." || (part.is_empty() && !is_last) {
            return false;
        }
    }
    true
}

/// Whether a percent sign begins no escape.
fn has_broken_escape(path: &[u8]) -> bool {
    let mut rest = path;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        rest = rest.get(at + 1..).unwrap_or_default();
        if escape(rest).is_none() {
            return true;
        }
    }
    false
}

/// Percent-decodes once, as the most lenient reader would: what is no escape stays as it is.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        match escape(after).filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// The byte that two hexadecimal digits name.
fn escape(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

pub(crate) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in named {
        // Lengths are the framing itself; naming one as hop-by-hop must not unframe the message.
        if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
            headers.remove(name);
        }
    }
    for name in DROPPED {
        headers.remove(*name);
    }
    let told: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-forwarded-") || name.as_str() == "x-real-ip")
        .cloned()
        .collect();
    for name in told {
        headers.remove(name);
    }
}

pub(crate) fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    // The form that MLflow's client shows to people.
    let text = serde_json::json!({ "error_code": code, "code": code, "message": message }).to_string();
    let mut response = Response::new(full(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "/mlflow/v1.0/subscriptions/s/workspaces/ws1";

    #[test]
    fn a_program_reaches_its_own_workspace() {
        for rest in [
            "",
            "/",
            "/api/2.0/mlflow/runs/create",
            "/api/2.0/mlflow-artifacts/artifacts/model/MLmodel",
            "/a/b%20c",
            "/a/100%25",
            "/a/b.c..d",
            "/a/...",
        ] {
            assert!(is_allowed(&format!("{OWN}{rest}"), OWN), "{rest}");
        }
    }

    #[test]
    fn a_program_reaches_nothing_else() {
        for path in [
            "/",
            "",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws2/api",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws10/api",
            "/mlflow/v1.0/subscriptions/s/workspaces/WS1/api",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1../ws2",
            "/agent/v1/runs/r/finish",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/../ws2/api",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/api/../../ws2",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/%2e%2e/ws2",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/%2E%2E/ws2",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/.%2e/ws2",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/%252e%252e/ws2",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/%25252e%25252e/ws2",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/..%2fws2",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/x%2f..%2f..%2fws2",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/..%5cws2",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/..\\ws2",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1//ws2",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/x%2f%2fy",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/..;/ws2",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/.;a/ws2",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/a%00b",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/a%0d%0ab",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/a%3f..",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/a%zz",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/a%2",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/%25zz/%252e%252e/x",
            "/mlflow/v1.0/subscriptions/s/workspaces/ws1/x/%25%32%65%25%32%65/ws2",
            "/mlflow%2fv1.0/subscriptions/s/workspaces/ws1/api",
            "//mlflow/v1.0/subscriptions/s/workspaces/ws1/api",
            "/./mlflow/v1.0/subscriptions/s/workspaces/ws1/api",
        ] {
            assert!(!is_allowed(path, OWN), "{path}");
        }
        assert!(!is_allowed("/anything", ""));
        assert!(!is_allowed("/anything", "/"));
    }

    #[test]
    fn a_managed_identity_reaches_everything_but_the_agent_s_own_addresses() {
        for path in ["/subscriptions/s/resourceGroups/g", "/mlflow/v1.0/x", "/graph/v1.0/users", "/blob/a/b%20c"] {
            assert!(is_open_to_identities(path), "{path}");
        }
        for path in
            ["/", "", "/agent/v1/runs/r/start", "/%61gent/v1", "/x/../agent/v1", "/x/%2e%2e/agent", "//agent/v1"]
        {
            assert!(!is_open_to_identities(path), "{path}");
        }
    }

    #[test]
    fn a_program_brings_no_credentials_and_no_framing() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer stolen"),
            ("cookie", "a=b"),
            ("connection", "close, X-Secret, content-length"),
            ("x-secret", "1"),
            ("transfer-encoding", "chunked"),
            ("x-forwarded-for", "1.2.3.4"),
            ("forwarded", "for=1"),
            ("host", "other"),
            ("content-type", "application/json"),
            ("content-length", "2"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        strip(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "content-type"]);
    }
}
