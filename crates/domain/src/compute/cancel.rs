//! Asking for the end of a job.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, RunId};

use super::{
    JobStatus, LaunchState, RunState,
    job::find_job,
    launch::{End, conclude},
};
use crate::gate::{Changes, Cx, Op};

const ATTEMPTS: usize = 8;

/// Cancels a job: at once while it waits, otherwise its agent is told. One that has ended stays as it is.
#[derive(Debug)]
pub struct CancelJob {
    /// The job.
    pub id: ResourceId,
}

#[async_trait]
impl Op for CancelJob {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/jobs/cancel/action", Class::Control);
    type Output = JobStatus;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<JobStatus> {
        for _ in 0..ATTEMPTS {
            match self.once(cx).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => {
                    super::wake(cx);
                    done?;
                    return Ok(find_job(cx, &self.id).await?.1);
                }
            }
        }
        Err(Error::new(Kind::Throttled, "the job changes too fast; try again"))
    }
}

impl CancelJob {
    async fn once(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, job) = find_job(cx, &self.id).await?;
        let run: RunId = job.row.value.id.name().parse().map_err(Error::internal)?;
        let id = shelf.name_id::<LaunchState>(run.as_str());
        let Some(mut row) = cx.get::<LaunchState>(&shelf, &id).await? else { return Ok(()) };
        cx.note("was", row.value.state.word());
        if row.value.state.is_final() || row.value.state == RunState::CancelRequested {
            return Ok(());
        }
        let mut changes = Changes::new();
        if row.value.state.is_waiting() {
            let message = Some(String::from("canceled before it began"));
            let end = End { state: RunState::Canceled, message, exit_code: None };
            conclude(cx, &shelf, &mut changes, &run, row, end).await?;
        } else {
            row.value.state = RunState::CancelRequested;
            row.value.before_silence = None;
            row.value.cancel_requested_at = Some(cx.now());
            changes.put(&shelf, &row)?;
        }
        cx.commit(changes).await
    }
}
