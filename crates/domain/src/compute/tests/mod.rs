//! The compute and snapshots rooms over stores in memory, with a clock to turn and a target that only pretends.

mod bounds;
mod deleted;
mod identities;
mod runs;
mod sends;
pub(crate) mod stand;
mod targets;
