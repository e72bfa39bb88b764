//! The audit room: reading the activity log, signing its checkpoints, and verifying it.

mod checkpoint;
mod list;
mod sign_ins;
mod verify;

pub use checkpoint::{LogKey, SignCheckpoint};
pub(crate) use list::scan;
pub use list::{ActivityFilter, ExportLog, ListActivities, Listed, Page};
pub use sign_ins::{ListSignIns, SignInFilter, is_interactive};
pub use verify::{Finding, LogVerifier, Verified};
