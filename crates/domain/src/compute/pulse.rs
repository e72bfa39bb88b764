//! What is known of live runs in memory: signs of life, since a heartbeat changes nothing that would have to last, and which
//! contents belong to a run's snapshot.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kernel::{RunId, Timestamp, WorkspaceId};

/// When runs were heard last by this server.
#[derive(Default)]
pub(crate) struct Pulses {
    beats: Mutex<Beats>,
}

#[derive(Default)]
struct Beats {
    /// Since when this server listens: before that, silence says nothing.
    listening_since: Option<Timestamp>,
    last: HashMap<(WorkspaceId, RunId), Timestamp>,
    contents: HashMap<(WorkspaceId, RunId), Contents>,
}

/// The content hashes of one run's snapshot.
pub(super) type Contents = Arc<HashSet<String>>;

impl Pulses {
    fn lock(&self) -> MutexGuard<'_, Beats> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The contents of a run's snapshot, if they were asked for before.
    pub(super) fn contents(&self, workspace: WorkspaceId, run: &RunId) -> Option<Contents> {
        self.lock().contents.get(&(workspace, run.clone())).cloned()
    }

    /// Keeps the contents of a run's snapshot until the run is over.
    pub(super) fn keep_contents(&self, workspace: WorkspaceId, run: &RunId, contents: &Contents) {
        self.lock().contents.insert((workspace, run.clone()), Arc::clone(contents));
    }

    /// A run gave a sign of life.
    pub(super) fn beat(&self, workspace: WorkspaceId, run: &RunId, now: Timestamp) {
        self.lock().last.insert((workspace, run.clone()), now);
    }

    /// The run is over.
    pub(super) fn forget(&self, workspace: WorkspaceId, run: &RunId) {
        let mut beats = self.lock();
        beats.last.remove(&(workspace, run.clone()));
        beats.contents.remove(&(workspace, run.clone()));
    }

    /// When the run was heard last, or could have been for the first time since this server began to listen.
    pub(super) fn last(&self, workspace: WorkspaceId, run: &RunId, now: Timestamp) -> Timestamp {
        let mut beats = self.lock();
        let since = *beats.listening_since.get_or_insert(now);
        beats.last.get(&(workspace, run.clone())).copied().map_or(since, |beat| beat.max(since))
    }
}
