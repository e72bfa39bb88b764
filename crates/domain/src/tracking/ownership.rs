//! What a run's own code may write: its own run, what that run made, and nothing else. Principals are judged by their roles
//! alone. A refusal is recorded like every other denial.

use kernel::{Action, Error, Kind, Result, RunId, Who};

use super::{
    Assessment, Experiment, LoggedModel, ModelVersion, RegisteredModel, Run, Trace,
    action::{WRITE_ANY_ASSESSMENT, WRITE_ANY_EXPERIMENT, WRITE_ANY_MODEL, WRITE_ANY_RUN},
    run,
};
use crate::{
    compute::Launch,
    gate::{Admission, Shelf},
    resources::{Resource, Workspace},
};

/// The run whose code asks, if one does.
pub(super) fn own_run(cx: &Admission<'_>) -> Option<RunId> {
    match &cx.caller().who {
        Who::Run(run) => Some(run.run.clone()),
        _ => None,
    }
}

/// Display name of whoever asks, as the server established it.
pub(super) fn caller_name(cx: &Admission<'_>) -> String {
    match &cx.caller().who {
        Who::Principal(principal) => principal.name.clone(),
        Who::Run(run) => format!("run {}", run.run),
        Who::Keyed(_) | Who::House | Who::Nobody => String::new(),
    }
}

/// Whether what asks is of high business impact: by its workspace, or because the job whose code asks was submitted so.
pub(super) async fn is_raised(cx: &Admission<'_>, shelf: &Shelf, workspace: &Resource<Workspace>) -> Result<bool> {
    match own_run(cx) {
        _ if workspace.properties.hbi => Ok(true),
        Some(run) => is_run_raised(cx, shelf, &run).await,
        None => Ok(false),
    }
}

/// Whether what is written to a run is of high business impact, whoever asks: by its workspace, or because of the job whose run it
/// is, or whose code made it.
pub(super) async fn is_written_raised(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &Resource<Workspace>,
    run: &Run,
) -> Result<bool> {
    if workspace.properties.hbi {
        return Ok(true);
    }
    is_run_raised(cx, shelf, run.created_by_run.as_ref().unwrap_or(&run.id)).await
}

/// Whether a job was submitted as one of high business impact.
pub(super) async fn is_run_raised(cx: &Admission<'_>, shelf: &Shelf, run: &RunId) -> Result<bool> {
    let launch = cx.get::<Launch>(shelf, &shelf.name_id::<Launch>(run.as_str())).await?;
    Ok(launch.is_some_and(|row| row.value.hbi))
}

/// Refuses a run's code unless the claim holds; `action` is the one that only principals have.
async fn hold(cx: &Admission<'_>, action: &Action, claim: impl FnOnce(&RunId) -> bool) -> Result<()> {
    match own_run(cx) {
        Some(me) if !claim(&me) => cx.require(action, cx.scope()).await,
        _ => Ok(()),
    }
}

fn made(by: Option<&RunId>, me: &RunId) -> bool {
    by == Some(me)
}

/// Its own run, or one that it made.
pub(super) async fn of_run(cx: &Admission<'_>, run: &Run, action: &Action) -> Result<()> {
    hold(cx, action, |me| run.id == *me || made(run.created_by_run.as_ref(), me)).await
}

/// One that it made: its own run was begun by whoever submitted the job, and is theirs to delete.
pub(super) async fn of_begun_run(cx: &Admission<'_>, run: &Run, action: &Action) -> Result<()> {
    hold(cx, action, |me| made(run.created_by_run.as_ref(), me)).await
}

/// Nothing that a run's code may do.
pub(super) async fn of_people(cx: &Admission<'_>, action: &Action) -> Result<()> {
    hold(cx, action, |_| false).await
}

/// The experiment of its own run.
pub(super) async fn of_experiment(cx: &Admission<'_>, shelf: &Shelf, experiment: &Experiment) -> Result<()> {
    let home = home(cx, shelf).await?;
    hold(cx, &WRITE_ANY_EXPERIMENT, |_| home.is_some_and(|home| home.experiment == experiment.id)).await
}

/// A run to be: below its own run or one that it made, in the experiment of its own run. Says which that is.
pub(super) async fn of_new_run(
    cx: &Admission<'_>,
    shelf: &Shelf,
    experiment: &str,
    parent: Option<&str>,
) -> Result<Option<Run>> {
    let home = home(cx, shelf).await?;
    let parent = match parent.and_then(|id| id.parse().ok()) {
        Some(id) if home.is_some() => find(cx, shelf, &id).await?,
        _ => None,
    };
    let is_at_home = home.as_ref().is_some_and(|home| home.experiment == experiment);
    let is_below = |me: &RunId| parent.is_some_and(|run| run.id == *me || made(run.created_by_run.as_ref(), me));
    let held = hold(cx, &WRITE_ANY_RUN, |me| is_at_home && is_below(me)).await;
    held.map(|()| home).map_err(|fault| match fault.kind() {
        Kind::Denied => {
            let words = "a job's code may only begin runs below its own run and in its own experiment: begin them with \
                         `nested=True` while that run is active, or name it as their `parent_run_id`";
            Error::new(Kind::Denied, words)
        }
        _ => fault,
    })
}

/// Traces of the experiment of its own run.
pub(super) async fn of_traces(cx: &Admission<'_>, shelf: &Shelf, experiment: &str, action: &Action) -> Result<()> {
    let home = home(cx, shelf).await?;
    hold(cx, action, |_| home.is_some_and(|home| home.experiment == experiment)).await
}

/// A trace of that experiment which it began: what others' code did is not for it to say.
pub(super) async fn of_trace(cx: &Admission<'_>, shelf: &Shelf, trace: &Trace, action: &Action) -> Result<()> {
    of_traces(cx, shelf, &trace.experiment, action).await?;
    hold(cx, action, |me| made(trace.created_by_run.as_ref(), me)).await
}

/// What it thinks of a trace itself: what people and others' code think is not for it to change.
pub(super) async fn of_assessment(cx: &Admission<'_>, assessment: &Assessment) -> Result<()> {
    hold(cx, &WRITE_ANY_ASSESSMENT, |me| made(assessment.created_by_run.as_ref(), me)).await
}

/// A logged model to be: in the experiment of its own run.
pub(super) async fn of_new_logged_model(cx: &Admission<'_>, shelf: &Shelf, experiment: &str) -> Result<()> {
    let home = home(cx, shelf).await?;
    hold(cx, &WRITE_ANY_MODEL, |_| home.is_some_and(|home| home.experiment == experiment)).await
}

/// The run whose code asks, if one does and is tracked.
async fn home(cx: &Admission<'_>, shelf: &Shelf) -> Result<Option<Run>> {
    match own_run(cx) {
        Some(me) => find(cx, shelf, &me).await,
        None => Ok(None),
    }
}

async fn find(cx: &Admission<'_>, shelf: &Shelf, id: &RunId) -> Result<Option<Run>> {
    match run::find(cx, shelf, id).await {
        Ok(row) => Ok(Some(row.value)),
        Err(fault) if fault.kind() == Kind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// A logged model that it made.
pub(super) async fn of_logged_model(cx: &Admission<'_>, model: &LoggedModel, action: &Action) -> Result<()> {
    hold(cx, action, |me| made(model.created_by_run.as_ref(), me)).await
}

/// A registered model that it made.
pub(super) async fn of_registered_model(cx: &Admission<'_>, model: &RegisteredModel) -> Result<()> {
    hold(cx, &WRITE_ANY_MODEL, |me| made(model.created_by_run.as_ref(), me)).await
}

/// A version that it registered.
pub(super) async fn of_version(cx: &Admission<'_>, version: &ModelVersion) -> Result<()> {
    hold(cx, &WRITE_ANY_MODEL, |me| made(version.created_by_run.as_ref(), me)).await
}
