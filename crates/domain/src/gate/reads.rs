//! Records of reads: queued, and written in batches at most a second old.

use std::sync::Mutex;

use kernel::{Error, Kind, Result, Sealed};

/// More than this many unwritten records means that the log cannot be written: reads are then refused.
const MOST: usize = 20_000;

/// At this many the next batch is written at once, by whoever adds to it.
pub(super) const ENOUGH: usize = 4_000;

/// Sealed records that wait for the next batch.
#[derive(Default)]
pub(super) struct PendingReads {
    waiting: Mutex<Vec<Sealed>>,
}

impl PendingReads {
    /// Adds a record, and says how many wait now. Refuses when the log has been unwritable for long: no record, no answer.
    pub(super) fn push(&self, record: Sealed) -> Result<usize> {
        let mut waiting = self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if waiting.len() >= MOST {
            return Err(Error::new(
                Kind::Unavailable,
                "the activity log cannot be written; nothing is served until it can",
            ));
        }
        waiting.push(record);
        Ok(waiting.len())
    }

    /// Takes all that wait.
    pub(super) fn take(&self) -> Vec<Sealed> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Puts back what could not be written, before what came since.
    pub(super) fn put_back(&self, mut records: Vec<Sealed>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        records.append(&mut waiting);
        *waiting = records;
    }
}
