//! Places on the server's own target: how many jobs run at once, in all and by quota.

use kernel::{Kind, ResourceId, Result};

use super::launch::LiveRun;
use crate::{
    gate::{Cx, Op, Row},
    resources::{Quota, Workspace, find, local_quotas},
};

/// Jobs that run at once.
pub(crate) const JOBS_AT_ONCE: usize = 4;

/// The workspace of each job that holds a place.
pub(crate) async fn running_jobs<O: Op>(cx: &Cx<'_, O>) -> Result<Vec<ResourceId>> {
    let live = cx.all::<LiveRun>(cx.system(), b"").await?;
    Ok(live.into_iter().filter(|row| holds_a_place(&row.value)).map(|row| row.value.scope).collect())
}

fn holds_a_place(live: &LiveRun) -> bool {
    live.is_job && live.tried_at.is_some()
}

/// The places that are taken.
pub(super) struct Places {
    /// Where the workspace of each running job is. Known only where there are quotas.
    taken: Vec<(ResourceId, String)>,
    quotas: Vec<Quota>,
}

impl Places {
    pub(super) async fn new<O: Op>(cx: &Cx<'_, O>, live: &[Row<LiveRun>]) -> Result<Self> {
        let mut places = Self { taken: Vec::new(), quotas: local_quotas(cx).await? };
        for row in live.iter().filter(|row| holds_a_place(&row.value)) {
            let location = places.location(cx, &row.value).await?;
            places.taken.push((row.value.scope.clone(), location));
        }
        Ok(places)
    }

    /// Takes a place for a job; false when it has to wait for one.
    pub(super) async fn take<O: Op>(&mut self, cx: &Cx<'_, O>, live: &LiveRun) -> Result<bool> {
        if self.taken.len() >= JOBS_AT_ONCE {
            return Ok(false);
        }
        let location = self.location(cx, live).await?;
        let binds =
            |quota: &&Quota| live.scope.is_within(&quota.scope) && quota.location.eq_ignore_ascii_case(&location);
        for quota in self.quotas.iter().filter(binds) {
            let is_counted = |(scope, place): &&(ResourceId, String)| {
                scope.is_within(&quota.scope) && place.eq_ignore_ascii_case(&location)
            };
            if self.taken.iter().filter(is_counted).count() >= usize::try_from(quota.limit).unwrap_or(usize::MAX) {
                return Ok(false);
            }
        }
        self.taken.push((live.scope.clone(), location));
        Ok(true)
    }

    async fn location<O: Op>(&self, cx: &Cx<'_, O>, live: &LiveRun) -> Result<String> {
        if self.quotas.is_empty() {
            return Ok(String::new());
        }
        match find::<Workspace, _>(cx, &live.scope).await {
            Err(fault) if fault.kind() == Kind::NotFound => Ok(String::new()),
            found => Ok(found?.1.value.location),
        }
    }
}
