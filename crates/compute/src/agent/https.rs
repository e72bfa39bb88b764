//! The transport to a real server, over the one HTTP client.

use std::io;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::Body as _;
use http_body_util::{BodyExt, BodyStream, StreamBody};
use kernel::Secret;
use outbound::{Client, Timeouts};

use super::transport::{Body, Transport};

/// Bodies up to this size are sent in one piece.
const IN_ONE_PIECE: u64 = 1 << 20;

/// The headers of an answer that go back to a user's program; the others (cookies, challenges) are between the agent and
/// the server.
const PASSED_BACK: &[&str] = &[
    "content-type",
    "content-disposition",
    "content-encoding",
    "content-range",
    "accept-ranges",
    "etag",
    "last-modified",
    "retry-after",
    "cache-control",
    "x-request-id",
];

/// The server at one address.
pub struct Https {
    client: Client,
}

impl Https {
    /// Trusts only the certificates in `ca_pem`.
    pub fn new(url: &str, ca_pem: &str) -> Result<Self, outbound::Error> {
        Client::to_server(url, ca_pem.as_bytes(), Timeouts::default()).map(|client| Self { client })
    }
}

#[async_trait]
impl Transport for Https {
    async fn send(&self, request: Request<Body>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let place = head.uri.path_and_query().map_or("/", |place| place.as_str());
        let mut call = self.client.call(head.method, place);
        for (name, value) in &head.headers {
            let Ok(value) = value.to_str() else { continue };
            if name == header::AUTHORIZATION {
                let token = value.strip_prefix("Bearer ").unwrap_or(value);
                call = call.bearer(&Secret::new(String::from(token)));
            } else if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
                call = call.header(name.as_str(), value);
            }
        }
        let length = body.size_hint().exact().or_else(|| announced(&head.headers));
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        call = match length {
            Some(0) => call,
            Some(length) if length <= IN_ONE_PIECE => {
                let bytes = body.collect().await?.to_bytes();
                call.body(kind.unwrap_or("application/octet-stream"), bytes)
            }
            length => {
                let pieces = BodyStream::new(body).try_filter_map(|frame| async { Ok(frame.into_data().ok()) });
                call.stream(kind.unwrap_or("application/octet-stream"), length, pieces)
            }
        };
        // The callers bound the time: a long poll and a large file have different ones.
        let answer = call.without_deadline().send().await.map_err(io::Error::other)?;
        let mut response = Response::builder().status(answer.status());
        for name in PASSED_BACK {
            if let Some(value) = answer.header(name) {
                response = response.header(*name, value);
            }
        }
        if let Some(length) = answer.length() {
            response = response.header(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        let pieces = answer.stream().map(|piece| piece.map(http_body::Frame::data).map_err(io::Error::other));
        response.body(StreamBody::new(pieces).boxed_unsync()).map_err(io::Error::other)
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
