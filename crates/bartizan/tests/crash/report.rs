//! What a suite says: one line with rounds, seed and counts, past the test harness's capture.

use std::{
    fmt::Display,
    io::Write,
    sync::atomic::{AtomicUsize, Ordering},
};

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "crash: {line}");
}

/// A suite that cannot run here says so and is counted; it never passes in silence.
pub fn skip(suite: &str, why: impl Display) {
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    say(format_args!("SKIPPED {suite} ({count} skipped so far): {why}"));
}
