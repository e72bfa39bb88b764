//! Sealed blobs: segments of 64 KiB under a fresh key per blob version, in the STREAM construction (Hoang, Reyhanitabar,
//! Rogaway, Vizár 2015; the nonce layout of Tink's streaming AEAD): prefix ‖ index ‖ last-segment flag. Any range can be
//! opened alone; truncation, reordering and swapping fail.
//!
//! `docs/formats/blob.md` has the layout to the byte.

use std::fmt;

use aws_lc_rs::aead::{Aad, LessSafeKey};
use bytes::{Bytes, BytesMut};
use kernel::{BlobId, Sealed};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{SealError, Sha256, aead, hex, random};

/// Plaintext bytes per segment.
pub const SEGMENT: usize = 64 * 1024;
const TAG: usize = aead::TAG;
const SEALED_SEGMENT: usize = SEGMENT + TAG;
const _: () = assert!(SEALED_SEGMENT == Sealed::SEGMENT);
const HEADER: usize = 12;
const MAGIC: &[u8; 4] = b"BZB1";
const PREFIX: usize = 7;
const WHAT: &str = "a stored object";

/// The key of one blob version. Lives in the blob's sealed record, never beside the ciphertext.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct BlobKey([u8; 32]);

impl BlobKey {
    /// A fresh key.
    pub fn generate() -> Result<Self, SealError> {
        Ok(Self(random()?))
    }
}

impl fmt::Debug for BlobKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("BlobKey(***)")
    }
}

/// What was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobSummary {
    /// Plaintext length in bytes.
    pub length: u64,
    /// SHA-256 of the plaintext, lower-case hex.
    pub sha256: String,
}

/// Bytes of ciphertext for a plaintext of this length.
pub fn sealed_length(plain: u64) -> u64 {
    let segments = plain.div_ceil(length_of(SEGMENT)).max(1);
    plain.saturating_add(segments.saturating_mul(length_of(TAG))).saturating_add(length_of(HEADER))
}

fn length_of(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// The associated data of every segment: whose, which object, which format.
fn aad(shelf: &[u8; 16], id: BlobId) -> Vec<u8> {
    let mut aad = b"bartizan blob v1\0".to_vec();
    aad.extend_from_slice(shelf);
    aad.extend_from_slice(id.as_bytes());
    aad
}

fn nonce(prefix: &[u8; PREFIX], index: u32, last: bool) -> Result<aws_lc_rs::aead::Nonce, SealError> {
    let mut bytes = [0; 12];
    let parts = prefix.iter().copied().chain(index.to_be_bytes()).chain([u8::from(last)]);
    for (to, from) in bytes.iter_mut().zip(parts) {
        *to = from;
    }
    aead::short_nonce(&bytes)
}

/// Seals a stream of plaintext.
pub struct BlobSealer {
    key: LessSafeKey,
    prefix: [u8; PREFIX],
    aad: Vec<u8>,
    index: u32,
    buffer: BytesMut,
    begun: bool,
    hash: Sha256,
    length: u64,
}

impl BlobSealer {
    /// Starts a blob.
    pub fn new(key: &BlobKey, shelf: &[u8; 16], id: BlobId) -> Result<Self, SealError> {
        Ok(Self {
            key: aead::gcm(&key.0)?,
            prefix: random()?,
            aad: aad(shelf, id),
            index: 0,
            buffer: BytesMut::with_capacity(SEALED_SEGMENT),
            begun: false,
            hash: Sha256::default(),
            length: 0,
        })
    }

    /// Takes in plaintext; gives back the segments that became full.
    pub fn push(&mut self, mut plain: &[u8]) -> Result<Vec<Sealed>, SealError> {
        self.hash.update(plain);
        self.length = self.length.saturating_add(length_of(plain.len()));
        let mut done = Vec::new();
        while !plain.is_empty() {
            // A full segment is only sealed once more bytes follow it, since the last one is marked as such.
            if self.buffer.len() == SEGMENT {
                done.push(self.segment(false)?);
            }
            let room = SEGMENT.saturating_sub(self.buffer.len());
            let (now, later) = plain.split_at(room.min(plain.len()));
            self.buffer.extend_from_slice(now);
            plain = later;
        }
        Ok(done)
    }

    /// The last segment, and what the whole was.
    pub fn finish(mut self) -> Result<(Sealed, BlobSummary), SealError> {
        let last = self.segment(true)?;
        Ok((last, BlobSummary { length: self.length, sha256: hex(&self.hash.finish()) }))
    }

    fn segment(&mut self, last: bool) -> Result<Sealed, SealError> {
        let nonce = nonce(&self.prefix, self.index, last)?;
        let mut body = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(SEALED_SEGMENT));
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(&self.aad), &mut body)
            .map_err(|_| SealError::Refused("encrypt"))?;
        body.extend_from_slice(tag.as_ref());
        self.index = if last { self.index } else { self.index.checked_add(1).ok_or(SealError::Exhausted)? };
        if self.begun {
            return Ok(Sealed::made_by_seal(body.freeze()));
        }
        self.begun = true;
        let mut first = BytesMut::with_capacity(HEADER.saturating_add(body.len()));
        first.extend_from_slice(MAGIC);
        first.extend_from_slice(&[16]);
        first.extend_from_slice(&self.prefix);
        first.extend_from_slice(&body);
        Ok(Sealed::made_by_seal(first.freeze()))
    }
}

impl fmt::Debug for BlobSealer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "BlobSealer({} bytes)", self.length)
    }
}

/// Opens a range of a sealed blob. First `header`, then the pieces of the range of ciphertext that `new` names through `push`.
pub struct BlobOpener {
    key: LessSafeKey,
    prefix: [u8; PREFIX],
    aad: Vec<u8>,
    last: u32,
    index: u32,
    skip: usize,
    wanted: u64,
    total: u64,
    buffer: BytesMut,
}

impl BlobOpener {
    /// Bytes of the header, to be fetched from offset 0.
    pub const HEADER: u64 = 12;

    /// Prepares to open plaintext bytes `from .. from + wanted` of a blob of `length` bytes, cut at its end. Gives the
    /// opener and the range (offset, length) of ciphertext to feed it.
    pub fn new(
        key: &BlobKey,
        shelf: &[u8; 16],
        id: BlobId,
        length: u64,
        header: &[u8],
        (from, wanted): (u64, u64),
    ) -> Result<(Self, (u64, u64)), SealError> {
        let truncated = SealError::Truncated { what: WHAT };
        let (magic, rest) = header.split_first_chunk::<4>().ok_or(truncated.clone())?;
        let prefix = match rest {
            [16, prefix @ ..] => *prefix.first_chunk::<PREFIX>().ok_or(truncated.clone())?,
            [found, ..] => return Err(SealError::Format { what: WHAT, found: *found }),
            [] => return Err(truncated),
        };
        if magic != MAGIC {
            return Err(SealError::Format { what: WHAT, found: magic.last().copied().unwrap_or(0) });
        }
        let segment = length_of(SEGMENT);
        let sealed_segment = length_of(SEALED_SEGMENT);
        let from = from.min(length);
        let wanted = wanted.min(length.saturating_sub(from));
        let last = length.div_ceil(segment).saturating_sub(1);
        let first = (from / segment).min(last);
        let final_byte = from.saturating_add(wanted).saturating_sub(1).max(from);
        let until = (final_byte / segment).clamp(first, last);
        let start = length_of(HEADER).saturating_add(first.saturating_mul(sealed_segment));
        let end = length_of(HEADER)
            .saturating_add(until.saturating_add(1).saturating_mul(sealed_segment))
            .min(sealed_length(length));
        let narrow = |wide: u64| u32::try_from(wide).map_err(|_| SealError::Exhausted);
        let opener = Self {
            key: aead::gcm(&key.0)?,
            prefix,
            aad: aad(shelf, id),
            last: narrow(last)?,
            index: narrow(first)?,
            skip: usize::try_from(from.saturating_sub(first.saturating_mul(segment))).unwrap_or(usize::MAX),
            wanted,
            total: end.saturating_sub(start),
            buffer: BytesMut::new(),
        };
        Ok((opener, (start, end.saturating_sub(start))))
    }

    /// Takes in ciphertext; gives back plaintext that is authentic.
    pub fn push(&mut self, sealed: Sealed) -> Result<Vec<Bytes>, SealError> {
        let arrived = length_of(sealed.bytes().len());
        self.total = self.total.checked_sub(arrived).ok_or(SealError::Truncated { what: WHAT })?;
        if self.buffer.is_empty() {
            // Without a copy when nobody else holds these bytes.
            self.buffer = BytesMut::from(sealed.into_bytes());
        } else {
            self.buffer.extend_from_slice(sealed.bytes());
        }
        let mut plain = Vec::new();
        while self.buffer.len() >= SEALED_SEGMENT || (self.total == 0 && !self.buffer.is_empty()) {
            let size = self.buffer.len().min(SEALED_SEGMENT);
            let segment = self.buffer.split_to(size);
            plain.extend(self.open(segment)?);
        }
        Ok(plain)
    }

    /// To be called when the ciphertext has ended: all that was promised must have come.
    pub fn finish(&self) -> Result<(), SealError> {
        if self.wanted == 0 && self.total == 0 { Ok(()) } else { Err(SealError::Truncated { what: WHAT }) }
    }

    fn open(&mut self, mut segment: BytesMut) -> Result<Option<Bytes>, SealError> {
        let nonce = nonce(&self.prefix, self.index, self.index == self.last)?;
        let length = self
            .key
            .open_in_place(nonce, Aad::from(&self.aad), &mut segment)
            .map_err(|_| SealError::Unauthentic { what: WHAT })?
            .len();
        segment.truncate(length);
        self.index = self.index.saturating_add(1);
        let mut plain = segment.freeze();
        let skipped = plain.split_to(self.skip.min(plain.len()));
        self.skip = self.skip.saturating_sub(skipped.len());
        plain.truncate(usize::try_from(self.wanted).unwrap_or(usize::MAX));
        self.wanted = self.wanted.saturating_sub(length_of(plain.len()));
        Ok((!plain.is_empty()).then_some(plain))
    }
}

impl fmt::Debug for BlobOpener {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "BlobOpener({} bytes to come)", self.wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELF: [u8; 16] = [5; 16];

    fn seal(key: &BlobKey, id: BlobId, plain: &[u8], piece: usize) -> (Vec<u8>, BlobSummary) {
        let mut sealer = BlobSealer::new(key, &SHELF, id).unwrap();
        let mut out = Vec::new();
        for piece in plain.chunks(piece.max(1)) {
            for sealed in sealer.push(piece).unwrap() {
                out.extend_from_slice(sealed.bytes());
            }
        }
        let (last, summary) = sealer.finish().unwrap();
        out.extend_from_slice(last.bytes());
        (out, summary)
    }

    fn open(key: &BlobKey, id: BlobId, stored: &[u8], length: u64, range: (u64, u64)) -> Result<Vec<u8>, SealError> {
        let (mut opener, (start, size)) =
            BlobOpener::new(key, &SHELF, id, length, &stored[..12.min(stored.len())], range)?;
        let end = usize::try_from(start + size).unwrap().min(stored.len());
        let mut plain = Vec::new();
        for piece in stored.get(usize::try_from(start).unwrap()..end).unwrap_or_default().chunks(10_000) {
            for bytes in opener.push(Sealed::made_by_seal(Bytes::copy_from_slice(piece)))? {
                plain.extend_from_slice(&bytes);
            }
        }
        opener.finish()?;
        Ok(plain)
    }

    #[test]
    fn any_range_of_any_length_opens() {
        let key = BlobKey::generate().unwrap();
        for length in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 3 * SEGMENT + 5] {
            let id = BlobId::random();
            let plain: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let (stored, summary) = seal(&key, id, &plain, 7919);
            let total = u64::try_from(length).unwrap();
            assert_eq!(summary.length, total);
            assert_eq!(summary.sha256, crate::sha256_hex(&plain));
            assert_eq!(u64::try_from(stored.len()).unwrap(), sealed_length(total));
            for (from, wanted) in
                [(0, total), (0, 1), (total / 2, 10), (65_535, 2), (65_536, 65_536), (total, 5), (0, 0)]
            {
                let start = usize::try_from(from.min(total)).unwrap();
                let end = usize::try_from((from + wanted).min(total)).unwrap().max(start);
                assert_eq!(
                    open(&key, id, &stored, total, (from, wanted)).unwrap(),
                    &plain[start..end],
                    "{length} {from} {wanted}"
                );
            }
        }
    }

    #[test]
    fn truncation_reordering_and_swaps_are_found() {
        let key = BlobKey::generate().unwrap();
        let id = BlobId::random();
        let plain = vec![3; 3 * SEGMENT];
        let (stored, summary) = seal(&key, id, &plain, 1 << 20);
        let all = (0, summary.length);
        for cut in [1, TAG, SEALED_SEGMENT, 2 * SEALED_SEGMENT] {
            assert!(open(&key, id, &stored[..stored.len() - cut], summary.length, all).is_err(), "cut {cut}");
        }
        // A record that claims a shorter blob does not make a truncated one open: its last segment lacks the flag.
        let shorter = summary.length - u64::try_from(SEGMENT).unwrap();
        assert!(open(&key, id, &stored[..stored.len() - SEALED_SEGMENT], shorter, (0, shorter)).is_err());
        let mut swapped = stored.clone();
        swapped[HEADER..HEADER + SEALED_SEGMENT]
            .copy_from_slice(&stored[HEADER + SEALED_SEGMENT..HEADER + 2 * SEALED_SEGMENT]);
        assert!(open(&key, id, &swapped, summary.length, all).is_err());
        assert!(open(&key, BlobId::random(), &stored, summary.length, all).is_err());
        assert!(open(&BlobKey::generate().unwrap(), id, &stored, summary.length, all).is_err());
        for at in [0, 4, 5, HEADER, stored.len() - 1] {
            let mut flipped = stored.clone();
            flipped[at] ^= 1;
            assert!(open(&key, id, &flipped, summary.length, all).is_err(), "byte {at}");
        }
    }
}
