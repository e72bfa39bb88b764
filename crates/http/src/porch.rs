//! What every request passes before it reaches a door: Host check, correlation, bounds; and what every answer carries.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use kernel::{CorrelationId, Limits, Source};

use crate::crowd::Crowd;

/// Names under which the server may be called; an unknown `Host` is refused, so that a rebound name reaches nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts {
    exact: Vec<String>,
    suffix: String,
}

impl Hosts {
    pub(crate) fn new(names: &[String], suffix: &str) -> Self {
        let exact = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { exact, suffix: format!(".{}", suffix.to_ascii_lowercase()) }
    }

    fn knows(&self, authority: &str) -> bool {
        let host = host_of(authority).to_ascii_lowercase();
        self.exact.contains(&host) || host.ends_with(&self.suffix)
    }
}

/// The host of an authority, without its port and brackets.
pub(crate) fn host_of(authority: &str) -> &str {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => host,
        _ => authority,
    };
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The peer's address, put on the request by the listener, and whether it is one of this machine's own. What the client says
/// of itself (`Forwarded`, `X-Forwarded-For`) is never read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub address: IpAddr,
    pub is_here: bool,
}

pub(crate) fn wrap(router: Router, hosts: Arc<Hosts>, limits: Arc<Limits>) -> Router {
    router
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "NotFound", "there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "this address does not take that method")
        })
        .layer(middleware::from_fn_with_state(Porch { hosts, crowd: Crowd::new(limits.per_caller), limits }, admit))
}

/// What the porch needs to know.
#[derive(Clone)]
struct Porch {
    hosts: Arc<Hosts>,
    limits: Arc<Limits>,
    crowd: Crowd<u64>,
}

async fn admit(State(porch): State<Porch>, mut request: Request, next: Next) -> Response {
    let Porch { hosts, limits, crowd } = porch;
    let source = source_of(&request);
    let correlation = source.correlation.to_string();
    request.extensions_mut().insert(source);
    let seat = crowd.enter(one_caller(&request));
    // On the person's own machine other programs share the name, and browsers would force TLS upon them all.
    let is_shared = names(&request).flatten().any(|name| is_loopback(host_of(name)));
    let mut response = if seat.is_none() {
        busy()
    } else if names(&request).all(|host| host.is_some_and(|host| hosts.knows(host))) {
        // Bodies, long polls and streams have bounds of their own; this is the last resort for everything.
        let bound = limits.request.saturating_mul(60);
        match tokio::time::timeout(bound, next.run(request)).await {
            Ok(response) => response,
            Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "Timeout", "the request took too long"),
        }
    } else {
        problem(StatusCode::MISDIRECTED_REQUEST, "MisdirectedRequest", "this server does not go by that name")
    };
    dress(response.headers_mut(), &correlation);
    if is_shared {
        response.headers_mut().remove(header::STRICT_TRANSPORT_SECURITY);
    }
    response
}

/// Tells callers apart before they are established: by what they present, or else by where they come from.
fn one_caller(request: &Request) -> u64 {
    let mut hash = DefaultHasher::new();
    match request.headers().get(header::AUTHORIZATION) {
        Some(credential) => credential.as_bytes().hash(&mut hash),
        None => request.extensions().get::<Peer>().map(|peer| peer.address).hash(&mut hash),
    }
    hash.finish()
}

/// The answer to a caller who asks for too much at once.
fn busy() -> Response {
    let mut response =
        problem(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "too many requests at once; try again");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// Every name the request was sent to: the authority of HTTP/2 and each `Host` header. None of them may be foreign, and
/// there must be one.
pub(crate) fn names(request: &Request) -> impl Iterator<Item = Option<&str>> {
    let authority = request.uri().authority().map(|authority| Some(authority.as_str()));
    let headers = request.headers().get_all(header::HOST).iter().map(|name| name.to_str().ok());
    let nameless = authority.is_none() && !request.headers().contains_key(header::HOST);
    authority.into_iter().chain(headers).chain(nameless.then_some(None))
}

fn source_of(request: &Request) -> Source {
    let guid = |name: &str| request.headers().get(name)?.to_str().ok()?.parse::<CorrelationId>().ok();
    let client_request = request.headers().get("x-ms-client-request-id").and_then(|id| id.to_str().ok());
    let peer = request.extensions().get::<Peer>();
    Source {
        address: peer.map(|peer| peer.address),
        is_here: peer.is_some_and(|peer| peer.is_here),
        correlation: guid("x-ms-correlation-request-id").unwrap_or_else(CorrelationId::random),
        client_request: client_request.map(|id| id.chars().take(100).collect()),
    }
}

fn dress(headers: &mut HeaderMap, correlation: &str) {
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"));
    if let Ok(id) = HeaderValue::from_str(correlation) {
        headers.insert(HeaderName::from_static("x-ms-correlation-request-id"), id.clone());
        headers.insert(HeaderName::from_static("x-ms-request-id"), id);
    }
}

/// An error before any face was reached; every protocol here at least reads JSON.
fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    // MLflow's client knows its own word for an address that is not served, and falls back on it.
    let error_code = if status == StatusCode::NOT_FOUND { "ENDPOINT_NOT_FOUND" } else { "BAD_REQUEST" };
    let body =
        serde_json::json!({"error": {"code": code, "message": message}, "error_code": error_code, "message": message});
    (status, [(header::CONTENT_TYPE, "application/json")], Body::from(body.to_string())).into_response()
}

/// The answer to a path that is not acceptable. MLflow's clients know their own words for that of a file.
pub(crate) fn bad_path(path: &str) -> Response {
    if path.contains("/mlflow-artifacts/") {
        let body = serde_json::json!({"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid path"});
        return dressed((StatusCode::BAD_REQUEST, axum::Json(body)).into_response());
    }
    dressed(problem(StatusCode::BAD_REQUEST, "InvalidRequestUri", "the path of the address is not well formed"))
}

/// The answer to a request whose handling broke down.
pub(crate) fn panicked() -> Response {
    dressed(problem(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "an internal error occurred"))
}

fn dressed(mut response: Response) -> Response {
    dress(response.headers_mut(), &CorrelationId::random().to_string());
    response
}
