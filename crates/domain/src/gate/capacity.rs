//! How much of its metadata a workspace may read and write: request units, out of a bucket that time fills (requirements F-11, X-07).
//!
//! What an operation reads and writes of its workspace's shelf is charged when it is done, so that nothing is half done for the want of
//! units: a bucket may be overdrawn, and whoever comes next waits until it is filled, but never for long: many that read at once would
//! otherwise lock out everybody for hours. What the server does by itself, and agents for their runs, is neither charged nor refused; what
//! changes resources and access is charged and never refused.

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
/// Bytes that were opened before and are looked at in memory, for each byte that is read and opened.
const CHEAPER: usize = 16;
/// What is not used is kept for so long.
const KEPT: Duration = Duration::from_secs(60);
/// A bucket is overdrawn by what fills it in so long, and not further.
const OWED: Duration = Duration::from_secs(10);
/// Thousandths of a unit: a bucket is filled by the millisecond.
const THOUSANDTHS: i64 = 1000;
/// Beyond so many buckets, those that time has filled are put away.
const ENOUGH: usize = 1000;
/// They are looked through this often at most.
const SWEPT: Duration = Duration::from_secs(60);

/// What a workspace has left.
struct Bucket {
    /// Thousandths of a unit; below nothing when it is overdrawn.
    level: i64,
    /// Up to when time is in it, to the millisecond.
    filled_at: Instant,
    /// What it is filled with, as it was last said.
    per_second: u32,
}

/// Thousandths of a unit that come in so long.
fn units_in(time: Duration, per_second: u32) -> i64 {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    i64::from(per_second).saturating_mul(THOUSANDTHS).saturating_mul(seconds)
}

impl Bucket {
    fn full(per_second: u32, now: Instant) -> Self {
        Self { level: units_in(KEPT, per_second), filled_at: now, per_second }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at);
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        // The rest of a millisecond counts the next time: requests may come faster than that.
        self.filled_at = self.filled_at.checked_add(Duration::from_millis(millis)).unwrap_or(now);
        let gained = i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(i64::from(self.per_second));
        self.set(self.level.saturating_add(gained));
    }

    fn spend(&mut self, units: i64) {
        self.set(self.level.saturating_sub(units.saturating_mul(THOUSANDTHS)));
    }

    fn set(&mut self, level: i64) {
        self.level = level.min(units_in(KEPT, self.per_second)).max(units_in(OWED, self.per_second).saturating_neg());
    }

    /// Whole seconds until there is something in it; one at least.
    fn wait(&self) -> u64 {
        let lacks = u64::try_from(self.level.saturating_neg()).unwrap_or_default();
        let per_second = u64::try_from(units_in(Duration::from_secs(1), self.per_second)).unwrap_or_default();
        lacks.checked_div(per_second).unwrap_or_default().saturating_add(1)
    }
}

/// The buckets of workspaces that were used.
#[derive(Default)]
pub(crate) struct Capacity(Mutex<Held>);

#[derive(Default)]
struct Held {
    buckets: HashMap<Uuid, Bucket>,
    swept_at: Option<Instant>,
}

impl Held {
    /// Puts away those that nobody used for so long that they are full, whatever was in them.
    fn sweep(&mut self, now: Instant) {
        let is_due = self.swept_at.is_none_or(|at| now.saturating_duration_since(at) >= SWEPT);
        if self.buckets.len() < ENOUGH || !is_due {
            return;
        }
        let filled_in = KEPT.saturating_add(OWED);
        self.buckets.retain(|_, bucket| now.saturating_duration_since(bucket.filled_at) <= filled_in);
        self.swept_at = Some(now);
    }
}

impl Capacity {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills a workspace's bucket; refuses when it is overdrawn and `refuses` says so.
    fn admit(&self, of: Uuid, per_second: u32, refuses: bool, now: Instant) -> Result<()> {
        let mut held = self.held();
        held.sweep(now);
        let bucket = held.buckets.entry(of).or_insert_with(|| Bucket::full(per_second, now));
        bucket.per_second = per_second;
        bucket.fill(now);
        if bucket.level > 0 || !refuses {
            return Ok(());
        }
        let seconds = bucket.wait();
        let why = format!(
            "the workspace has used the {per_second} request units a second of its metadata; try again in {seconds} s, or have its \
             throughput raised"
        );
        Err(Error::new(Kind::Throttled, why).coded("RequestRateTooLarge").wait(seconds))
    }

    fn spend(&self, of: Uuid, units: i64, now: Instant) {
        if let Some(bucket) = self.held().buckets.get_mut(&of) {
            // Time that passed before cannot fill what is taken now beyond its brim.
            bucket.fill(now);
            bucket.spend(units);
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
            self.house().capacity.spend(of, pieces(bytes).saturating_mul(READ), Instant::now());
        }
    }

    /// For looking at what was read and opened before and is kept in memory.
    pub(crate) fn charge_kept(&self, shelf: &Shelf, bytes: usize) {
        self.charge_read(shelf, bytes.div_ceil(CHEAPER));
    }

    /// What a commit costs, before it is sealed.
    pub(super) fn price(&self, changes: &Changes) -> Option<(Uuid, i64)> {
        let of = self.metered.get().copied()?;
        let bytes = changes.bytes_on(of.as_bytes())?;
        Some((of, pieces(bytes).saturating_mul(WRITE)))
    }

    pub(super) fn charge(&self, price: Option<(Uuid, i64)>) {
        if let Some((of, units)) = price {
            self.house().capacity.spend(of, units, Instant::now());
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
        capacity.spend(of, 400 * 60 + 800, start);
        let refused = capacity.admit(of, 400, true, start).unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (Kind::Throttled, Some("RequestRateTooLarge")));
        assert!(refused.public().contains("in 3 s") && refused.waits() == Some(3), "{refused}");
        // What changes resources goes on, and another workspace does.
        assert!(capacity.admit(of, 400, false, start).is_ok());
        assert!(capacity.admit(Uuid::new_v4(), 400, true, start).is_ok());
        assert!(capacity.admit(of, 400, true, after(2)).is_err());
        assert!(capacity.admit(of, 400, true, after(3)).is_ok());
        // What is raised helps at once, and nothing is kept for longer than a minute.
        capacity.spend(of, 12_000, after(3));
        assert!(capacity.admit(of, 400, true, after(4)).is_err());
        assert!(capacity.admit(of, 12_000, true, after(5)).is_ok());
        assert!(capacity.admit(of, 400, true, after(5000)).is_ok());
        capacity.spend(of, 400 * 60, after(5000));
        assert!(capacity.admit(of, 400, true, after(5000)).is_err());
        assert_eq!([0, 1, 1024, 1025].map(pieces), [1, 1, 1, 2]);
    }

    #[test]
    fn nobody_waits_for_longer_than_what_may_be_owed() {
        let (capacity, of, start) = (Capacity::default(), Uuid::new_v4(), Instant::now());
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(capacity.admit(of, 1_000_000, true, start).is_ok());
        for _ in 0..64 {
            capacity.spend(of, 1_000_000_000, start);
        }
        assert_eq!(capacity.admit(of, 1_000_000, true, start).unwrap_err().waits(), Some(11));
        // What is owed is not owed at a rate that is no more.
        assert_eq!(capacity.admit(of, 400, true, start).unwrap_err().waits(), Some(11));
        assert!(capacity.admit(of, 400, true, after(11)).is_ok());
    }

    #[test]
    fn a_bucket_fills_however_fast_requests_come() {
        let start = Instant::now();
        let mut bucket = Bucket { level: 0, filled_at: start, per_second: 400 };
        for at in 1..=10_000 {
            bucket.fill(start + Duration::from_micros(300 * at));
        }
        assert_eq!(bucket.level, 400 * 3 * THOUSANDTHS);
        // Nor does a look at an older clock fill it twice.
        bucket.fill(start);
        bucket.fill(start + Duration::from_secs(3));
        assert_eq!(bucket.level, 400 * 3 * THOUSANDTHS);
    }

    #[test]
    fn buckets_that_time_has_filled_are_put_away() {
        let (capacity, of, start) = (Capacity::default(), Uuid::new_v4(), Instant::now());
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        for _ in 0..ENOUGH {
            assert!(capacity.admit(Uuid::new_v4(), 400, true, start).is_ok());
        }
        assert!(capacity.admit(of, 400, true, after(60)).is_ok());
        capacity.spend(of, 1_000_000, after(60));
        assert_eq!(capacity.held().buckets.len(), ENOUGH + 1);
        assert!(capacity.admit(of, 400, true, after(121)).is_ok());
        assert_eq!(capacity.held().buckets.len(), 1);
    }
}
