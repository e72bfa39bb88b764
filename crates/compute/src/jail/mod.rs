//! The jail: what a user's program runs in. One launcher for agents started by root and by plain users.
//!
//! The walls, from the outside in: a uid of its own (root only), control groups, namespaces for pid, mount, network, ipc,
//! uts, cgroup and user, a root that is an allow-list, no capabilities, no new privileges, Landlock, a system call
//! allow-list, limits, no inherited descriptors. Each holds without the others.
//!
//! **Invariant:** the only `unsafe` of this crate is in the file `sys.rs` of this folder.
//! **Invariant:** a jail that cannot be built does not run the program; there is no weaker way to start it.

mod cgroup;
mod credentials;
mod failure;
mod landlock;
mod launch;
mod owner;
mod root;
pub(crate) mod seccomp;
mod spec;
mod stage;
pub(crate) mod sys;

pub use cgroup::{Cgroup, Share};
pub use failure::{Failure, Step};
pub use launch::{Ending, Ends, Jail};
pub use owner::{Claim, is_real_root};
pub use spec::{Bind, Bounds, ENVIRONMENT, Event, INNER_ID, Network, OWN_BINARY, Owner, Spec, WORK};
pub use stage::jail_main;
