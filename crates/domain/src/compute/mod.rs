//! The compute room: jobs, their runs, and the agents that carry them out.

mod lease;

pub use lease::Lease;
pub(crate) use lease::is_alive;
