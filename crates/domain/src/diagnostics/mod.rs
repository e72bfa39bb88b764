//! Diagnostics: the little that an operator may let leave the installation, and the outbox in which every byte of it can be looked at
//! before.
//!
//! Nothing is collected until an operator turns collection on, and nothing is sent until a destination is named too. What is collected
//! is what `Fact` holds and no more: names of experiments and data sets, and names of environment variables; never values,
//! commands, files, people, addresses, or what a workspace is called. Owners opt a workspace out; one of high business impact is
//! never in. **Invariant:** what is sent is an entry's bytes as the outbox shows them.

mod collect;
mod collection;
mod outbox;
mod send;

pub(crate) use collect::{Fact, collect};
pub use collection::{Collection, GetCollection, PutCollection};
pub use outbox::{Entry, GetOutboxEntry, ListOutbox, PurgeOutbox};
pub(crate) use outbox::{count_of, forget_of};
pub use send::send_what_is_due;
