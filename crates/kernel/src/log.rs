//! The activity log as a store sees it: numbered ciphertexts, each linked to the one before.

use crate::Sealed;

/// The digest that links a record to all records before it.
pub type Link = [u8; 32];

/// One row of the activity log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// 1, 2, 3 …: without a gap.
    pub seq: u64,
    /// Digest over the previous link, the number and the ciphertext.
    pub link: Link,
    /// The record.
    pub record: Sealed,
}

/// Computes links. Implemented by `seal`; handed to a store, so that numbering, linking and the changes themselves are
/// one transaction of its single writer, and a refused batch leaves no gap.
pub trait Chain: Send + Sync {
    /// The link of record `seq`, given the link of record `seq - 1` (all zeros before the first).
    fn link(&self, previous: &Link, seq: u64, record: &Sealed) -> Link;
}
