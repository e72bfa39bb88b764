//! How many guesses were answered, and when the next one is: numbers alone (NIST SP 800-63B §3.2.2).

use std::time::Duration;

use kernel::Timestamp;
use serde::{Deserialize, Serialize};

/// What a kind of guessing is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// At most `most` guesses are answered in any such span. Zero: no such bound.
    pub window: Duration,
    pub most: usize,
    /// So many failures in a row cost nothing.
    pub free: u32,
    /// The wait after the first that costs; it doubles with each further one.
    pub first: Duration,
    /// It does not grow beyond this …
    pub longest: Duration,
    /// … until so many failures in a row; from then on it is `beyond`.
    pub limit: u32,
    pub beyond: Duration,
    /// After this long without a guess all is forgotten.
    pub memory: Duration,
}

/// Guesses at one account, or from one address. A guess counts as a failure from before it is looked at until it proves
/// right, so that guesses made at once count like guesses made one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// When the last ones were answered, oldest first.
    answered: Vec<Timestamp>,
    /// Failures in a row.
    failures: u32,
    last: Timestamp,
}

impl Tally {
    /// How long the next guess has to wait.
    pub(super) fn wait(&self, rule: &Rule, now: Timestamp) -> Duration {
        if self.is_forgotten(rule, now) {
            return Duration::ZERO;
        }
        let pause = self.last.plus(self.pause(rule)).since(now);
        let recent: Vec<_> = self.recent(rule, now).collect();
        // The guess that must leave the window before another one is let in.
        let leaving = recent.len().checked_sub(rule.most).and_then(|index| recent.get(index));
        let window = leaving.map_or(Duration::ZERO, |at| at.plus(rule.window).since(now));
        pause.max(window)
    }

    /// Counts a guess that is about to be looked at.
    pub(super) fn count(&mut self, rule: &Rule, now: Timestamp) {
        if self.is_forgotten(rule, now) {
            *self = Self::default();
        }
        let mut answered: Vec<_> = self.recent(rule, now).collect();
        if rule.most > 0 {
            answered.push(now);
        }
        self.answered = answered;
        self.failures = self.failures.saturating_add(1);
        self.last = now;
    }

    /// Takes one back: it was right.
    pub(super) fn take_back(&mut self) {
        self.answered.pop();
        self.failures = self.failures.saturating_sub(1);
    }

    /// Whether nothing of it matters any more.
    pub(super) fn is_forgotten(&self, rule: &Rule, now: Timestamp) -> bool {
        // A clock that was turned back leaves times to come behind: they would hold for as long as it was turned.
        let is_unbelievable = self.last > now.plus(self.pause(rule).max(rule.window));
        self.failures == 0 || is_unbelievable || now.since(self.last) > rule.memory
    }

    pub(super) fn last(&self) -> Timestamp {
        self.last
    }

    fn recent(&self, rule: &Rule, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        self.answered.iter().copied().filter(move |at| at.plus(rule.window) > now)
    }

    fn pause(&self, rule: &Rule) -> Duration {
        if self.failures >= rule.limit {
            return rule.beyond;
        }
        match self.failures.checked_sub(rule.free) {
            None => Duration::ZERO,
            Some(over) => rule.first.saturating_mul(2_u32.saturating_pow(over)).min(rule.longest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        window: Duration::from_secs(900),
        most: 10,
        free: 5,
        first: Duration::from_secs(5),
        longest: Duration::from_secs(3600),
        limit: 100,
        beyond: Duration::from_secs(86_400),
        memory: Duration::from_secs(30 * 86_400),
    };

    const HOUR: i64 = 3_600_000;

    /// Guesses as fast as the tally lets one; the times, in milliseconds.
    fn hammer(tally: &mut Tally, from: Timestamp, until: Timestamp) -> Vec<i64> {
        let mut times = Vec::new();
        let mut now = from;
        while now < until {
            let wait = tally.wait(&RULE, now);
            if wait.is_zero() {
                tally.count(&RULE, now);
                times.push(now.0);
            }
            now = now.plus(wait.max(Duration::from_millis(1)));
        }
        times
    }

    #[test]
    fn no_quarter_of_an_hour_sees_more_than_ten_guesses_and_each_pause_is_longer() {
        let times = hammer(&mut Tally::default(), Timestamp(0), Timestamp(48 * HOUR));
        for window in times.windows(11) {
            assert!(window[10] - window[0] >= 900_000, "eleven guesses from {} to {}", window[0], window[10]);
        }
        let pauses: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).skip(4).collect();
        assert!(pauses[0] >= 5_000, "the sixth guess waits");
        assert!(pauses.last() == Some(&HOUR), "in the end one guess an hour: {pauses:?}");
        assert!(times.len() < 70, "{} guesses in two days", times.len());
    }

    #[test]
    fn after_a_hundred_failures_in_a_row_it_is_one_guess_a_day() {
        let mut tally = Tally::default();
        let times = hammer(&mut tally, Timestamp(0), Timestamp(30 * 24 * HOUR));
        let hundredth = times[99];
        assert!(times[100] - hundredth >= 24 * HOUR);
        assert!(times.len() < 130, "{} guesses in thirty days", times.len());
    }

    #[test]
    fn a_guess_that_was_right_is_taken_back() {
        let mut tally = Tally::default();
        for second in 0..1000 {
            let now = Timestamp(second * 1000);
            assert!(tally.wait(&RULE, now).is_zero(), "at {second} s");
            tally.count(&RULE, now);
            tally.take_back();
        }
        assert!(tally.is_forgotten(&RULE, Timestamp(0)));
    }

    #[test]
    fn a_clock_turned_back_locks_nobody_out_for_long() {
        let mut tally = Tally::default();
        let then = Timestamp(10_000 * HOUR);
        for _ in 0..10 {
            tally.count(&RULE, then);
        }
        assert!(tally.wait(&RULE, then) >= Duration::from_secs(890));
        for back in [1, 24, 24 * 365] {
            let wait = tally.wait(&RULE, Timestamp(then.0 - back * HOUR));
            assert!(wait <= Duration::from_secs(900 + 3600), "{back} h back: {wait:?}");
        }
    }

    #[test]
    fn thirty_quiet_days_forget_it() {
        let mut tally = Tally::default();
        for _ in 0..7 {
            tally.count(&RULE, Timestamp(0));
        }
        assert!(!tally.is_forgotten(&RULE, Timestamp(29 * 24 * HOUR)));
        assert!(tally.is_forgotten(&RULE, Timestamp(31 * 24 * HOUR)));
    }
}
