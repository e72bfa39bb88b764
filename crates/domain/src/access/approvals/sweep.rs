//! Requests that are long over are removed; what was decided stays in the activity log.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result};

use super::{ApprovalRequest, ApprovalState};
use crate::gate::{Admission, Changes, Cx, Op, Record, Row};

/// How long a request stays readable after its time.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// Removes requests that nobody can use any more, some time after.
#[derive(Debug)]
pub(crate) struct SweepApprovals;

#[async_trait]
impl Op for SweepApprovals {
    const ACTION: Action = Action::new("Microsoft.Authorization/approvalRequests/sweep", Class::Open);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut old = cx.all::<ApprovalRequest>(cx.system(), b"").await?;
        old.retain(|row| {
            let is_old = row.value.expires_at.plus(KEPT) <= cx.now();
            is_old && row.value.state(cx.now()) != ApprovalState::Open
        });
        remove_old(cx, &old).await
    }
}

/// Removes rows that nobody needs any more, and says how many.
pub(in crate::access) async fn remove_old<T: Record>(cx: &Admission<'_>, old: &[Row<T>]) -> Result<()> {
    if old.is_empty() {
        return Ok(());
    }
    let mut changes = Changes::new();
    for row in old {
        changes.delete(cx.system(), row);
    }
    cx.note("removed", old.len().to_string());
    cx.commit(changes).await
}
