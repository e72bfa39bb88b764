//! Deployments that are under way on this server: what a cancellation reaches, and how one that was cut off is told.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

/// Those under way, and whether each is to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<HashMap<Uuid, bool>>>);

/// One that is under way, for as long as this is held.
#[derive(Debug)]
pub struct UnderWay {
    run: Uuid,
    running: Running,
}

impl Running {
    fn open(&self) -> MutexGuard<'_, HashMap<Uuid, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, run: Uuid) -> UnderWay {
        self.open().insert(run, false);
        UnderWay { run, running: self.clone() }
    }

    pub(super) fn holds(&self, run: Uuid) -> bool {
        self.open().contains_key(&run)
    }

    /// Asks one to stop; whether it was under way.
    pub(super) fn cancel(&self, run: Uuid) -> bool {
        self.open().get_mut(&run).is_some_and(|is_cancelled| {
            *is_cancelled = true;
            true
        })
    }
}

impl UnderWay {
    /// Whether it is to stop before its next step.
    pub fn is_cancelled(&self) -> bool {
        self.running.open().get(&self.run).copied().unwrap_or(true)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.running.open().remove(&self.run);
    }
}
