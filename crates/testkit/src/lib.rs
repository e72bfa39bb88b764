//! For tests only: one conformance suite per port, a clock to turn, and doubles of what `seal` lends to drivers.
//!
//! A driver's test opens the driver and runs the suite of its port ([`conformance`]); the suite is the contract. Nothing
//! here sleeps, and nothing here is secure: the doubles show whether bytes were changed, not more.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a suite fails by panicking, like any test"
)]

mod clock;
pub mod conformance;
mod double;

pub use clock::TurnableClock;
pub use double::{ToyChain, ToySealing, blob_id, sealed};
