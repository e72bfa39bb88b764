//! One HTTP exchange with the server. The rest of the agent neither knows TLS nor the server's address.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};

/// A body of either direction, streamed.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Sends requests, whose addresses are paths, to the one server this agent works for.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a request; returns when the head of the answer is there.
    async fn send(&self, request: Request<Body>) -> io::Result<Response<Body>>;
}

/// No body.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is in memory.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}
