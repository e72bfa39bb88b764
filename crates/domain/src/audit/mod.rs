//! The audit room: reading the activity log, signing its checkpoints, and verifying it.

mod checkpoint;
mod list;
mod verify;

pub use checkpoint::{LogKey, SignCheckpoint};
pub use list::{ActivityFilter, ExportLog, ListActivities, Listed, Page};
pub use verify::{Finding, LogVerifier, Verified};
