//! Requests about schedules that are long over are removed; what they did stays in the activity log.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result};

use super::{Eligibility, RequestKind, ScheduleRequest};
use crate::{
    access::{RoleAssignment, approvals::remove_old},
    gate::{Admission, Cx, Op},
};

/// How long a request stays readable after what it gave has ended.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// Requests that one sweep removes; the next one goes on.
const MOST: usize = 1000;

/// Removes requests whose eligibility or assignment is gone, some time after.
#[derive(Debug)]
pub(crate) struct SweepRoleRequests;

#[async_trait]
impl Op for SweepRoleRequests {
    const ACTION: Action = Action::new("Microsoft.Authorization/roleAssignmentScheduleRequests/sweep", Class::Open);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut old = Vec::new();
        for row in cx.all::<ScheduleRequest>(cx.system(), b"").await? {
            if old.len() < MOST && row.value.is_old(cx.now()) && !is_there(cx, &row.value).await? {
                old.push(row);
            }
        }
        remove_old(cx, &old).await
    }
}

impl ScheduleRequest {
    /// Whether what it gave ended, and it was made, long ago.
    fn is_old(&self, now: kernel::Timestamp) -> bool {
        let end = self.window.and_then(|window| window.until).unwrap_or(self.created_at);
        end.max(self.created_at).plus(KEPT) <= now
    }
}

/// Whether the eligibility or assignment that a request is about is there still: it is shown with the request that made it.
async fn is_there(cx: &Admission<'_>, request: &ScheduleRequest) -> Result<bool> {
    let id = request.target.as_bytes();
    Ok(match request.about {
        RequestKind::Eligibility => cx.get::<Eligibility>(cx.system(), id).await?.is_some(),
        RequestKind::Assignment => cx.get::<RoleAssignment>(cx.system(), id).await?.is_some(),
    })
}
