//! Jails, launchers and the agent that runs on a target.
pub mod jail;
mod probe;
mod process;
pub mod scratch;
