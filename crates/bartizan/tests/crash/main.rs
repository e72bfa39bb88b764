//! The running server under crashes: killed at random moments, cut from power, given errors by its disk. What it
//! acknowledged must be there afterwards; what it did not must be there wholly or not at all.
//!
//! Every suite prints its seed; `BARTIZAN_CRASH_SEED` repeats one. `BARTIZAN_CRASH_ROUNDS`, `BARTIZAN_CRASH_CUTS` and
//! `BARTIZAN_CRASH_FAULTS` ask for more rounds than the few that run by default; `BARTIZAN_CRASH_BINARY` names another
//! binary than the one that was just built.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "tests"
)]

mod client;
mod dice;
mod disk;
mod faults;
mod force;
mod kill;
mod ledger;
mod power;
mod report;
mod server;
mod traffic;
mod trial;
