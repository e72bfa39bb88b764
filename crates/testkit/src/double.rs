//! Doubles of what `seal` lends to drivers. They notice changed bytes; they keep nothing secret.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use kernel::{Agreement, BlobId, Chain, Link, LogRow, Sealed, Sealing, Secret, StoreError, StoreResult, Stretch};

/// A value that counts as sealed.
pub fn sealed(bytes: impl AsRef<[u8]>) -> Sealed {
    Sealed::made_by_seal(Bytes::copy_from_slice(bytes.as_ref()))
}

/// The blob id with this number: ids in the order of their numbers.
pub fn blob_id(number: u128) -> BlobId {
    let part = |shift: u32, bits: u32| (number >> shift) & ((1 << bits) - 1);
    let parts = (part(96, 32), part(80, 16), part(64, 16), part(48, 16), part(0, 48));
    format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", parts.0, parts.1, parts.2, parts.3, parts.4).parse().unwrap()
}

/// Links records by a checksum.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToyChain;

impl ToyChain {
    /// Whether the rows follow each other, starting at record 1.
    pub fn holds(rows: &[LogRow]) -> bool {
        let mut previous = [0; 32];
        rows.iter().zip(1..).all(|(row, seq)| {
            let due = Self.link(&previous, seq, &row.record);
            previous = row.link;
            row.seq == seq && row.link == due
        })
    }
}

impl Chain for ToyChain {
    fn link(&self, previous: &Link, seq: u64, record: &Sealed) -> Link {
        let mut link = [0; 32];
        for (salt, part) in (0_u8..).zip(link.chunks_mut(8)) {
            part.copy_from_slice(&checksum(&[&[salt], previous, &seq.to_be_bytes(), record.bytes()]).to_be_bytes());
        }
        link
    }
}

/// Hides a value by a checksum of the key and appends one over everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToySealing;

impl Sealing for ToySealing {
    fn seal(&self, key: &Secret<Vec<u8>>, purpose: Agreement<'_>, plain: &[u8]) -> StoreResult<Sealed> {
        let mut out = mask(key, plain);
        out.extend_from_slice(&tag(key, purpose, plain));
        Ok(sealed(out))
    }

    fn open(&self, key: &Secret<Vec<u8>>, purpose: Agreement<'_>, sealed: &Sealed) -> StoreResult<Secret<Vec<u8>>> {
        let refused = || StoreError::Key(String::from("not wrapped by this key for this purpose"));
        let (masked, found) = sealed.bytes().split_last_chunk::<8>().ok_or_else(refused)?;
        let plain = Secret::new(mask(key, masked));
        if tag(key, purpose, plain.expose()) == *found { Ok(plain) } else { Err(refused()) }
    }

    fn fresh(&self) -> StoreResult<Secret<Vec<u8>>> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let words = (0_u8..4).flat_map(|word| checksum(&[b"fresh", &[word], &number]).to_be_bytes());
        Ok(Secret::new(words.collect()))
    }

    fn stretch(&self, passphrase: &Secret<String>, salt: &[u8], cost: Stretch) -> StoreResult<Secret<Vec<u8>>> {
        let cost = [cost.memory_kib.to_be_bytes(), cost.passes.to_be_bytes()].concat();
        let word = |word: u8| checksum(&[passphrase.expose().as_bytes(), salt, &cost, &[word]]).to_be_bytes();
        Ok(Secret::new((0_u8..4).flat_map(word).collect()))
    }
}

fn mask(key: &Secret<Vec<u8>>, text: &[u8]) -> Vec<u8> {
    let pads = (0_u64..).flat_map(|block| checksum(&[key.expose(), &block.to_be_bytes()]).to_be_bytes());
    text.iter().zip(pads).map(|(byte, pad)| byte ^ pad).collect()
}

fn tag(key: &Secret<Vec<u8>>, purpose: Agreement<'_>, plain: &[u8]) -> [u8; 8] {
    checksum(&[key.expose(), purpose, plain]).to_be_bytes()
}

/// FNV-1a over the parts and their lengths.
fn checksum(parts: &[&[u8]]) -> u64 {
    let lengths = parts.iter().flat_map(|part| u64::try_from(part.len()).unwrap().to_be_bytes());
    let bytes = lengths.chain(parts.iter().flat_map(|part| part.iter().copied()));
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
