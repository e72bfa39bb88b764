//! What a server answered.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// The largest JSON answer, in bytes.
const MOST_JSON: usize = 64 << 20;
/// The largest part of an unsuccessful answer that is kept, in bytes.
const MOST_REFUSAL: usize = 64 << 10;

/// What a server answered. Its body is still to be read.
#[derive(Debug)]
pub struct Answer {
    response: Response,
    base: String,
    patience: Duration,
}

impl Answer {
    pub(crate) fn new(response: Response, base: String, patience: Duration) -> Self {
        Self { response, base, patience }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// A header, when it is there once or more and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The length of the body in bytes, when the server said it.
    pub fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// Goes on when the status is a success (2xx).
    ///
    /// # Errors
    /// `Answered` otherwise, with the body.
    pub async fn success(self) -> Result<Self> {
        let status = self.status();
        if status.is_success() {
            return Ok(self);
        }
        // The status says more than a body that cannot be read.
        let body = self.bytes(MOST_REFUSAL).await.unwrap_or_default();
        Err(Error::Answered { status: status.as_u16(), body })
    }

    /// Reads the body as JSON, at most 64 MiB of it.
    ///
    /// # Errors
    /// `TooLarge`, `Malformed`, or that the connection failed.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T> {
        let base = self.base.clone();
        let body = self.bytes(MOST_JSON).await?;
        serde_json::from_slice(&body).map_err(|source| Error::Malformed { base, source })
    }

    /// Reads the body into memory, at most `most` bytes of it.
    ///
    /// # Errors
    /// `TooLarge` when it is longer, or that the connection failed.
    pub async fn bytes(mut self, most: usize) -> Result<Bytes> {
        let said = usize::try_from(self.length().unwrap_or(0)).unwrap_or(usize::MAX);
        if said > most {
            return Err(Error::TooLarge { base: self.base, most });
        }
        let mut whole = BytesMut::with_capacity(said.min(1 << 20));
        while let Some(piece) = self.piece().await? {
            if piece.len() > most.saturating_sub(whole.len()) {
                return Err(Error::TooLarge { base: self.base, most });
            }
            // An answer in one piece is not copied.
            if whole.is_empty() && piece.len() == said {
                return Ok(piece);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The body, piece by piece. It ends in an error when no piece comes for as long as an ordinary call may take. Unless
    /// the call was sent [without a deadline](crate::Call::without_deadline), its deadline covers this too.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        stream::try_unfold(self, |mut answer| async {
            let piece = answer.piece().await?;
            Ok(piece.map(|piece| (piece, answer)))
        })
    }

    async fn piece(&mut self) -> Result<Option<Bytes>> {
        match tokio::time::timeout(self.patience, self.response.chunk()).await {
            Ok(piece) => piece.map_err(|cause| Error::calling(&self.base, cause)),
            Err(_) => Err(Error::TimedOut { base: self.base.clone() }),
        }
    }
}
