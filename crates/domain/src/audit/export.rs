//! Copying the log out: as it is stored, or opened.

use async_trait::async_trait;
use kernel::{Action, Class, LogRow, ResourceId, Result};

use crate::gate::{Activity, Cx, Op};

const EXPORT: Action = Action::new("Microsoft.Insights/eventtypes/export/read", Class::Vault);
/// Rows of one call.
const MOST: usize = 5000;

/// Copies rows of the log as they are stored, for keeping elsewhere and for offline verification.
#[derive(Debug)]
pub struct ExportLog {
    /// First number.
    pub from: u64,
    /// At most this many.
    pub most: usize,
}

#[async_trait]
impl Op for ExportLog {
    const ACTION: Action = EXPORT;
    type Output = Vec<LogRow>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<LogRow>> {
        cx.house().log_page(self.from.max(1), self.most.min(MOST)).await
    }
}

/// Copies rows of the log with what is in them.
#[derive(Debug)]
pub struct ExportActivities {
    /// First number.
    pub from: u64,
    /// At most this many.
    pub most: usize,
}

#[async_trait]
impl Op for ExportActivities {
    const ACTION: Action = EXPORT;
    type Output = Vec<(LogRow, Activity)>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let rows = cx.house().log_page(self.from.max(1), self.most.min(MOST)).await?;
        rows.into_iter().map(|row| cx.house().open_record(&row).map(|activity| (row, activity))).collect()
    }
}
