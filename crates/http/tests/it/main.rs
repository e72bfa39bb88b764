//! Faces over real sockets.

mod arm;
mod client;
mod replica;
mod score;
#[path = "../../../domain/tests/it/stand.rs"]
#[expect(dead_code, reason = "the stand serves the domain's tests too")]
mod stand;
