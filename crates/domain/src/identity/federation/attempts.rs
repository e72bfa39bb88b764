//! Sign-ins that are on their way through a provider. They are kept in memory for minutes, each can be taken up once, and
//! there is a bound to them altogether and from one network.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kernel::{Secret, Timestamp};
use seal::Sha256;
use uuid::Uuid;

use crate::identity::sign_in::network;

/// How long a person may take at the provider.
const LIFE: Duration = Duration::from_secs(600);
/// Attempts at once; each takes some 500 bytes.
const MOST: usize = 20_000;
/// Attempts of one network within `LIFE`, finished ones included: a network is an IPv4 address or an IPv6 /64.
const MOST_OF_A_NETWORK: u32 = 200;

/// A sign-in that has begun.
pub(super) struct Attempt {
    /// At which provider.
    pub provider: Uuid,
    /// What the ID token must repeat.
    pub nonce: String,
    /// What proves to the provider that whoever redeems the code asked for it (RFC 7636).
    pub verifier: Secret<String>,
    /// Where the browser wants to go in the end; for the face to judge.
    pub return_to: Option<String>,
    /// When it began, if the person is to prove since then who they are.
    pub prove_since: Option<Timestamp>,
}

/// Sign-ins on their way, found by what the browser and the answer carry together.
#[derive(Default)]
pub(in crate::identity) struct Attempts(Mutex<Open>);

#[derive(Default)]
struct Open {
    by_key: HashMap<[u8; 32], Attempt>,
    /// In order of their beginning, with the network each began from.
    order: VecDeque<(Timestamp, [u8; 32], Option<IpAddr>)>,
    of_network: HashMap<Option<IpAddr>, u32>,
}

impl Attempts {
    /// Remembers an attempt; false when there are too many.
    pub(super) fn begin(
        &self,
        state: &str,
        browser: &Secret<String>,
        attempt: Attempt,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> bool {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.forget_old(now);
        let network = address.map(network);
        let begun = open.of_network.get(&network).copied().unwrap_or(0);
        if open.order.len() >= MOST || begun >= MOST_OF_A_NETWORK {
            return false;
        }
        let key = key(state, browser);
        open.of_network.insert(network, begun.saturating_add(1));
        open.order.push_back((now, key, network));
        open.by_key.insert(key, attempt);
        true
    }

    /// Takes an attempt up: once, and only with the state and the browser's key that belong together.
    pub(super) fn take(&self, state: &str, browser: &Secret<String>, now: Timestamp) -> Option<Attempt> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.forget_old(now);
        open.by_key.remove(&key(state, browser))
    }
}

impl Open {
    fn forget_old(&mut self, now: Timestamp) {
        // What lies far in the future was begun before the clock was put back, and would never become old.
        let is_over = |at: Timestamp| now.since(at) >= LIFE || at > now.plus(LIFE);
        while let Some((_, key, network)) = self.order.front().copied().filter(|(at, ..)| is_over(*at)) {
            self.order.pop_front();
            self.by_key.remove(&key);
            match self.of_network.get(&network).copied().unwrap_or(0).saturating_sub(1) {
                0 => self.of_network.remove(&network),
                left => self.of_network.insert(network, left),
            };
        }
    }
}

/// Both are secrets of 256 bits; what is looked up is a digest, so that the time tells nothing of them.
fn key(state: &str, browser: &Secret<String>) -> [u8; 32] {
    Sha256::of(format!("{}.{state}", browser.expose()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> Attempt {
        Attempt {
            provider: Uuid::nil(),
            nonce: String::new(),
            verifier: Secret::new(String::new()),
            return_to: None,
            prove_since: None,
        }
    }

    fn browser(name: &str) -> Secret<String> {
        Secret::new(name.to_owned())
    }

    #[test]
    fn an_attempt_is_taken_up_once_by_its_own_browser_in_time() {
        let (attempts, start) = (Attempts::default(), Timestamp(0));
        assert!(attempts.begin("s", &browser("b"), attempt(), None, start));
        assert!(attempts.take("s", &browser("c"), start).is_none());
        assert!(attempts.take("t", &browser("b"), start).is_none());
        assert!(attempts.take("s", &browser("b"), start).is_some());
        assert!(attempts.take("s", &browser("b"), start).is_none());

        assert!(attempts.begin("s", &browser("b"), attempt(), None, start));
        assert!(attempts.take("s", &browser("b"), start.plus(LIFE)).is_none());
    }

    #[test]
    fn a_clock_that_is_put_back_leaves_no_attempt_for_good() {
        let (attempts, later) = (Attempts::default(), Timestamp(0).plus(LIFE * 100));
        let address = Some("192.0.2.1".parse().unwrap());
        for number in 0..MOST_OF_A_NETWORK {
            assert!(attempts.begin(&number.to_string(), &browser("b"), attempt(), address, later));
        }
        assert!(attempts.begin("s", &browser("b"), attempt(), address, Timestamp(0)));
    }

    #[test]
    fn a_network_begins_so_many_and_no_more() {
        let (attempts, start) = (Attempts::default(), Timestamp(0));
        let begin = |number: u32, address: &str, now| {
            attempts.begin(&number.to_string(), &browser("b"), attempt(), Some(address.parse().unwrap()), now)
        };
        for number in 0..MOST_OF_A_NETWORK {
            assert!(begin(number, &format!("2001:db8::{number:x}"), start));
            // A finished one counts too.
            assert!(attempts.take(&number.to_string(), &browser("b"), start).is_some());
        }
        assert!(!begin(1, "2001:db8::ffff", start));
        assert!(begin(1, "2001:db8:0:1::1", start));
        assert!(begin(1, "2001:db8::ffff", start.plus(LIFE)));
    }
}
