//! The service's log is this process's standard error, one line each; the agent reads it from there.

use std::fmt::Display;

/// Writes one line.
#[expect(
    clippy::print_stderr,
    reason = "standard error is the log of a replica; a subscriber would cost start-up time"
)]
pub(crate) fn line(text: impl Display) {
    eprintln!("{text}");
}
