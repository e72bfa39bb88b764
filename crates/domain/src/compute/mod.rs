//! The compute room: jobs, their runs, and the agents that carry them out.
//!
//! A launch is what an agent is to do; whoever records one (a job, a service's deployment) does so in the commit of its own
//! change. The scheduler starts what is queued, the agent reports, the sweep ends what fell silent. **Invariant:** the end
//! of a run, the death of its token and its status in the tracking room are one commit.

mod launch;
mod lease;
mod state;

pub use launch::{Engine, JailLimits, Launch, LaunchState, Layer, Work, end_launch, launch_state, record_launch, wake};
pub use lease::Lease;
pub(crate) use lease::is_alive;
pub use state::RunState;
