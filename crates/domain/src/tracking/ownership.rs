//! What a run's own code may write: its own run, what that run made, and nothing else. Principals are judged by their roles
//! alone. A refusal is recorded like every other denial.

use kernel::{Action, Result, RunId, Who};

use super::{
    Experiment, LoggedModel, ModelVersion, RegisteredModel, Run,
    action::{WRITE_ANY_EXPERIMENT, WRITE_ANY_MODEL},
    run,
};
use crate::gate::{Cx, Op, Shelf};

/// The run whose code asks, if one does.
pub(super) fn own_run<O: Op>(cx: &Cx<'_, O>) -> Option<RunId> {
    match &cx.caller().who {
        Who::Run(run) => Some(run.run.clone()),
        _ => None,
    }
}

/// Display name of whoever asks, as the server established it.
pub(super) fn caller_name<O: Op>(cx: &Cx<'_, O>) -> String {
    match &cx.caller().who {
        Who::Principal(principal) => principal.name.clone(),
        Who::Run(run) => format!("run {}", run.run),
        Who::House | Who::Nobody => String::new(),
    }
}

/// Refuses a run's code unless the claim holds; `action` is the one that only principals have.
async fn hold<O: Op>(cx: &Cx<'_, O>, action: &Action, claim: impl FnOnce(&RunId) -> bool) -> Result<()> {
    match own_run(cx) {
        Some(me) if !claim(&me) => cx.require(action, cx.scope()).await,
        _ => Ok(()),
    }
}

fn made(by: Option<&RunId>, me: &RunId) -> bool {
    by == Some(me)
}

/// Its own run, or one that it made.
pub(super) async fn of_run<O: Op>(cx: &Cx<'_, O>, run: &Run, action: &Action) -> Result<()> {
    hold(cx, action, |me| run.id == *me || made(run.created_by_run.as_ref(), me)).await
}

/// The experiment of its own run, or one that it made.
pub(super) async fn of_experiment<O: Op>(cx: &Cx<'_, O>, shelf: &Shelf, experiment: &Experiment) -> Result<()> {
    let home = match own_run(cx) {
        Some(me) => run::find(cx, shelf, &me).await.map(|row| row.value.experiment).ok(),
        None => None,
    };
    let is_home = home.is_some_and(|home| home == experiment.id);
    hold(cx, &WRITE_ANY_EXPERIMENT, |me| is_home || made(experiment.created_by_run.as_ref(), me)).await
}

/// A logged model that it made.
pub(super) async fn of_logged_model<O: Op>(cx: &Cx<'_, O>, model: &LoggedModel, action: &Action) -> Result<()> {
    hold(cx, action, |me| made(model.created_by_run.as_ref(), me)).await
}

/// A registered model that it made.
pub(super) async fn of_registered_model<O: Op>(cx: &Cx<'_, O>, model: &RegisteredModel) -> Result<()> {
    hold(cx, &WRITE_ANY_MODEL, |me| made(model.created_by_run.as_ref(), me)).await
}

/// A version that it registered.
pub(super) async fn of_version<O: Op>(cx: &Cx<'_, O>, version: &ModelVersion) -> Result<()> {
    hold(cx, &WRITE_ANY_MODEL, |me| made(version.created_by_run.as_ref(), me)).await
}
