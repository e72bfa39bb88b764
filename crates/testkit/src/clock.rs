//! A clock that stands still until a test turns it.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use kernel::{Clock, Timestamp};

/// A clock that a test turns by hand. It starts at 2026-01-01T00:00:00Z.
#[derive(Debug)]
pub struct TurnableClock {
    now: AtomicI64,
}

impl TurnableClock {
    /// A clock that stands at the given time.
    pub fn at(now: Timestamp) -> Self {
        Self { now: AtomicI64::new(now.0) }
    }

    /// Turns it forward.
    pub fn advance(&self, span: Duration) {
        self.set(self.now().plus(span));
    }

    /// Turns it to any time, the past too.
    pub fn set(&self, now: Timestamp) {
        self.now.store(now.0, Ordering::SeqCst);
    }
}

impl Default for TurnableClock {
    fn default() -> Self {
        Self::at(Timestamp(1_767_225_600_000))
    }
}

impl Clock for TurnableClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_where_it_is_turned() {
        let clock = TurnableClock::default();
        assert_eq!(clock.now().rfc3339(), "2026-01-01T00:00:00Z");
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now().rfc3339(), "2026-01-01T00:01:30Z");
        clock.set(Timestamp(0));
        assert_eq!(clock.now(), Timestamp(0));
    }
}
