//! Where a run's scratch was, and what became of it: what its agent said, and what the server saw of the agent's end.

use kernel::Timestamp;
use serde::{Deserialize, Serialize};

/// The wall that keeps a run's scratch off every disk. Runs of high business impact start nowhere without it.
pub const SCRATCH_WALL: &str = "private-scratch";

/// A run's scratch: its working directory, temporary files and shared memory. It is a file system in memory that no other process
/// of the host sees, so it has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scratch {
    /// Whether the host may write that memory to a disk.
    pub swap: Swap,
    /// When and how it ended; none while it is there, or when nobody could see its end.
    pub destroyed: Option<Destruction>,
}

/// Whether memory can reach a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Swap {
    /// The kernel was told never to swap it out.
    Forbidden,
    /// The host has no swap.
    NoneOnHost,
    /// The host may swap it out, in clear.
    Possible,
}

/// The end of a scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destruction {
    /// When it was known.
    pub at: Timestamp,
    /// How.
    pub how: End,
}

/// How a scratch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The agent emptied it, looked that nothing was left, and took it down.
    Cleared,
    /// The process that held it is gone, and the memory with it.
    WithAgent,
}

impl Scratch {
    /// One that an agent is about to use.
    pub(super) fn begun(swap: Swap) -> Self {
        Self { swap, destroyed: None }
    }

    /// The same after its end; the first word about it counts.
    pub(super) fn ended(self, at: Timestamp, how: End) -> Self {
        Self { destroyed: self.destroyed.or(Some(Destruction { at, how })), ..self }
    }
}
