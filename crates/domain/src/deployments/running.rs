//! Deployments that are under way on this server: what a cancellation reaches, and how one that was cut off is told.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kernel::{Caller, Error, Kind, Result, Who};
use uuid::Uuid;

/// Deployments of one caller at a time. Those that wait for one nested in them count too.
const MOST_OF_ONE: usize = 16;

/// Runs that ended a while ago: far more than end between a reader's look at the store and at this.
const MOST_REMEMBERED: usize = 1024;

/// Those under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<Runs>>);

#[derive(Debug, Default)]
struct Runs {
    under_way: HashMap<Uuid, State>,
    /// Those that ended lately, the last one last.
    ended: VecDeque<Uuid>,
}

/// How one stands.
#[derive(Clone, Debug)]
struct State {
    /// Whether it is to stop.
    is_cancelled: bool,
    /// Who began it.
    by: String,
}

/// One that is under way, for as long as this is held.
#[derive(Debug)]
pub struct UnderWay {
    run: Uuid,
    running: Running,
}

impl Running {
    fn open(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one for a caller.
    ///
    /// # Errors
    /// `Throttled` when too many of that caller are under way.
    pub(super) fn begin(&self, run: Uuid, caller: &Caller) -> Result<UnderWay> {
        let by = match &caller.who {
            Who::Principal(principal) => principal.id.to_string(),
            Who::Run(run) => run.run.to_string(),
            Who::House | Who::Keyed(_) | Who::Nobody => String::new(),
        };
        let all = &mut self.open().under_way;
        if all.values().filter(|state| state.by == by).count() >= MOST_OF_ONE {
            let why =
                format!("{MOST_OF_ONE} deployments of yours are under way, and no more can be; wait for one to end");
            return Err(Error::new(Kind::Throttled, why).coded("DeploymentQuotaExceeded"));
        }
        all.insert(run, State { is_cancelled: false, by });
        Ok(UnderWay { run, running: self.clone() })
    }

    pub(super) fn holds(&self, run: Uuid) -> bool {
        self.open().under_way.contains_key(&run)
    }

    /// Whether it is under way here, or was just now: whoever read that it runs may have read it before its end was written.
    pub(super) fn held(&self, run: Uuid) -> bool {
        let runs = self.open();
        runs.under_way.contains_key(&run) || runs.ended.contains(&run)
    }

    /// The end of a run was written.
    pub(super) fn end(&self, run: Uuid) {
        let mut runs = self.open();
        if runs.ended.len() >= MOST_REMEMBERED {
            runs.ended.pop_front();
        }
        runs.ended.push_back(run);
    }

    /// Asks one to stop; whether it was under way.
    pub(super) fn cancel(&self, run: Uuid) -> bool {
        self.open().under_way.get_mut(&run).is_some_and(|state| {
            state.is_cancelled = true;
            true
        })
    }
}

impl UnderWay {
    /// Whether it is to stop before its next step.
    pub fn is_cancelled(&self) -> bool {
        self.running.open().under_way.get(&self.run).is_none_or(|state| state.is_cancelled)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.running.open().under_way.remove(&self.run);
    }
}

#[cfg(test)]
mod tests {
    use kernel::Source;

    use super::*;

    #[test]
    fn so_many_of_one_caller_are_under_way_and_another_may_begin_when_one_ends() {
        let running = Running::default();
        let (one, other) = (Caller::house(), Caller::nobody(Source::internal()));
        let mut held: Vec<_> = (0..MOST_OF_ONE).map(|_| running.begin(Uuid::new_v4(), &one).unwrap()).collect();
        assert_eq!(running.begin(Uuid::new_v4(), &other).unwrap_err().kind(), Kind::Throttled);
        held.pop();
        let last = Uuid::new_v4();
        let begun = running.begin(last, &one).unwrap();
        assert!(running.holds(last) && !begun.is_cancelled());
        assert!(running.cancel(last) && begun.is_cancelled());
        running.end(last);
        drop(begun);
        assert!(!running.holds(last) && running.held(last) && !running.held(Uuid::new_v4()));
    }
}
