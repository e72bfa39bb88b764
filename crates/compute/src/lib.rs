//! Jails, launchers and the agent that runs on a target.
//!
//! | part | is |
//! | --- | --- |
//! | [`local::LocalComputer`] | the launcher for this machine: starts `bartizan agent` |
//! | [`agent_main`] | what `bartizan agent` does: one run, or one replica of a service |
//! | [`jail_main`] | what `bartizan jail` does: builds the jail around a user's program |
//! | [`probe()`] | finds out which walls this host can build |
//!
//! **Invariant:** the agent's token never enters a jail; what the program may ask of the server passes `proxy`.
//! **Invariant:** everything a run writes lies in memory that is private to its agent and vanishes with it.

pub mod agent;
mod azure;
pub mod environment;
mod imds;
pub mod jail;
mod jail_tls;
pub mod local;
mod probe;
mod process;
mod proxy;
pub mod scratch;
mod vault_door;

/// Keeps this process's memory, and so its keys, out of core dumps and from other processes of the same user (I13).
///
/// # Errors
/// What the kernel says.
pub fn forbid_core_dumps() -> std::io::Result<()> {
    nix::sys::prctl::set_dumpable(false).map_err(std::io::Error::from)
}

pub use agent::agent_main;
pub use jail::jail_main;
pub use jail_tls::{DoorIdentity, MakeDoor};
pub use probe::probe;
