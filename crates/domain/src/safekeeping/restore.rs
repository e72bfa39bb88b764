//! The record by which a log tells that it goes on from a backup.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result};

use crate::gate::{Cx, Op};

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was made, RFC 3339.
    pub made_at: String,
    /// How many records its log had.
    pub records: u64,
}

/// Writes into the log that what follows was restored from a backup: whoever kept a younger checkpoint learns here why the log
/// does not reach it.
#[derive(Debug)]
pub struct SayRestored(pub Restored);

#[async_trait]
impl Op for SayRestored {
    const ACTION: Action = Action::new("Microsoft.Authorization/backups/restore/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        cx.note("backupMadeAt", &self.0.made_at);
        cx.note("backupRecords", self.0.records.to_string());
        Ok(())
    }
}
