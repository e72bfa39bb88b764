//! What the scoring room keeps in memory: services ready for scoring, the bounds of their replicas, and the records of
//! calls that wait to be written.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use kernel::{RunId, WorkspaceId};
use uuid::Uuid;

use super::{RequestSettings, bounds::Bounds, rate::Rates, request::Waiting, service::Service};

/// Services kept ready; more than this and all are looked up anew.
const MOST_SERVICES: usize = 4096;

type Known = HashMap<WorkspaceId, HashMap<String, Option<Arc<Service>>>>;

/// The memory of the room.
#[derive(Default)]
pub(crate) struct Scoring {
    known: Mutex<Known>,
    /// Rises when services may have changed, so that a look-up that began before is not kept.
    generation: AtomicU64,
    /// Bounds outlive what is known of a service: a call in flight counts after a change too.
    bounds: Mutex<HashMap<RunId, Arc<Bounds>>>,
    /// Probes in a row that a replica did not answer.
    misses: Mutex<HashMap<RunId, u32>>,
    /// How many choices between deployments each endpoint has had. It outlives what is known of a service, so that shares are
    /// kept to however often something changes.
    turns: Mutex<HashMap<Uuid, u64>>,
    /// Calls of named keys.
    pub(super) rates: Rates,
    /// Records of calls that wait to be written.
    pub(super) waiting: Arc<Waiting>,
}

impl Scoring {
    /// Something that scoring depends on has changed.
    pub(crate) fn forget_services(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        locked(&self.known).clear();
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// What is known of a service: nothing, that there is none, or all that scoring needs.
    pub(super) fn recall(&self, workspace: WorkspaceId, name: &str) -> Option<Option<Arc<Service>>> {
        locked(&self.known).get(&workspace)?.get(name).cloned()
    }

    /// Keeps what was looked up since `generation`, unless something has changed.
    pub(super) fn keep(&self, generation: u64, workspace: WorkspaceId, name: &str, found: Option<Arc<Service>>) {
        let mut known = locked(&self.known);
        if self.generation() != generation {
            return;
        }
        if known.values().map(HashMap::len).sum::<usize>() >= MOST_SERVICES {
            known.clear();
        }
        known.entry(workspace).or_default().insert(name.to_owned(), found);
    }

    /// The bounds of a replica, under these settings.
    pub(super) fn bounds(&self, launch: &RunId, settings: RequestSettings) -> Arc<Bounds> {
        let mut bounds = locked(&self.bounds);
        bounds.retain(|known, held| known == launch || Arc::strong_count(held) > 1);
        let held = bounds.entry(launch.clone()).or_insert_with(|| Arc::new(Bounds::new(settings)));
        if !held.are_for(settings) {
            *held = Arc::new(Bounds::new(settings));
        }
        Arc::clone(held)
    }

    /// The number of the next choice between the deployments of an endpoint.
    pub(super) fn next_turn(&self, endpoint: Uuid) -> u64 {
        let mut turns = locked(&self.turns);
        if turns.len() >= MOST_SERVICES && !turns.contains_key(&endpoint) {
            turns.clear();
        }
        let next = turns.entry(endpoint).or_default();
        let turn = *next;
        *next = turn.wrapping_add(1);
        turn
    }

    /// Counts a probe; says how many in a row were not answered.
    pub(super) fn count_probe(&self, launch: &RunId, is_answered: bool) -> u32 {
        let mut misses = locked(&self.misses);
        if is_answered {
            misses.remove(launch);
            return 0;
        }
        if misses.len() >= MOST_SERVICES {
            misses.clear();
        }
        let count = misses.entry(launch.clone()).or_default();
        *count = count.saturating_add(1);
        *count
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
