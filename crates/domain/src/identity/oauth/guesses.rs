//! Wrong guesses, counted, with a delay that grows (RFC 8628 §5.1).

use std::{collections::HashMap, net::IpAddr, time::Duration};

use kernel::{AppId, Timestamp};
use uuid::Uuid;

use crate::identity::sign_in::network;

/// Guessers that are remembered at once; beyond that, those who have been quiet longest are forgotten.
const MOST: usize = 10_000;
/// Wrong guesses are remembered this long after the last one.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// The first delay; each further wrong guess doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(30);
/// No delay is longer.
const LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);

/// Who guesses what.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Guesser {
    /// A person, a user code.
    Session(Uuid),
    /// A network, a user code.
    Network(Option<IpAddr>),
    /// Somebody in a network, an application's credential.
    Client(AppId, Option<IpAddr>),
}

impl Guesser {
    /// Whoever is behind an address, at a user code.
    pub(super) fn at(address: Option<IpAddr>) -> Self {
        Self::Network(address.map(network))
    }

    /// Whoever is behind an address, at this application's credential.
    pub(super) fn of_client(app: AppId, address: Option<IpAddr>) -> Self {
        Self::Client(app, address.map(network))
    }

    /// Wrong guesses that cost nothing yet. Many people may share an address.
    fn free(self) -> u32 {
        match self {
            Self::Session(_) => 5,
            Self::Network(_) => 20,
            Self::Client(..) => 10,
        }
    }
}

#[derive(Debug)]
struct Misses {
    count: u32,
    last: Timestamp,
}

/// Who guessed wrong lately.
#[derive(Default, Debug)]
pub(super) struct Guesses(HashMap<Guesser, Misses>);

impl Guesses {
    /// How long this guesser still has to wait; zero when it may guess.
    pub(super) fn wait(&self, who: Guesser, now: Timestamp) -> Duration {
        let Some(misses) = self.0.get(&who).filter(|misses| now.since(misses.last) < MEMORY) else {
            return Duration::ZERO;
        };
        let Some(beyond) = misses.count.checked_sub(who.free()) else { return Duration::ZERO };
        let delay = FIRST_DELAY.saturating_mul(1_u32.checked_shl(beyond.min(10)).unwrap_or(u32::MAX));
        // Bounded once more, for a clock that was turned back.
        misses.last.plus(delay.min(LONGEST_DELAY)).since(now).min(LONGEST_DELAY)
    }

    /// One more wrong guess.
    pub(super) fn miss(&mut self, who: Guesser, now: Timestamp) {
        if self.0.len() >= MOST && !self.0.contains_key(&who) {
            self.0.retain(|_, misses| now.since(misses.last) < MEMORY);
            let oldest = (self.0.len() >= MOST).then(|| self.0.iter().min_by_key(|(_, misses)| misses.last)).flatten();
            if let Some(oldest) = oldest.map(|(who, _)| *who) {
                self.0.remove(&oldest);
            }
        }
        let misses = self.0.entry(who).or_insert(Misses { count: 0, last: now });
        if now.since(misses.last) >= MEMORY {
            misses.count = 0;
        }
        misses.count = misses.count.saturating_add(1);
        misses.last = now;
    }

    /// A right one.
    pub(super) fn hit(&mut self, who: Guesser) {
        self.0.remove(&who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_is_bounded_and_ends() {
        let (mut guesses, mut now) = (Guesses::default(), Timestamp(1_000_000));
        let who = Guesser::Session(Uuid::nil());
        for _ in 0..4 {
            guesses.miss(who, now);
            assert_eq!(guesses.wait(who, now), Duration::ZERO);
        }
        for seconds in [30, 60, 120, 240, 480, 900, 900] {
            guesses.miss(who, now);
            assert_eq!(guesses.wait(who, now), Duration::from_secs(seconds));
            assert_eq!(guesses.wait(Guesser::at(None), now), Duration::ZERO);
            now = now.plus(Duration::from_secs(1));
        }
        assert_eq!(guesses.wait(who, now.plus(MEMORY)), Duration::ZERO);
        guesses.hit(who);
        assert_eq!(guesses.wait(who, now), Duration::ZERO);
    }

    #[test]
    fn memory_is_bounded() {
        let mut guesses = Guesses::default();
        for at in 0..u128::try_from(MOST).unwrap() + 100 {
            guesses.miss(Guesser::Session(Uuid::from_u128(at)), Timestamp(i64::try_from(at).unwrap()));
        }
        assert_eq!(guesses.0.len(), MOST);
        assert!(guesses.0.contains_key(&Guesser::Session(Uuid::from_u128(u128::try_from(MOST).unwrap() + 99))));
    }
}
