//! How much one replica is given at once: a few calls at work, some that wait a moment, and no more.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// What a deployment says about its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestSettings {
    /// Calls that one replica works on at once.
    pub concurrent: u32,
    /// How long a call waits for its turn, in milliseconds.
    pub wait_ms: u64,
    /// How long a call may take, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for RequestSettings {
    fn default() -> Self {
        Self { concurrent: 8, wait_ms: 500, timeout_ms: 60_000 }
    }
}

/// Calls that may wait beside those at work.
const QUEUE: usize = 64;

/// The bounds of one replica.
#[derive(Debug)]
pub(super) struct Bounds {
    /// Places at work.
    working: Arc<Semaphore>,
    /// Places at work and in the queue.
    present: Arc<Semaphore>,
    settings: RequestSettings,
}

/// A place at a replica, given back when dropped.
#[derive(Debug)]
pub struct Place {
    _working: OwnedSemaphorePermit,
    _present: OwnedSemaphorePermit,
    /// Keeps the count alive as long as something is counted.
    _bounds: Arc<Bounds>,
}

impl Bounds {
    pub(super) fn new(settings: RequestSettings) -> Self {
        let concurrent = usize::try_from(settings.concurrent.max(1)).unwrap_or(1);
        Self {
            working: Arc::new(Semaphore::new(concurrent)),
            present: Arc::new(Semaphore::new(concurrent.saturating_add(QUEUE))),
            settings,
        }
    }

    /// Whether they are what these settings ask for.
    pub(super) fn are_for(&self, settings: RequestSettings) -> bool {
        self.settings == settings
    }

    /// A place, at once or after a wait; none when the queue is full or the wait was too long.
    pub(super) async fn enter(self: &Arc<Self>) -> Option<Place> {
        let present = Arc::clone(&self.present).try_acquire_owned().ok()?;
        let working = match Arc::clone(&self.working).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => timeout(Duration::from_millis(self.settings.wait_ms), Arc::clone(&self.working).acquire_owned())
                .await
                .ok()?
                .ok()?,
        };
        Some(Place { _working: working, _present: present, _bounds: Arc::clone(self) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_work_some_wait_and_the_rest_is_refused() {
        let bounds = Arc::new(Bounds::new(RequestSettings { concurrent: 2, wait_ms: 500, timeout_ms: 1 }));
        let (one, two) = (bounds.enter().await.unwrap(), bounds.enter().await.unwrap());
        assert!(bounds.enter().await.is_none());
        let waiting: Vec<_> = (0..QUEUE)
            .map(|_| {
                let bounds = Arc::clone(&bounds);
                tokio::spawn(async move { bounds.enter().await.is_some() })
            })
            .collect();
        // The scheduler runs some tens of tasks before it returns here.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        // The queue is full: no wait at all.
        assert!(bounds.enter().await.is_none());
        drop(one);
        let mut served = 0;
        for call in waiting {
            served += usize::from(call.await.unwrap());
        }
        // Each gave its place back at once, so all had their turn.
        assert_eq!(served, QUEUE);
        drop(two);
    }
}
