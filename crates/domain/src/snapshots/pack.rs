//! Packs: many files in one body. A frame is the file's SHA-256 (32 bytes), its length (8 bytes, big endian) and its bytes;
//! a pack is frames and nothing else (`docs/formats/snapshot.md`).

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use kernel::{Error, Kind, Result};
use seal::{Sha256, hex};

use crate::gate::ByteStream;

/// Most files of a pack.
const MOST_FILES: usize = 2000;
/// Largest pack of several files, in bytes.
const MOST_BYTES: u64 = 64 << 20;
/// Largest file, in bytes: no snapshot can hold a larger one.
const LARGEST_FILE: u64 = super::code::MOST_BYTES;
/// Bytes before a file's own.
const HEADER: usize = 40;
/// Largest pack of one file.
pub(super) const LARGEST: u64 = LARGEST_FILE + 40;

/// Where a file lies in a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    /// SHA-256 of its content, verified.
    pub(super) sha256: [u8; 32],
    /// Of its first byte.
    pub(super) offset: u64,
    /// In bytes.
    pub(super) length: u64,
}

/// Reads a pack piece by piece and verifies each file while its bytes pass.
#[derive(Default)]
pub(super) struct Unpacker {
    position: u64,
    header: Vec<u8>,
    open: Option<Open>,
    files: Vec<Packed>,
}

/// A file whose end was not seen yet.
struct Open {
    file: Packed,
    left: u64,
    hash: Sha256,
}

impl Unpacker {
    /// Takes in more bytes.
    ///
    /// # Errors
    /// `Invalid` when a file does not have the hash it was announced with, `TooLarge` beyond the bounds.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            bytes = match &mut self.open {
                Some(open) => {
                    let wanted = usize::try_from(open.left).unwrap_or(usize::MAX).min(bytes.len());
                    let (now, later) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
                    open.hash.update(now);
                    open.left = open.left.saturating_sub(number(wanted));
                    self.position = self.position.saturating_add(number(wanted));
                    later
                }
                None => {
                    let wanted = HEADER.saturating_sub(self.header.len()).min(bytes.len());
                    let (now, later) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
                    self.header.extend_from_slice(now);
                    self.position = self.position.saturating_add(number(wanted));
                    if self.header.len() == HEADER {
                        self.begin()?;
                    }
                    later
                }
            };
            self.settle()?;
        }
        Ok(())
    }

    /// The files, when the pack ended where a file ended.
    pub(super) fn finish(self) -> Result<Vec<Packed>> {
        if self.open.is_some() || !self.header.is_empty() {
            return Err(Error::invalid("body", "the pack breaks off within a file"));
        }
        if self.files.is_empty() {
            return Err(Error::invalid("body", "the pack is empty"));
        }
        Ok(self.files)
    }

    fn begin(&mut self) -> Result<()> {
        let header = std::mem::take(&mut self.header);
        let malformed = || Error::invalid("body", "the pack is not well formed");
        let (sha256, rest) = header.split_first_chunk::<32>().ok_or_else(malformed)?;
        let length = u64::from_be_bytes(*rest.first_chunk::<8>().ok_or_else(malformed)?);
        let file = Packed { sha256: *sha256, offset: self.position, length };
        if length > LARGEST_FILE {
            return Err(Error::new(
                Kind::TooLarge,
                format!("the file `{}` is larger than {LARGEST_FILE} bytes", hex(sha256)),
            ));
        }
        if self.files.len() >= MOST_FILES {
            return Err(Error::new(Kind::TooLarge, format!("a pack holds at most {MOST_FILES} files")));
        }
        if !self.files.is_empty() && self.position.saturating_add(length) > MOST_BYTES {
            return Err(Error::new(
                Kind::TooLarge,
                format!("a pack of several files holds at most {MOST_BYTES} bytes"),
            ));
        }
        self.open = Some(Open { left: length, hash: Sha256::default(), file });
        Ok(())
    }

    /// Closes the open file when all of it was seen.
    fn settle(&mut self) -> Result<()> {
        let Some(open) = self.open.take_if(|open| open.left == 0) else { return Ok(()) };
        if open.hash.finish() != open.file.sha256 {
            let named = hex(&open.file.sha256);
            return Err(Error::invalid("body", format_args!("the file announced as `{named}` has other content")));
        }
        self.files.push(open.file);
        Ok(())
    }
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The body as it passes an unpacker, and that unpacker: a fault in it breaks the stream, so that nothing is kept.
pub(super) fn checked(body: ByteStream) -> (ByteStream, Arc<Mutex<Unpacker>>) {
    let unpacker = Arc::new(Mutex::new(Unpacker::default()));
    let inner = Arc::clone(&unpacker);
    let body = body.map(move |piece| {
        let piece = piece?;
        inner.lock().unwrap_or_else(PoisonError::into_inner).push(&piece)?;
        Ok(piece)
    });
    (body.boxed(), unpacker)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(content: &[u8]) -> Vec<u8> {
        let mut out = Sha256::of(content).to_vec();
        out.extend_from_slice(&number(content.len()).to_be_bytes());
        out.extend_from_slice(content);
        out
    }

    fn unpack(pieces: &[&[u8]]) -> Result<Vec<Packed>> {
        let mut unpacker = Unpacker::default();
        for piece in pieces {
            unpacker.push(piece)?;
        }
        unpacker.finish()
    }

    #[test]
    fn a_pack_reads_the_same_however_it_is_cut() {
        let pack = [frame(b"first"), frame(b""), frame(b"third, a little longer"), frame(b"")].concat();
        let whole = unpack(&[&pack]).unwrap();
        assert_eq!(
            whole.iter().map(|file| (file.offset, file.length)).collect::<Vec<_>>(),
            [(40, 5), (85, 0), (125, 22), (187, 0)]
        );
        for at in 0..=pack.len() {
            let (before, after) = pack.split_at(at);
            assert_eq!(unpack(&[before, after]).unwrap(), whole, "cut at {at}");
            let is_boundary = [45, 85, 147, 187].contains(&at);
            assert_eq!(unpack(&[before]).is_ok(), is_boundary, "ends at {at}");
        }
        let bytes: Vec<&[u8]> = pack.chunks(1).collect();
        assert_eq!(unpack(&bytes).unwrap(), whole);
    }

    #[test]
    fn every_changed_bit_of_hash_or_content_is_found() {
        let pack = frame(b"content");
        for at in (0..32).chain(40..pack.len()) {
            let mut bad = pack.clone();
            bad[at] ^= 1;
            assert_eq!(unpack(&[&bad]).unwrap_err().kind(), Kind::Invalid, "{at}");
        }
    }

    #[test]
    fn bounds_hold_before_the_bytes_come() {
        let header = |length: u64| [[0; 32].as_slice(), &length.to_be_bytes()].concat();
        assert_eq!(unpack(&[&header(LARGEST_FILE + 1)]).unwrap_err().kind(), Kind::TooLarge);
        assert_eq!(unpack(&[&header(u64::MAX)]).unwrap_err().kind(), Kind::TooLarge);
        let second = [frame(b"x"), header(MOST_BYTES)].concat();
        assert_eq!(unpack(&[&second]).unwrap_err().kind(), Kind::TooLarge);
        let many = frame(b"").repeat(MOST_FILES);
        assert_eq!(unpack(&[&many]).unwrap().len(), MOST_FILES);
        assert_eq!(unpack(&[&many, &frame(b"")]).unwrap_err().kind(), Kind::TooLarge);
        assert!(unpack(&[]).is_err());
    }
}
