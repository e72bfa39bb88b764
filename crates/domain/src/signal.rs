//! Wakes those who wait for a change: long polls of agents, the scheduler, live views.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// One counter that rises with every change somebody might wait for. Waiters look again; a wake too many is harmless.
#[derive(Debug)]
pub(crate) struct Signals {
    changes: watch::Sender<u64>,
    is_over: AtomicBool,
}

impl Default for Signals {
    fn default() -> Self {
        Self { changes: watch::Sender::new(0), is_over: AtomicBool::new(false) }
    }
}

impl Signals {
    /// Something changed.
    pub(crate) fn wake(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The server ends: nobody waits any more.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.wake();
    }

    /// Waits for a change that `changes` has not told yet: whether to look again, rather than that the time is up or the server
    /// ends.
    pub(crate) async fn changed(&self, changes: &mut watch::Receiver<u64>, until: Instant) -> bool {
        let is_over = || self.is_over.load(Ordering::Acquire);
        !is_over() && matches!(timeout_at(until, changes.changed()).await, Ok(Ok(()))) && !is_over()
    }

    /// Waits for changes after this call.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
