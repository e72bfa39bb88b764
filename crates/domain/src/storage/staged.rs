//! How many blocks wait for the lists of blobs that are being uploaded: counted once from the store, then in memory, since counting
//! at every block would cost as much as all blocks before it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kernel::Timestamp;

/// Blobs whose blocks are counted at once; one more and all are counted anew.
const MOST: usize = 4096;
/// How long a count is believed that refuses somebody: whoever comes again and again has it made no more often.
const BELIEVED: Duration = Duration::from_secs(60);

/// Counts by the place of a blob's rows, with when they were made. Too low by those who stage at the same moment, never for long too
/// high.
#[derive(Default)]
pub(super) struct StagedCounts {
    of: Mutex<HashMap<Vec<u8>, (usize, Timestamp)>>,
}

impl StagedCounts {
    fn of(&self) -> MutexGuard<'_, HashMap<Vec<u8>, (usize, Timestamp)>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many wait, where that is known: a count of `most` or more only for a while.
    pub(super) fn seen(&self, place: &[u8], most: usize, now: Timestamp) -> Option<usize> {
        let (count, at) = self.of().get(place).copied()?;
        (count < most || now < at.plus(BELIEVED)).then_some(count)
    }

    /// So many were found.
    pub(super) fn set(&self, place: &[u8], count: usize, now: Timestamp) {
        let mut of = self.of();
        if of.len() >= MOST {
            of.clear();
        }
        of.insert(place.to_vec(), (count, now));
    }

    /// One more waits. Where nothing is known it is counted when the next one comes.
    pub(super) fn add(&self, place: &[u8]) {
        if let Some((count, _)) = self.of().get_mut(place) {
            *count = count.saturating_add(1);
        }
    }

    /// A list, or a deletion, took away those of a blob.
    pub(super) fn end(&self, place: &[u8]) {
        self.of().remove(place);
    }

    /// Some were taken away, of whichever blob.
    pub(super) fn forget(&self) {
        self.of().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_goes_on_from_what_was_found_until_a_list_takes_all() {
        let (counts, now) = (StagedCounts::default(), Timestamp(0));
        let seen = |place: &[u8]| counts.seen(place, 10, now);
        counts.add(b"a");
        assert_eq!(seen(b"a"), None, "nothing was counted, so nothing is known");
        counts.set(b"a", 7, now);
        counts.add(b"a");
        counts.set(b"b", 1, now);
        assert_eq!((seen(b"a"), seen(b"b")), (Some(8), Some(1)));
        counts.end(b"a");
        assert_eq!((seen(b"a"), seen(b"b")), (None, Some(1)));
        counts.set(b"full", 10, now);
        assert_eq!(counts.seen(b"full", 10, now.plus(Duration::from_secs(59))), Some(10));
        assert_eq!(counts.seen(b"full", 10, now.plus(BELIEVED)), None, "it is counted anew");
        (0..MOST).for_each(|at| counts.set(&at.to_be_bytes(), 1, now));
        assert!(counts.of().len() <= MOST, "the memory is bounded");
        counts.forget();
        assert_eq!(seen(b"b"), None);
    }
}
