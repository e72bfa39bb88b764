//! Ends runs of a model that take too long.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ort::session::RunOptions;

/// The hold on the run of one session.
pub(super) struct Leash {
    options: RunOptions,
    run: Mutex<Run>,
}

#[derive(Default)]
struct Run {
    /// When the current run must be over; none while idle.
    until: Option<Instant>,
    /// Whether it was told to end.
    cut: bool,
}

impl Leash {
    /// A hold by `options`, which every run of the session must be given.
    pub(super) fn new(options: RunOptions) -> Self {
        Self { options, run: Mutex::default() }
    }

    /// The options to run with.
    pub(super) fn options(&self) -> &RunOptions {
        &self.options
    }

    /// A run starts that must be over at `until`.
    pub(super) fn tie(&self, until: Instant) {
        self.run.lock().unwrap_or_else(PoisonError::into_inner).until = Some(until);
    }

    /// The run is over. Tells whether it was told to end.
    pub(super) fn untie(&self) -> bool {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        run.until = None;
        let cut = std::mem::take(&mut run.cut);
        if cut {
            // Else every later run with these options would end at once, too.
            drop(self.options.unterminate());
        }
        cut
    }

    /// Ends the run if it is late. The lock is held, so that it cannot hit the next one.
    fn check(&self, now: Instant) {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        if !run.cut && run.until.is_some_and(|until| now >= until) {
            run.cut = self.options.terminate().is_ok();
        }
    }
}

/// Looks at all sessions from time to time. ONNX Runtime ends a run between two of its nodes, so a single very long node is
/// not cut short.
pub(super) struct Watchdog {
    /// What it watches.
    pub(super) leashes: Vec<Arc<Leash>>,
    /// The longest run.
    pub(super) timeout: Duration,
}

impl Watchdog {
    /// Starts looking, for as long as the process lives. A thread of its own, because a run may occupy the one that serves the
    /// socket.
    pub(super) fn start(self) -> std::io::Result<()> {
        let pause = (self.timeout / 10).clamp(Duration::from_millis(5), Duration::from_millis(500));
        thread::Builder::new().name("watchdog".into()).spawn(move || {
            loop {
                thread::sleep(pause);
                let now = Instant::now();
                for leash in &self.leashes {
                    leash.check(now);
                }
            }
        })?;
        Ok(())
    }
}
