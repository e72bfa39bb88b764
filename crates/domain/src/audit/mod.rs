//! The audit room: reading the activity log, signing its checkpoints, and verifying it.

mod checkpoint;
mod export;
mod filter;
mod list;
mod retention;
mod sign_ins;
mod verify;

pub(crate) use checkpoint::key as signing_key;
pub use checkpoint::{LogKey, SignCheckpoint};
pub use export::{ExportActivities, ExportLog};
pub use filter::{ActivityFilter, View};
pub use list::{ListActivities, Listed, Page};
pub(crate) use list::{Span, scan};
pub use retention::{CutLog, GetCut, GetRetention, PutRetention, Retention, SignCut, is_cut};
pub(crate) use retention::{check_front, cut_text, said_retention};
pub use sign_ins::{ListSignIns, SignInFilter, is_interactive};
pub use verify::{Finding, LogVerifier, Verified};
