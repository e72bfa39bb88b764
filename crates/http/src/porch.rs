//! What every request passes before it reaches a door: Host check, correlation, bounds; and what every answer carries.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use kernel::{CorrelationId, Limits, Source};

use crate::path;

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
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => host,
            _ => authority,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        self.exact.contains(&host) || host.ends_with(&self.suffix)
    }
}

/// The peer's address, put on the request by the listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub IpAddr);

pub(crate) fn wrap(router: Router, hosts: Arc<Hosts>, limits: Arc<Limits>) -> Router {
    router
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "NotFound", "there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "this address does not take that method")
        })
        .layer(middleware::from_fn_with_state((hosts, limits), admit))
}

async fn admit(State((hosts, limits)): State<(Arc<Hosts>, Arc<Limits>)>, mut request: Request, next: Next) -> Response {
    let authority = request.uri().authority().map(ToString::to_string);
    let mut named = request.headers().get_all(header::HOST).iter();
    let host = authority.or_else(|| named.next()?.to_str().ok().map(str::to_owned));
    if !host.is_some_and(|host| hosts.knows(&host)) || named.nth(1).is_some() {
        return problem(StatusCode::MISDIRECTED_REQUEST, "MisdirectedRequest", "this server does not go by that name");
    }
    let source = source_of(&request);
    let correlation = source.correlation.to_string();
    request.extensions_mut().insert(source);
    // Long polls and streams bound themselves; this is the last resort for everything.
    let bound = limits.request.saturating_mul(60);
    let mut response = match tokio::time::timeout(bound, next.run(request)).await {
        Ok(response) => response,
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "Timeout", "the request took too long"),
    };
    dress(response.headers_mut(), &correlation);
    response
}

fn source_of(request: &Request) -> Source {
    let guid = |name: &str| request.headers().get(name)?.to_str().ok()?.parse::<CorrelationId>().ok();
    let client_request = request.headers().get("x-ms-client-request-id").and_then(|id| id.to_str().ok());
    Source {
        address: request.extensions().get::<Peer>().map(|peer| peer.0),
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
    let body = serde_json::json!({"error": {"code": code, "message": message}, "error_code": error_code, "message": message});
    (status, [(header::CONTENT_TYPE, "application/json")], Body::from(body.to_string())).into_response()
}

/// The request's path in canonical case; none when it is not acceptable at all.
pub(crate) fn canonical_uri(uri: &Uri) -> Option<Uri> {
    path::decode(uri.path())?;
    let Some(canonical) = path::canonical(uri.path()) else {
        return Some(uri.clone());
    };
    let mut parts = uri.clone().into_parts();
    let text = match uri.query() {
        Some(query) => format!("{canonical}?{query}"),
        None => canonical,
    };
    parts.path_and_query = Some(text.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// The answer to a path that is not acceptable.
pub(crate) fn bad_path() -> Response {
    problem(StatusCode::BAD_REQUEST, "InvalidRequestUri", "the path of the address is not well formed")
}
