//! Operations over a whole house in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod deleted;
mod deployments;
mod images;
mod network;
mod safekeeping;
mod scoring;
mod secrets;
mod sharing;
mod stand;
mod tracking;
