//! How many calls named keys have had in the present minute. Counted in memory: a restart begins anew.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kernel::Timestamp;
use uuid::Uuid;

/// Keys that are counted at once; beyond it those whose minute is over are swept out.
const MOST_COUNTED: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);

/// A minute that began with a call, and the calls since.
#[derive(Clone, Copy)]
struct Minute {
    began: Timestamp,
    calls: u32,
}

/// The counts.
#[derive(Default)]
pub(super) struct Rates(Mutex<HashMap<Uuid, Minute>>);

impl Rates {
    /// Counts a call of a key that has so many a minute. When it has had them, in how many seconds it may call again, one at
    /// least.
    pub(super) fn count(&self, key: Uuid, most: u32, now: Timestamp) -> Result<(), u64> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST_COUNTED {
            counts.retain(|_, minute| now.since(minute.began) < MINUTE);
        }
        let minute = counts.entry(key).or_insert(Minute { began: now, calls: 0 });
        let spent = now.since(minute.began);
        // A clock that was put back must not lock anybody out.
        if spent >= MINUTE || now < minute.began {
            *minute = Minute { began: now, calls: 0 };
        }
        if minute.calls >= most {
            let rest = MINUTE.saturating_sub(now.since(minute.began));
            return Err(u64::try_from(rest.as_millis().div_ceil(1000)).unwrap_or(60).max(1));
        }
        minute.calls = minute.calls.saturating_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_begins_with_a_call() {
        let rates = Rates::default();
        let (key, other) = (Uuid::new_v4(), Uuid::new_v4());
        let at = |ms: i64| Timestamp(1_000_000 + ms);
        assert_eq!(rates.count(key, 2, at(0)), Ok(()));
        assert_eq!(rates.count(key, 2, at(10_000)), Ok(()));
        assert_eq!(rates.count(key, 2, at(10_500)), Err(50));
        assert_eq!(rates.count(key, 2, at(59_999)), Err(1));
        assert_eq!(rates.count(other, 2, at(59_999)), Ok(()));
        assert_eq!(rates.count(key, 2, at(60_000)), Ok(()));
        // The clock is put back.
        assert_eq!(rates.count(key, 1, at(-60_000)), Ok(()));
        assert_eq!(rates.count(key, 1, at(-59_000)), Err(59));
    }
}
