//! Sealed records: one value in a metadata store, bound to its shelf, table, id and version.
//!
//! `docs/formats/record.md` has the layout to the byte.

use bytes::Bytes;
use kernel::Sealed;

use crate::{
    SealError,
    aead::{self, NONCE, TAG, Xaes},
};

const FORMAT: u8 = 1;
const HEADER: usize = 1 + 4 + NONCE;
const WHAT: &str = "a stored record";

/// The number of the key that sealed a record, by what the record says of itself: it takes no key to ask, and opening it proves it.
///
/// # Errors
/// `Format` or `Truncated` for what is no record.
pub fn record_key_version(sealed: &Sealed) -> Result<u32, SealError> {
    key_version(sealed)
}

/// Where a value lies. A value opened at any other place fails (invariants 4, I14).
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Whose key: a workspace's id, or zeros for the system.
    pub shelf: &'a [u8; 16],
    /// The table.
    pub table: &'a str,
    /// The id within the table.
    pub id: &'a [u8],
    /// The version; 0 for values that are not versioned (log records).
    pub version: u64,
}

impl Place<'_> {
    /// The associated data: each part with its length, so that no two places encode alike.
    fn aad(&self, key_version: u32) -> Vec<u8> {
        let mut aad = Vec::with_capacity(96);
        aad.extend_from_slice(b"bartizan record v1\0");
        for part in [self.shelf.as_slice(), self.table.as_bytes(), self.id] {
            aad.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            aad.extend_from_slice(part);
        }
        aad.extend_from_slice(&self.version.to_be_bytes());
        aad.extend_from_slice(&key_version.to_be_bytes());
        aad
    }
}

pub(crate) fn seal(key: &Xaes, key_version: u32, place: Place<'_>, plain: &[u8]) -> Result<Sealed, SealError> {
    let nonce = aead::fresh_nonce()?;
    let mut out = Vec::with_capacity(HEADER.saturating_add(plain.len()).saturating_add(TAG));
    out.push(FORMAT);
    out.extend_from_slice(&key_version.to_be_bytes());
    out.extend_from_slice(&nonce);
    key.seal(&nonce, &place.aad(key_version), plain, &mut out)?;
    Ok(Sealed::made_by_seal(Bytes::from(out)))
}

/// The key version a record names.
pub(crate) fn key_version(sealed: &Sealed) -> Result<u32, SealError> {
    match sealed.bytes().as_ref() {
        [FORMAT, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        [FORMAT, ..] | [] => Err(SealError::Truncated { what: WHAT }),
        [found, ..] => Err(SealError::Format { what: WHAT, found: *found }),
    }
}

pub(crate) fn open(key: &Xaes, key_version: u32, place: Place<'_>, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
    let bytes = sealed.bytes();
    let (header, body) = bytes.split_at_checked(HEADER).ok_or(SealError::Truncated { what: WHAT })?;
    let nonce: &[u8; NONCE] = header.last_chunk().ok_or(SealError::Truncated { what: WHAT })?;
    key.open(nonce, &place.aad(key_version), body, WHAT)
}
