//! Reading what a job writes, while it writes.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kernel::{Action, Class, Error, ResourceId, Result, RunId};
use tokio::time::Instant;

use super::{
    RunState,
    job::find_job,
    launch::launch_state,
    log::{self, PROGRAM_LOG},
};
use crate::gate::{Cx, Op};

/// Longest wait for more.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

const READ: Action = Action::new("Microsoft.MachineLearningServices/workspaces/jobs/read", Class::Read);

/// A piece of a log.
#[derive(Clone, Debug)]
pub struct LogPiece {
    /// From the offset asked for; at most eight mebibytes. Empty when there is no more now.
    pub bytes: Bytes,
    /// Where the run stood before the bytes were read: after an end and an empty piece, nothing more comes.
    pub state: RunState,
}

/// Reads a job's log from an offset; waits for more when there is none yet.
#[derive(Debug)]
pub struct GetJobLog {
    /// The job.
    pub id: ResourceId,
    /// The log's name.
    pub name: String,
    /// First byte.
    pub offset: u64,
    /// How long to wait for more; 30 seconds at most.
    pub wait: Duration,
}

#[async_trait]
impl Op for GetJobLog {
    const ACTION: Action = READ;
    type Output = LogPiece;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<LogPiece> {
        let (shelf, job) = find_job(cx, &self.id).await?;
        let run: RunId = job.row.value.id.name().parse().map_err(Error::internal)?;
        let until = Instant::now().checked_add(self.wait.min(LONGEST_WAIT)).unwrap_or_else(Instant::now);
        let mut changes = cx.house().signals.subscribe();
        loop {
            let state = match launch_state(cx, &shelf, &run).await? {
                Some(launch) => launch.state,
                None => return Err(Error::not_found("the job")),
            };
            let head = log::head(cx, &shelf, &run, &self.name).await?;
            if head.as_ref().is_some_and(|head| head.length > self.offset) {
                let bytes = log::read(cx, &shelf, &run, &self.name, self.offset).await?;
                return Ok(LogPiece { bytes, state });
            }
            if head.is_none() && state.is_final() && self.name != PROGRAM_LOG {
                return Err(Error::not_found("the log"));
            }
            let is_late = Instant::now() >= until;
            if state.is_final() || is_late || !cx.house().signals.changed(&mut changes, until).await {
                return Ok(LogPiece { bytes: Bytes::new(), state });
            }
        }
    }
}

/// Lists a job's logs: name and length.
#[derive(Debug)]
pub struct ListJobLogs {
    /// The job.
    pub id: ResourceId,
}

#[async_trait]
impl Op for ListJobLogs {
    const ACTION: Action = READ;
    type Output = Vec<(String, u64)>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, job) = find_job(cx, &self.id).await?;
        let run: RunId = job.row.value.id.name().parse().map_err(Error::internal)?;
        let heads = log::list(cx, &shelf, &run).await?;
        Ok(heads.into_iter().map(|head| (head.name, head.length)).collect())
    }
}
