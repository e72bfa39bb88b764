//! What a job left behind: the files of its run.

use async_trait::async_trait;
use kernel::{Action, Error, ResourceId, Result, RunId};

use super::job::find_job;
use crate::{
    gate::{Cx, Op},
    tracking::{FilePage, action::READ_ARTIFACTS, page_of_files},
};

/// Most files of a page.
const MOST_LISTED: usize = 1000;

/// Lists a job's files, in all directories, page by page.
#[derive(Debug)]
pub struct ListJobOutputs {
    /// The job.
    pub id: ResourceId,
    /// What the page before said; none for the first.
    pub after: Option<String>,
    /// How many; 1000 at most.
    pub top: usize,
}

#[async_trait]
impl Op for ListJobOutputs {
    const ACTION: Action = READ_ARTIFACTS;
    type Output = FilePage;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<FilePage> {
        let (shelf, job) = find_job(cx, &self.id).await?;
        let run: RunId = job.row.value.id.name().parse().map_err(Error::internal)?;
        page_of_files(cx, &shelf, &run, self.after.as_deref(), self.top.clamp(1, MOST_LISTED)).await
    }
}
