//! Places on the server's own target: how many jobs run at once, in all and by quota.

use kernel::{ResourceId, Result};

use super::launch::LiveRun;
use crate::{
    gate::{Admission, Row},
    resources::{Quota, local_quotas},
};

/// Jobs that run at once.
pub(crate) const JOBS_AT_ONCE: usize = 4;

/// The workspace of each job that holds a place.
pub(crate) async fn running_jobs(cx: &Admission<'_>) -> Result<Vec<ResourceId>> {
    let live = cx.all::<LiveRun>(cx.system(), b"").await?;
    Ok(live.into_iter().filter(|row| holds_a_place(&row.value)).map(|row| row.value.scope).collect())
}

fn holds_a_place(live: &LiveRun) -> bool {
    live.is_job && live.tried_at.is_some() && live.locked_at.is_none()
}

/// The places that are taken. The target is one machine, whatever location a workspace says it is in.
pub(super) struct Places {
    /// The workspace of each running job.
    taken: Vec<ResourceId>,
    quotas: Vec<Quota>,
}

impl Places {
    pub(super) async fn new(cx: &Admission<'_>, live: &[Row<LiveRun>]) -> Result<Self> {
        let taken = live.iter().filter(|row| holds_a_place(&row.value)).map(|row| row.value.scope.clone()).collect();
        Ok(Self { taken, quotas: local_quotas(cx).await? })
    }

    /// Takes a place for a job; false when it has to wait for one.
    pub(super) fn take(&mut self, live: &LiveRun) -> bool {
        let is_full = |quota: &Quota| {
            let taken = self.taken.iter().filter(|scope| scope.is_within(&quota.scope)).count();
            taken >= usize::try_from(quota.limit).unwrap_or(usize::MAX)
        };
        let mut binding = self.quotas.iter().filter(|quota| live.scope.is_within(&quota.scope));
        if self.taken.len() >= JOBS_AT_ONCE || binding.any(is_full) {
            return false;
        }
        self.taken.push(live.scope.clone());
        true
    }
}
