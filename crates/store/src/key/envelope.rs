//! What providers share that protect a key of 32 bytes elsewhere: the key that is wrapped is sealed here, under such a key.
//!
//! ```text
//! head                    the driver's: which provider, which version, the protected key
//! sealed                  as `seal` writes it, with  u32 length of the purpose ‖ purpose ‖ head  as what it is bound to
//! ```
//!
//! So the purpose and every byte of the head are bound, whatever the provider elsewhere binds, and a key of any length can be
//! wrapped by a provider that takes few bytes.

use bytes::Bytes;
use kernel::{Agreement, Sealed, Sealing, Secret, StoreError, StoreResult};

/// The longest head: a protected key and what tells of it.
pub(super) const MOST_HEAD: usize = 16 << 10;

pub(super) fn seal(
    sealing: &dyn Sealing,
    inner: &Secret<Vec<u8>>,
    purpose: Agreement<'_>,
    head: &[u8],
    key: &Secret<Vec<u8>>,
) -> StoreResult<Sealed> {
    let sealed = sealing.seal(inner, &bound(purpose, head), key.expose())?;
    Ok(Sealed::read_back(Bytes::from([head, sealed.bytes().as_ref()].concat())))
}

pub(super) fn open(
    sealing: &dyn Sealing,
    inner: &Secret<Vec<u8>>,
    purpose: Agreement<'_>,
    head: &[u8],
    sealed: &[u8],
) -> StoreResult<Secret<Vec<u8>>> {
    sealing.open(inner, &bound(purpose, head), &Sealed::read_back(Bytes::copy_from_slice(sealed)))
}

fn bound(purpose: &[u8], head: &[u8]) -> Vec<u8> {
    let length = u32::try_from(purpose.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length, purpose, head].concat()
}

/// Reads a head from its beginning.
pub(super) struct Head<'a> {
    whole: &'a [u8],
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Head<'a> {
    /// Begins behind the byte that names the provider.
    pub(super) fn of(wrapped: &'a Sealed, format: u8, what: &'static str) -> StoreResult<Self> {
        let whole = wrapped.bytes();
        match whole.split_first() {
            Some((found, rest)) if *found == format => Ok(Self { whole, rest, what }),
            Some((found, _)) => Err(StoreError::Key(format!(
                "what is stored was wrapped by {}, not by {what}; start with that provider, or move to this one",
                provider(*found)
            ))),
            None => Err(StoreError::Key(String::from("a wrapped key is truncated"))),
        }
    }

    pub(super) fn byte(&mut self) -> StoreResult<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> StoreResult<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.truncated())?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Bytes behind their length, u16.
    pub(super) fn counted(&mut self) -> StoreResult<&'a [u8]> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.truncated())?;
        self.rest = rest;
        Ok(taken)
    }

    /// The head as it was read, and what is sealed behind it.
    pub(super) fn end(self) -> (&'a [u8], &'a [u8]) {
        let read = self.whole.len().saturating_sub(self.rest.len());
        (self.whole.get(..read).unwrap_or_default(), self.rest)
    }

    fn truncated(&self) -> StoreError {
        StoreError::Key(format!("a key wrapped by {} is truncated", self.what))
    }
}

/// Bytes behind their length, u16.
pub(super) fn count(head: &mut Vec<u8>, bytes: &[u8]) -> StoreResult<()> {
    let length = u16::try_from(bytes.len()).ok().filter(|_| bytes.len() <= MOST_HEAD);
    let length = length.ok_or_else(|| StoreError::Key(String::from("the provider's protected key is too long")))?;
    head.extend_from_slice(&length.to_be_bytes());
    head.extend_from_slice(bytes);
    Ok(())
}

/// Who wraps with this first byte.
fn provider(format: u8) -> &'static str {
    match format {
        1 => "a key file",
        2 => "a passphrase",
        3 => "a transit engine",
        4 => "a PKCS#11 token",
        5 => "an Azure key vault",
        _ => "a provider that this release does not know",
    }
}
