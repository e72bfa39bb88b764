//! Wakes those who wait for a change: long polls of agents, the scheduler, live views.

use tokio::sync::watch;

/// One counter that rises with every change somebody might wait for. Waiters look again; a wake too many is harmless.
#[derive(Debug)]
pub(crate) struct Signals {
    changes: watch::Sender<u64>,
}

impl Default for Signals {
    fn default() -> Self {
        Self { changes: watch::Sender::new(0) }
    }
}

impl Signals {
    /// Something changed.
    pub(crate) fn wake(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Waits for changes after this call.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
