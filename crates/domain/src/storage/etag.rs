//! Marks of versions: random, so that what is made anew under an old name never has an old mark.

use kernel::{Result, Timestamp};

use super::condition::Mark;

/// A fresh mark.
pub(super) fn fresh(now: Timestamp) -> Result<Mark> {
    // The top bit keeps it at 16 digits.
    let etag = u64::from_be_bytes(seal::random::<8>()?) | (1 << 63);
    Ok(Mark { etag, modified_at: now })
}
