//! Faces over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

mod arm;
mod client;
mod replica;
mod score;
mod silence;
#[path = "../../../domain/tests/it/stand.rs"]
#[expect(dead_code, reason = "the stand serves the domain's tests too")]
mod stand;
