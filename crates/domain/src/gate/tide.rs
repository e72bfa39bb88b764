//! Whose commits came into the log: those of this house, which it knows all about, and those of others on the same store.
//!
//! Every commit but those that change nothing anybody keeps in memory appends to the log, so its newest number tells whether
//! something came that this house did not do. A commit whose end was never heard (its caller went away) counts as another's.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// Stretches of numbers that are kept apart; beyond that the oldest count as another's, which costs time and nothing else.
const MOST: usize = 256;

/// Numbers of the log that this house's own commits gave, and commits that are under way.
#[derive(Default)]
pub(crate) struct Tide {
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Default)]
struct State {
    /// From and through, in order, not touching each other.
    own: Vec<(u64, u64)>,
    next: u64,
    open: BTreeSet<u64>,
}

/// A commit that is under way until this is dropped.
pub(super) struct Ticket<'a> {
    tide: &'a Tide,
    number: u64,
}

impl Tide {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commit begins.
    pub(super) fn embark(&self) -> Ticket<'_> {
        let mut state = self.state();
        let number = state.next;
        state.next = number.wrapping_add(1);
        state.open.insert(number);
        Ticket { tide: self, number }
    }

    /// The newest number up to `head` that is another's, or 0. Whoever knows everything through `known` waits no longer than it
    /// takes to find out that nothing newer is: for own commits whose number is not known yet.
    pub(crate) async fn foreign(&self, head: u64, known: u64) -> u64 {
        let begun = self.state().next;
        loop {
            let moved = self.moved.notified();
            {
                let state = self.state();
                let foreign = state.foreign(head);
                if foreign <= known || state.open.first().is_none_or(|oldest| *oldest >= begun) {
                    return foreign;
                }
            }
            moved.await;
        }
    }
}

impl State {
    fn foreign(&self, head: u64) -> u64 {
        let at = self.own.partition_point(|(from, _)| *from <= head);
        match at.checked_sub(1).and_then(|at| self.own.get(at)) {
            Some((from, through)) if *through >= head => from.saturating_sub(1),
            _ => head,
        }
    }

    fn own(&mut self, from: u64, through: u64) {
        let at = self.own.partition_point(|known| known.0 < from);
        self.own.insert(at, (from, through));
        self.own.dedup_by(|later, earlier| {
            let touches = earlier.1.saturating_add(1) >= later.0;
            if touches {
                earlier.1 = earlier.1.max(later.1);
            }
            touches
        });
        let excess = self.own.len().saturating_sub(MOST);
        self.own.drain(..excess);
    }
}

impl Ticket<'_> {
    /// It is durable: `records` rows of the log, the last of which has this number.
    pub(super) fn arrived(self, last: u64, records: usize) {
        let count = u64::try_from(records).unwrap_or(u64::MAX);
        if count > 0 && last >= count {
            self.tide.state().own(last.saturating_sub(count).saturating_add(1), last);
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.tide.state().open.remove(&self.number);
        self.tide.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_known_as_own_is_anothers() {
        let tide = Tide::default();
        assert_eq!(tide.foreign(7, 0).await, 7);
        tide.embark().arrived(9, 2);
        assert_eq!((tide.foreign(9, 0).await, tide.foreign(8, 0).await, tide.foreign(7, 0).await), (7, 7, 7));
        tide.embark().arrived(12, 1);
        assert_eq!((tide.foreign(12, 0).await, tide.foreign(11, 0).await), (11, 11));
        tide.embark().arrived(11, 2);
        assert_eq!(tide.foreign(12, 0).await, 7);
        assert_eq!(tide.foreign(13, 0).await, 13);
        // What appended nothing has no number.
        tide.embark().arrived(0, 0);
        assert_eq!(tide.foreign(12, 0).await, 7);
    }

    #[tokio::test]
    async fn a_commit_under_way_is_waited_for_and_one_that_began_later_is_not() {
        let tide = Tide::default();
        tide.embark().arrived(5, 1);
        let under_way = tide.embark();
        let asked = tide.foreign(6, 5);
        tokio::pin!(asked);
        assert!(futures::poll!(&mut asked).is_pending());
        let later = tide.embark();
        under_way.arrived(6, 1);
        assert_eq!(asked.await, 4);
        drop(later);
        // One whose end was never heard counts as another's.
        drop(tide.embark());
        assert_eq!(tide.foreign(7, 5).await, 7);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut state = State::default();
        for number in 0..10_000 {
            state.own(number * 2 + 1, number * 2 + 1);
        }
        assert_eq!((state.own.len(), state.foreign(19_999), state.foreign(1)), (MOST, 19_998, 1));
    }
}
