//! Operations on runs.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId, Timestamp};

use super::{
    Point, Run, RunStatus,
    action::{DELETE_ANY_RUN, DELETE_RUNS, READ_RUNS, WRITE_ANY_RUN, WRITE_RUNS},
    attempt::{Attempt, settle},
    experiment, import, metric, ownership,
    run::{self, PARENT_TAG, RUN_NAME_TAG, WARNING_TAG},
    run_links::{self, RunLinks},
    run_name, text,
};
use crate::{
    gate::{Admission, Changes, Cx, Happening, Op, Shelf},
    impact::admit_names,
    resources::workspace_shelf,
};

/// A run with what lies beside it.
#[derive(Clone, Debug)]
pub struct RunView {
    /// The run; `is_deleted` says whether it or its experiment is.
    pub run: Run,
    /// The latest value of each metric, by name.
    pub metrics: BTreeMap<String, Point>,
    /// Data sets and models.
    pub links: RunLinks,
}

impl RunView {
    pub(super) async fn open(cx: &Admission<'_>, shelf: &Shelf, mut run: Run) -> Result<Self> {
        let heads = metric::heads(cx, shelf, &run).await?.value;
        let metrics = heads.metrics.into_iter().map(|(key, head)| (key, head.latest)).collect();
        let links = run_links::links(cx, shelf, &run).await?.value;
        if !run.is_deleted {
            run.is_deleted = experiment::find(cx, shelf, &run.experiment).await?.value.is_deleted;
        }
        Ok(Self { run, metrics, links })
    }
}

/// Begins a run that no job stands behind. A run's code may do so below its own run only.
#[derive(Debug)]
pub struct CreateRun {
    /// The workspace.
    pub workspace: ResourceId,
    /// The experiment's id.
    pub experiment: String,
    /// For people; two words and a number when empty.
    pub name: String,
    /// When it began, as the client says.
    pub started_at: Option<Timestamp>,
    /// Free labels.
    pub tags: Vec<(String, String)>,
}

#[async_trait]
impl Op for CreateRun {
    const ACTION: Action = WRITE_RUNS;
    type Output = RunView;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let experiment = experiment::find(cx, &shelf, &self.experiment).await?.value;
        experiment.must_be_active()?;
        import::must_all_stay(&BTreeMap::new(), &self.tags)?;
        let mut tags: BTreeMap<String, String> = self.tags.into_iter().collect();
        let name = name_of(self.name, &tags)?;
        tags.insert(RUN_NAME_TAG.to_owned(), name.clone());
        let is_raised = ownership::is_raised(cx, &shelf, &workspace.value).await?;
        if let Some(warning) = admit_names(cx, is_raised, &[("run_name", &name)])?.pop() {
            tags.insert(WARNING_TAG.to_owned(), warning);
        }
        let parent = tags.get(PARENT_TAG).map(String::as_str);
        let job = ownership::of_new_run(cx, &shelf, &experiment.id, parent).await?;
        let run = Run {
            id: RunId::random(),
            experiment: experiment.id,
            name,
            // What a job's code makes belongs to whoever submitted the job.
            user: job.map_or_else(|| ownership::caller_name(cx), |job| job.user),
            status: RunStatus::Running,
            started_at: self.started_at.unwrap_or_else(|| cx.now()),
            ended_at: None,
            is_deleted: false,
            params: BTreeMap::new(),
            tags,
            created_by_run: ownership::own_run(cx),
            is_job: false,
            is_concluded: false,
        };
        cx.note("run", run.id.to_string());
        cx.happened(Happening::RunStarted);
        let mut changes = Changes::new();
        run::add(&shelf, &mut changes, run.clone())?;
        cx.commit(changes).await?;
        Ok(RunView { run, metrics: BTreeMap::new(), links: RunLinks::default() })
    }
}

fn name_of(name: String, tags: &BTreeMap<String, String>) -> Result<String> {
    match tags.get(RUN_NAME_TAG) {
        Some(tag) if !name.is_empty() && *tag != name => {
            let (name, tag) = (text::echo(&name), text::echo(tag));
            let words = "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values";
            Err(Error::new(Kind::Invalid, format!("{words} (run_name='{name}', mlflow.runName='{tag}').")))
        }
        Some(tag) if !tag.is_empty() => Ok(tag.clone()),
        _ if name.is_empty() => Ok(run_name::random()),
        _ => Ok(name),
    }
}

/// Reads one, deleted or not.
#[derive(Debug)]
pub struct GetRun {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
}

#[async_trait]
impl Op for GetRun {
    const ACTION: Action = READ_RUNS;
    type Output = RunView;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let run = run::find(cx, &shelf, &self.run).await?.value;
        RunView::open(cx, &shelf, run).await
    }
}

/// Changes status, end and name. Once a job has ended, its status is what the job became, whatever is asked here.
#[derive(Debug)]
pub struct UpdateRun {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub status: Option<RunStatus>,
    /// When it ended, as the client says.
    pub ended_at: Option<Timestamp>,
    /// A new name.
    pub name: Option<String>,
}

#[async_trait]
impl Op for UpdateRun {
    const ACTION: Action = WRITE_RUNS;
    type Output = Run;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for UpdateRun {
    fn contends_for(&self) -> String {
        format!("run|{}", self.run)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<Run> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let mut row = run::find_writable(cx, &shelf, &self.run).await?;
        if let Some(name) = &self.name {
            let is_raised = ownership::is_written_raised(cx, &shelf, &workspace.value, &row.value).await?;
            admit_names(cx, is_raised, &[("run_name", name)])?;
        }
        let run = &mut row.value;
        if !run.is_concluded {
            if let Some(status) = self.status {
                tell(cx, run, status);
                run.status = status;
                // A run that is taken up again has no end.
                run.ended_at = if status.is_final() { self.ended_at.or(Some(cx.now())) } else { None };
            } else if self.ended_at.is_some() {
                run.ended_at = self.ended_at;
            }
        }
        if let Some(name) = self.name.as_ref().filter(|name| !name.is_empty()) {
            run.rename(name)?;
        }
        cx.note("run", self.run.to_string());
        let mut changes = Changes::new();
        changes.put(&shelf, &row)?;
        cx.commit(changes).await?;
        Ok(row.value)
    }
}

/// Says what becomes of a run that no job is: a job's own is told by the compute room.
pub(super) fn tell(cx: &Admission<'_>, run: &Run, next: RunStatus) {
    if run.is_job || run.status == next {
        return;
    }
    match next {
        RunStatus::Running if run.status.is_final() => cx.happened(Happening::RunStarted),
        RunStatus::Finished => cx.happened(Happening::RunCompleted),
        RunStatus::Failed => cx.happened(Happening::RunFailed),
        RunStatus::Killed => cx.happened(Happening::RunCanceled),
        RunStatus::Running | RunStatus::Scheduled => {}
    }
}

/// Removes a tag of a run; `NotFound` when it has none of that name.
#[derive(Debug)]
pub struct DeleteRunTag {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
    /// The tag.
    pub key: String,
}

#[async_trait]
impl Op for DeleteRunTag {
    const ACTION: Action = WRITE_RUNS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for DeleteRunTag {
    fn contends_for(&self) -> String {
        format!("run|{}", self.run)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let mut row = run::find_writable(cx, &shelf, &self.run).await?;
        import::must_stay(&row.value.tags, &self.key, None)?;
        if row.value.tags.remove(&self.key).is_none() {
            let words = format!("No tag with name: {} in run with id {}", text::echo(&self.key), self.run);
            return Err(Error::new(Kind::NotFound, words));
        }
        cx.note("run", self.run.to_string());
        let mut changes = Changes::new();
        changes.put(&shelf, &row)?;
        cx.commit(changes).await
    }
}

/// Deletes a run, until it is restored. A run's code may delete what it began, never its own run.
#[derive(Debug)]
pub struct DeleteRun {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
}

#[async_trait]
impl Op for DeleteRun {
    const ACTION: Action = DELETE_RUNS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for DeleteRun {
    fn contends_for(&self) -> String {
        format!("run|{}", self.run)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        mark(cx, &self.workspace, &self.run, true, &DELETE_ANY_RUN).await
    }
}

/// Brings a deleted run back. A run's code may do so for what it began.
#[derive(Debug)]
pub struct RestoreRun {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
}

#[async_trait]
impl Op for RestoreRun {
    const ACTION: Action = WRITE_RUNS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for RestoreRun {
    fn contends_for(&self) -> String {
        format!("run|{}", self.run)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        mark(cx, &self.workspace, &self.run, false, &WRITE_ANY_RUN).await
    }
}

async fn mark(
    cx: &Admission<'_>,
    workspace: &ResourceId,
    run: &RunId,
    is_deleted: bool,
    action: &Action,
) -> Result<()> {
    let (shelf, _) = workspace_shelf(cx, workspace).await?;
    let mut row = run::find(cx, &shelf, run).await?;
    ownership::of_begun_run(cx, &row.value, action).await?;
    cx.note("run", run.to_string());
    if row.value.is_deleted == is_deleted {
        return Ok(());
    }
    row.value.is_deleted = is_deleted;
    let mut changes = Changes::new();
    changes.put(&shelf, &row)?;
    cx.commit(changes).await
}
