//! Requests that are long over are removed; what was decided stays in the activity log.

use std::time::Duration;

use kernel::{Action, Class, ResourceId, Result};

use super::{ApprovalRequest, ApprovalState};
use crate::gate::{Changes, Cx, Op};

/// How long a request stays readable after its time.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// Removes requests that nobody can use any more, some time after.
#[derive(Debug)]
pub(crate) struct SweepApprovals;

impl Op for SweepApprovals {
    const ACTION: Action = Action::new("Microsoft.Authorization/approvalRequests/sweep", Class::Open);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut changes = Changes::new();
        let mut count: usize = 0;
        for row in cx.all::<ApprovalRequest>(cx.system(), b"").await? {
            let is_old = row.value.expires_at.plus(KEPT) <= cx.now();
            if is_old && row.value.state(cx.now()) != ApprovalState::Open {
                changes.delete(cx.system(), &row);
                count = count.saturating_add(1);
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        cx.note("removed", count.to_string());
        cx.commit(changes).await
    }
}
