//! Records of attempts that belong to no account, or that were not even looked at: as many in an hour as a reader of the
//! log can use, so that a stranger cannot fill it. The next record says how many were left out.

use std::sync::{Mutex, PoisonError};

use kernel::Timestamp;

/// Such records in an hour.
const MOST: u32 = 200;

/// What was recorded in the present hour.
#[derive(Debug, Default)]
pub(in crate::identity) struct Strangers(Mutex<Hour>);

#[derive(Debug, Default)]
struct Hour {
    number: i64,
    recorded: u32,
    left_out: u64,
}

impl Strangers {
    /// Whether to record one more; if so, how many were left out before it.
    pub(in crate::identity) fn admit(&self, now: Timestamp) -> Option<u64> {
        let mut hour = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.seconds().div_euclid(3600);
        if hour.number != number {
            hour.number = number;
            hour.recorded = 0;
        }
        if hour.recorded >= MOST {
            hour.left_out = hour.left_out.saturating_add(1);
            return None;
        }
        hour.recorded = hour.recorded.saturating_add(1);
        Some(std::mem::take(&mut hour.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_so_many_records_and_the_next_says_what_was_left_out() {
        let strangers = Strangers::default();
        let admitted = (0..1000).filter(|_| strangers.admit(Timestamp(0)).is_some()).count();
        assert_eq!(admitted, 200);
        assert_eq!(strangers.admit(Timestamp(3_600_000)), Some(800));
        assert_eq!(strangers.admit(Timestamp(3_600_000)), Some(0));
    }
}
