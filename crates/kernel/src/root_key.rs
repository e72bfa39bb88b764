//! The need for a root key: who wraps the system's keyring, and what such a driver borrows from `seal`.

use async_trait::async_trait;

use crate::{Sealed, Secret, StoreError, StoreResult};

/// How two parts agree on what a wrapped key is for; bound into the wrapping.
pub type Agreement<'a> = &'a [u8];

/// What one stretching of a passphrase costs (Argon2id, RFC 9106, one lane).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// How often it goes over that memory.
    pub passes: u32,
}

/// Raw cryptography that a key provider on this machine borrows from `seal`: drivers hold none.
pub trait Sealing: Send + Sync {
    /// Encrypts under a 32-byte key, bound to `purpose`.
    fn seal(&self, key: &Secret<Vec<u8>>, purpose: Agreement<'_>, plain: &[u8]) -> StoreResult<Sealed>;
    /// Decrypts what `seal` made; any other key, purpose or byte fails.
    fn open(&self, key: &Secret<Vec<u8>>, purpose: Agreement<'_>, sealed: &Sealed) -> StoreResult<Secret<Vec<u8>>>;
    /// 32 fresh random bytes: a key, or what is cut from them.
    fn fresh(&self) -> StoreResult<Secret<Vec<u8>>>;
    /// A 32-byte key from a passphrase and a salt of 16 bytes. Takes the memory and the time that `cost` says: call it off
    /// the tasks that serve requests.
    fn stretch(&self, passphrase: &Secret<String>, salt: &[u8], cost: Stretch) -> StoreResult<Secret<Vec<u8>>>;
}

/// Holds a root key and wraps other keys with it; the root key never leaves the provider. A provider that is not on this
/// machine answers `KeyAway` within 30 seconds when it cannot be reached.
#[async_trait]
pub trait KeyProvider: Send + Sync {
    /// Wraps a key for a purpose, under the newest version of the root key.
    async fn wrap(&self, purpose: Agreement<'_>, key: &Secret<Vec<u8>>) -> StoreResult<Sealed>;

    /// Unwraps what `wrap` made for the same purpose, under this version of the root key or an older one that the provider
    /// still has.
    async fn unwrap(&self, purpose: Agreement<'_>, wrapped: &Sealed) -> StoreResult<Secret<Vec<u8>>>;

    /// Makes a new version of the root key, durable when it returns. From then on `wrap` uses it, and `unwrap` opens what
    /// either wrapped, also after a restart: until [`settle`](Self::settle), which ends it, nothing is lost whatever happens. A
    /// rotation that was not settled may be tried again; that need not make another version.
    async fn rotate(&self) -> StoreResult<()> {
        Err(StoreError::Key(format!("the root key ({}) has no versions; move to another one instead", self.describe())))
    }

    /// Everything is wrapped under the newest version now, or nothing was since the start: then this ends a rotation whose
    /// newest version `unwrap` has met, and leaves another as it is.
    async fn settle(&self) -> StoreResult<()> {
        Ok(())
    }

    /// The version that wrapped this, if the provider has versions and names them.
    fn version(&self, wrapped: &Sealed) -> Option<String> {
        let _ = wrapped;
        None
    }

    /// For people: kind and place of the key, never the key.
    fn describe(&self) -> String;
}
