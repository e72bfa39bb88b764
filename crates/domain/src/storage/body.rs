//! Bodies on their way in: bounded, measured, and compared with what the client said of them.

use std::sync::{Arc, Mutex, PoisonError};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::StreamExt;
use kernel::Result;

use super::fault;
use crate::gate::{Admission, BlobRef, ByteStream, Shelf};

/// A body, and what is known of it.
pub struct Body {
    /// Its bytes.
    pub bytes: ByteStream,
    /// At most so many.
    pub most: u64,
    /// Whether its MD5 is wanted.
    pub is_measured: bool,
    /// The MD5 that it must have.
    pub md5: Option<[u8; 16]>,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Body(at most {} bytes)", self.most)
    }
}

impl Body {
    /// A body that nothing is said of.
    pub fn new(bytes: ByteStream, most: u64) -> Self {
        Self { bytes, most, is_measured: false, md5: None }
    }

    /// Seals and stores it; its MD5, base64, where it was measured. What does not have the MD5 it must have is removed again.
    ///
    /// # Errors
    /// `Md5Mismatch`, `RequestBodyTooLarge`, or that it broke off.
    pub(super) async fn store(self, cx: &Admission<'_>, shelf: &Shelf) -> Result<(BlobRef, Option<String>)> {
        let Self { bytes, most, is_measured, md5 } = self;
        let measured = (is_measured || md5.is_some()).then(|| Arc::new(Mutex::new(seal::Md5::default())));
        let bytes = match &measured {
            None => bytes,
            Some(hash) => {
                let hash = Arc::clone(hash);
                bytes
                    .inspect(move |piece| {
                        if let Ok(piece) = piece {
                            hash.lock().unwrap_or_else(PoisonError::into_inner).update(piece);
                        }
                    })
                    .boxed()
            }
        };
        let stored = cx.put_blob(shelf, most, bytes).await.map_err(|fault| match fault.kind() {
            kernel::Kind::TooLarge => fault.coded("RequestBodyTooLarge"),
            _ => fault,
        })?;
        let Some(hash) = measured else { return Ok((stored, None)) };
        let found = hash.lock().unwrap_or_else(PoisonError::into_inner).clone().finish();
        if md5.is_some_and(|wanted| wanted != found) {
            cx.drop_blob(&stored).await;
            let why =
                "The MD5 value specified in the request did not match with the MD5 value calculated by the server.";
            return Err(fault::invalid("Md5Mismatch", why));
        }
        Ok((stored, Some(STANDARD.encode(found))))
    }
}

/// The MD5 of some bytes, base64.
pub fn md5_of(bytes: &[u8]) -> String {
    let mut hash = seal::Md5::default();
    hash.update(bytes);
    STANDARD.encode(hash.finish())
}
