//! How much of its metadata a workspace may read and write: request units, out of a bucket that time fills (requirements F-11, X-07).
//!
//! What an operation reads and writes of its workspace's shelf is charged when it is done, so that nothing is half done for the want of
//! units: a bucket may be overdrawn, and whoever comes next waits until it is filled. What the server does by itself, and agents for
//! their runs, is neither charged nor refused; what changes resources and access is charged and never refused.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kernel::{Class, Error, Kind, Result, Who};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Admission, Changes, Shelf};

/// Bytes of a row, as it is stored, that are one unit to read.
const PIECE: usize = 1024;
/// Units for each started piece that is read; a look at what is not there is one piece.
const READ: i64 = 1;
/// Units for each started piece that is written, by all rows of one commit together.
const WRITE: i64 = 5;
/// What is not used is kept for so long.
const KEPT: Duration = Duration::from_secs(60);
/// Thousandths of a unit: a bucket is filled by the millisecond.
const THOUSANDTHS: i64 = 1000;
/// Beyond so many buckets, those that are full are put away.
const ENOUGH: usize = 1000;

/// What a workspace has left.
struct Bucket {
    /// Thousandths of a unit; below nothing when it is overdrawn.
    level: i64,
    filled_at: Instant,
}

/// Thousandths of a unit of a full bucket.
fn most(per_second: u32) -> i64 {
    let seconds = i64::try_from(KEPT.as_secs()).unwrap_or(i64::MAX);
    i64::from(per_second).saturating_mul(THOUSANDTHS).saturating_mul(seconds)
}

impl Bucket {
    fn fill(&mut self, per_second: u32, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at);
        let millis = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        let gained = millis.saturating_mul(i64::from(per_second));
        self.level = self.level.saturating_add(gained).min(most(per_second));
        self.filled_at = now;
    }

    /// Whole seconds until there is something in it.
    fn wait(&self, per_second: u32) -> i64 {
        let per_second = i64::from(per_second).saturating_mul(THOUSANDTHS);
        self.level.saturating_neg().checked_div(per_second).unwrap_or_default().saturating_add(1)
    }
}

/// The buckets of workspaces that were used.
#[derive(Default)]
pub(crate) struct Capacity(Mutex<HashMap<Uuid, Bucket>>);

impl Capacity {
    fn held(&self) -> MutexGuard<'_, HashMap<Uuid, Bucket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills a workspace's bucket; refuses when it is overdrawn and `refuses` says so.
    fn admit(&self, of: Uuid, per_second: u32, refuses: bool, now: Instant) -> Result<()> {
        let mut held = self.held();
        if held.len() >= ENOUGH {
            held.retain(|_, bucket| bucket.level < most(per_second));
        }
        let bucket = held.entry(of).or_insert_with(|| Bucket { level: most(per_second), filled_at: now });
        bucket.fill(per_second, now);
        if bucket.level > 0 || !refuses {
            return Ok(());
        }
        let why = format!(
            "the workspace has used the {per_second} request units a second of its metadata; try again in {} s, or have its \
             throughput raised",
            bucket.wait(per_second)
        );
        Err(Error::new(Kind::Throttled, why).coded("RequestRateTooLarge"))
    }

    fn spend(&self, of: Uuid, units: i64) {
        if let Some(bucket) = self.held().get_mut(&of) {
            bucket.level = bucket.level.saturating_sub(units.saturating_mul(THOUSANDTHS));
        }
    }
}

/// Started pieces; one at least.
fn pieces(bytes: usize) -> i64 {
    i64::try_from(bytes.div_ceil(PIECE).max(1)).unwrap_or(i64::MAX)
}

impl Admission<'_> {
    /// From now on, what this operation reads and writes of a workspace's shelf is charged.
    ///
    /// # Errors
    /// `Throttled` (`RequestRateTooLarge`) when the workspace has used what it has.
    pub(crate) fn meter(&self, of: Uuid, per_second: u32) -> Result<()> {
        if matches!(self.caller().who, Who::House) {
            return Ok(());
        }
        let refuses = !matches!(self.action().class(), Class::Control);
        // Said twice by one operation, it is refused at the first time or not at all.
        if self.metered.get().is_some() {
            return Ok(());
        }
        self.house().capacity.admit(of, per_second, refuses, Instant::now())?;
        let _ = self.metered.set(of);
        Ok(())
    }

    fn is_metered(&self, shelf: &Shelf) -> Option<Uuid> {
        self.metered.get().copied().filter(|of| of.as_bytes() == shelf.id())
    }

    pub(super) fn charge_read(&self, shelf: &Shelf, bytes: usize) {
        if let Some(of) = self.is_metered(shelf) {
            self.house().capacity.spend(of, pieces(bytes).saturating_mul(READ));
        }
    }

    /// What a commit costs, before it is sealed.
    pub(super) fn price(&self, changes: &Changes) -> Option<(Uuid, i64)> {
        let of = self.metered.get().copied()?;
        let bytes = changes.bytes_on(of.as_bytes())?;
        Some((of, pieces(bytes).saturating_mul(WRITE)))
    }

    pub(super) fn charge(&self, price: Option<(Uuid, i64)>) {
        if let Some((of, units)) = price {
            self.house().capacity.spend(of, units);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_overdrawn_refuses_and_is_filled_by_time() {
        let (capacity, of, start) = (Capacity::default(), Uuid::new_v4(), Instant::now());
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(capacity.admit(of, 400, true, start).is_ok());
        capacity.spend(of, 400 * 60 + 800);
        let refused = capacity.admit(of, 400, true, start).unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (Kind::Throttled, Some("RequestRateTooLarge")));
        assert!(refused.public().contains("in 3 s"), "{refused}");
        // What changes resources goes on, and another workspace does.
        assert!(capacity.admit(of, 400, false, start).is_ok());
        assert!(capacity.admit(Uuid::new_v4(), 400, true, start).is_ok());
        assert!(capacity.admit(of, 400, true, after(2)).is_err());
        assert!(capacity.admit(of, 400, true, after(3)).is_ok());
        // What is raised helps at once, and nothing is kept for longer than a minute.
        capacity.spend(of, 12_000);
        assert!(capacity.admit(of, 400, true, after(4)).is_err());
        assert!(capacity.admit(of, 12_000, true, after(5)).is_ok());
        assert!(capacity.admit(of, 400, true, after(5000)).is_ok());
        capacity.spend(of, 400 * 60);
        assert!(capacity.admit(of, 400, true, after(5000)).is_err());
        assert_eq!([0, 1, 1024, 1025].map(pieces), [1, 1, 1, 2]);
    }
}
