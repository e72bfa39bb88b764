//! The server's own doors, for what follows from a request: asked from inside, by the same way as from outside.

use axum::{Router, body::Body, response::Response};
use http::Request;

use crate::{porch::Peer, serve};

/// The doors as the caller of one request reaches them. What is asked here passes porch and gate like any request from the same
/// peer: whoever asks shows the caller's credential again, and gets no other rights by it.
#[derive(Clone)]
pub(crate) struct Inside {
    router: Router,
    peer: Peer,
}

impl Inside {
    pub(crate) fn new(router: Router, peer: Peer) -> Self {
        Self { router, peer }
    }

    /// Asks.
    pub(crate) async fn ask(&self, request: Request<Body>) -> Response {
        // Boxed, since what is asked may ask again.
        Box::pin(serve::answer(self.router.clone(), request, self.peer)).await
    }
}
