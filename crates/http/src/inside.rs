//! The server's own doors, for what follows from a request: asked from inside, by the same way as from outside.

use axum::{body::Body, response::Response};
use http::Request;

use crate::{front::Front, porch::Peer};

/// The doors as the caller of one request reaches them. What is asked here passes porch and gate like any request from the same
/// peer: whoever asks shows the caller's credential again, and gets no other rights by it.
#[derive(Clone)]
pub(crate) struct Inside {
    front: Front,
    peer: Peer,
    depth: u8,
}

impl Inside {
    pub(crate) fn new(front: Front, peer: Peer, depth: u8) -> Self {
        Self { front, peer, depth }
    }

    /// How many requests led to this one, each from within the one before; none when it came from outside.
    pub(crate) fn depth(&self) -> u8 {
        self.depth
    }

    /// Asks.
    pub(crate) async fn ask(&self, request: Request<Body>) -> Response {
        // Boxed, since what is asked may ask again.
        Box::pin(self.front.clone().answer(request, self.peer, self.depth.saturating_add(1))).await
    }
}
