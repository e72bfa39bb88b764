//! Connections to replicas: HTTP/1.1 over Unix sockets, kept and used again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::body::Body;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// Idle connections kept per replica.
const MOST_IDLE: usize = 32;
/// Replicas whose idle connections are kept before those of dead ones are swept out.
const MOST_SOCKETS: usize = 64;

/// Why a call could not be sent, or had no answer.
#[derive(Debug)]
pub(super) enum SendError {
    /// Nothing of it arrived.
    Unreachable(std::io::Error),
    /// It may have arrived.
    Broken(hyper::Error),
}

/// Idle connections by socket.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<HashMap<String, Vec<SendRequest<Body>>>>,
}

/// A connection in use. It goes back to the pool when the answer was read to its end.
pub(super) struct Line {
    pool: Arc<Pool>,
    socket: String,
    sender: SendRequest<Body>,
}

impl Line {
    /// The answer was read to its end.
    pub(super) fn give_back(self) {
        if self.sender.is_closed() {
            return;
        }
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= MOST_SOCKETS {
            idle.retain(|_, senders| {
                senders.retain(|sender| !sender.is_closed());
                !senders.is_empty()
            });
        }
        let senders = idle.entry(self.socket).or_default();
        if senders.len() < MOST_IDLE {
            senders.push(self.sender);
        }
    }
}

impl Pool {
    /// Sends a request to the replica at a socket and waits for the head of its answer.
    pub(super) async fn send(
        self: &Arc<Self>,
        socket: &str,
        mut request: Request<Body>,
    ) -> Result<(Response<Incoming>, Line), SendError> {
        // A kept connection may have been closed by the other side meanwhile; what was not sent is sent on another one.
        while let Some(mut sender) = self.take(socket) {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, self.line(socket, sender))),
                Err(mut fault) => match fault.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(SendError::Broken(fault.into_error())),
                },
            }
        }
        let mut sender = connect(socket).await?;
        let response = sender.send_request(request).await.map_err(SendError::Broken)?;
        Ok((response, self.line(socket, sender)))
    }

    fn line(self: &Arc<Self>, socket: &str, sender: SendRequest<Body>) -> Line {
        Line { pool: Arc::clone(self), socket: socket.to_owned(), sender }
    }

    fn take(&self, socket: &str) -> Option<SendRequest<Body>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let senders = idle.get_mut(socket)?;
        let found = loop {
            match senders.pop() {
                Some(sender) if sender.is_closed() => {}
                other => break other,
            }
        };
        if senders.is_empty() {
            idle.remove(socket);
        }
        found
    }
}

/// A new connection.
pub(super) async fn connect(socket: &str) -> Result<SendRequest<Body>, SendError> {
    let stream = UnixStream::connect(socket).await.map_err(SendError::Unreachable)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(SendError::Broken)?;
    tokio::spawn(async move {
        if let Err(fault) = connection.await {
            tracing::debug!(%fault, "a connection to a replica ended early");
        }
    });
    Ok(sender)
}
