//! What a suite says: one line with rounds, seed and counts, past the test harness's capture.

use std::{fmt::Display, io::Write};

pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "crash: {line}");
}

/// A suite that cannot run here says so in a line that `tests/run` counts; it never passes in silence.
pub fn skip(suite: &str, why: impl Display) {
    say(format_args!("1 suite skipped: {suite}: {why}"));
}
