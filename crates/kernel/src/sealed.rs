//! Ciphertext as a type: what may lie on a disk, in a database or in a bucket.

use std::fmt;

use bytes::Bytes;

/// Opaque ciphertext. Drivers take and give only this, so plaintext cannot reach them. Two doors lead in, and the tidy
/// test holds who may use which: `seal` makes it by encrypting, a driver gets back what it once stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Bytes);

impl Sealed {
    /// Bytes of one segment of a sealed blob, its tag included. A driver that hands out whole segments, counted from where it
    /// was asked to begin, spares whoever opens them a copy.
    pub const SEGMENT: usize = 64 * 1024 + 16;

    /// For `seal` alone: these bytes are the output of an authenticated cipher.
    pub fn made_by_seal(ciphertext: Bytes) -> Self {
        Self(ciphertext)
    }

    /// For drivers alone: these bytes were read back from where an earlier `Sealed` was stored. They may have been
    /// tampered with; opening them finds out.
    pub fn read_back(stored: Bytes) -> Self {
        Self(stored)
    }

    /// The ciphertext.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The ciphertext, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Sealed({} bytes)", self.0.len())
    }
}
