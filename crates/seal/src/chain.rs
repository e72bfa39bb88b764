//! The hash chain of the activity log: `SHA-256("bartizan log v1\0" ‖ previous ‖ seq ‖ SHA-256(ciphertext))`.

use kernel::{Chain, Link, Sealed};

use crate::Sha256;

/// Links log records by SHA-256 over their ciphertext, so that checking the chain needs no key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sha256Chain;

impl Chain for Sha256Chain {
    fn link(&self, previous: &Link, seq: u64, record: &Sealed) -> Link {
        let mut hash = Sha256::default();
        hash.update(b"bartizan log v1\0");
        hash.update(previous);
        hash.update(&seq.to_be_bytes());
        hash.update(&Sha256::of(record.bytes()));
        hash.finish()
    }
}
