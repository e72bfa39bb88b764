//! Runs: what one execution was given and what became of it. A job's execution is a run with the job's id.

use std::collections::BTreeMap;

use kernel::{Error, Kind, Result, RunId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{action::WRITE_ANY_RUN, experiment, import, ownership, text};
use crate::gate::{Admission, Changes, Record, Row, Shelf};

/// The tag that mirrors a run's name.
pub const RUN_NAME_TAG: &str = "mlflow.runName";

/// The tag by which a new run tells what somebody should look at: clients of MLflow's protocol are told in no other way.
pub(super) const WARNING_TAG: &str = "bartizan.warning";

/// The tag that says below which run a run was begun.
pub(super) const PARENT_TAG: &str = "mlflow.parentRunId";

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunStatus {
    /// Under way.
    Running,
    /// Accepted, not started.
    Scheduled,
    /// Ended well.
    Finished,
    /// Ended badly.
    Failed,
    /// Ended by someone.
    Killed,
}

impl RunStatus {
    /// Whether it is an end.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }
}

/// A run. Metrics lie beside it, since they change far more often.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The experiment's id.
    pub experiment: String,
    /// For people.
    pub name: String,
    /// Display name of whoever the server established as its maker.
    pub user: String,
    /// Where it stands.
    pub status: RunStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Deleted ones take no writes and can be restored. Those of a deleted experiment count as deleted too.
    pub is_deleted: bool,
    /// Immutable once given.
    pub params: BTreeMap<String, String>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// The run whose code made it, if one did.
    pub created_by_run: Option<RunId>,
    /// Whether a job stands behind it.
    pub is_job: bool,
    /// Whether that job ended: from then on nobody's word about the status counts.
    pub is_concluded: bool,
}

impl Record for Run {
    const TABLE: &'static str = "run";
}

impl Run {
    /// Where its files are read and written.
    pub fn artifact_uri(&self) -> String {
        artifact_uri(&self.experiment, &self.id)
    }

    /// Gives it another name, in its tag too.
    pub(super) fn rename(&mut self, name: &str) -> Result<()> {
        text::check("run_name", name, 1..=500)?;
        name.clone_into(&mut self.name);
        self.tags.insert(RUN_NAME_TAG.to_owned(), name.to_owned());
        Ok(())
    }
}

/// Where the files of a run are read and written.
pub(super) fn artifact_uri(experiment: &str, run: &RunId) -> String {
    format!("mlflow-artifacts:/{experiment}/{run}/artifacts")
}

/// In which experiment a run or a logged model lies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) experiment: String,
}

impl Record for Place {
    const TABLE: &'static str = "tracking-place";
}

/// A job's run to be.
#[derive(Clone, Debug)]
pub struct RunSeed {
    /// Its id.
    pub run: RunId,
    /// Name of the experiment, made when it is missing.
    pub experiment: String,
    /// For people; the id when empty.
    pub name: String,
    /// Display name of the principal that submitted it.
    pub submitted_by: String,
    /// Free labels.
    pub tags: Vec<(String, String)>,
}

/// Adds a job's run to `changes`, as `Scheduled`. Its status follows by [`set_run_status`] in later commits. A commit that
/// is `Stale` because another made the same experiment in between is to be built anew. Says the experiment's id.
///
/// # Errors
/// `Invalid` for names and tags out of bounds or a deleted experiment, `Exists` when the id is taken.
pub async fn begin_run(cx: &Admission<'_>, shelf: &Shelf, changes: &mut Changes, seed: RunSeed) -> Result<String> {
    if cx.get::<Place>(shelf, &place_id(shelf, seed.run.as_str())).await?.is_some() {
        return Err(Error::new(Kind::Exists, format!("the run `{}` already exists", seed.run)));
    }
    import::must_all_stay(&BTreeMap::new(), &seed.tags)?;
    let experiment = experiment::ensure(cx, shelf, changes, &seed.experiment).await?;
    let id = experiment.id.clone();
    let name = if seed.name.is_empty() { seed.run.to_string() } else { seed.name };
    let mut tags: BTreeMap<String, String> = seed.tags.into_iter().collect();
    tags.insert(RUN_NAME_TAG.to_owned(), name.clone());
    let run = Run {
        id: seed.run,
        experiment: experiment.id,
        name,
        user: seed.submitted_by,
        status: RunStatus::Scheduled,
        started_at: cx.now(),
        ended_at: None,
        is_deleted: false,
        params: BTreeMap::new(),
        tags,
        created_by_run: None,
        is_job: true,
        is_concluded: false,
    };
    add(shelf, changes, run)?;
    Ok(id)
}

/// Sets where a job's run stands; an end is final. Not in the commit that begins the run.
///
/// # Errors
/// `NotFound` for an unknown run.
pub async fn set_run_status(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    run: &RunId,
    status: RunStatus,
) -> Result<()> {
    let mut row = find(cx, shelf, run).await?;
    let run = &mut row.value;
    if run.status == RunStatus::Scheduled && status == RunStatus::Running {
        run.started_at = cx.now();
    }
    run.status = status;
    run.ended_at = status.is_final().then(|| cx.now());
    run.is_concluded = status.is_final();
    changes.put(shelf, &row)?;
    Ok(())
}

/// Checks a new run and adds its rows.
pub(super) fn add(shelf: &Shelf, changes: &mut Changes, run: Run) -> Result<()> {
    text::check("run_name", &run.name, 1..=500)?;
    for (key, value) in &run.tags {
        text::check_key("key", key)?;
        text::check_length("value", value, 8000)?;
    }
    let place = Place { experiment: run.experiment.clone() };
    changes.put(shelf, &Row::new(place_id(shelf, run.id.as_str()), place))?;
    changes.put(shelf, &Row::new(row_id(shelf, &run.experiment, run.id.as_str()), run))?;
    Ok(())
}

pub(super) fn place_id(shelf: &Shelf, id: &str) -> Vec<u8> {
    shelf.name_id::<Place>(id)
}

/// A run's row: its experiment's rows lie together.
pub(super) fn row_id(shelf: &Shelf, experiment: &str, id: &str) -> Vec<u8> {
    let mut row = experiment::row_id(shelf, experiment);
    row.extend(shelf.name_id::<Run>(id));
    row
}

/// Reads a run that must exist.
/// Refuses a run that is not there.
pub(crate) async fn require_run(cx: &Admission<'_>, shelf: &Shelf, id: &RunId) -> Result<()> {
    find(cx, shelf, id).await.map(drop)
}

pub(super) async fn find(cx: &Admission<'_>, shelf: &Shelf, id: &RunId) -> Result<Row<Run>> {
    let missing = || Error::new(Kind::NotFound, format!("Run with id={id} not found"));
    let place = cx.get::<Place>(shelf, &place_id(shelf, id.as_str())).await?.ok_or_else(missing)?;
    let row = row_id(shelf, &place.value.experiment, id.as_str());
    cx.get::<Run>(shelf, &row).await?.ok_or_else(missing)
}

/// Reads a run that the caller may write to: it is the caller's business, and neither it nor its experiment is deleted.
pub(super) async fn find_writable(cx: &Admission<'_>, shelf: &Shelf, id: &RunId) -> Result<Row<Run>> {
    let row = find(cx, shelf, id).await?;
    ownership::of_run(cx, &row.value, &WRITE_ANY_RUN).await?;
    must_be_active(cx, shelf, &row.value).await?;
    Ok(row)
}

/// Refuses a run that is deleted, by itself or with its experiment.
pub(super) async fn must_be_active(cx: &Admission<'_>, shelf: &Shelf, run: &Run) -> Result<()> {
    if run.is_deleted || experiment::find(cx, shelf, &run.experiment).await?.value.is_deleted {
        let words = format!("The run {} must be in the 'active' state. Current state is deleted.", run.id);
        return Err(Error::new(Kind::Invalid, words));
    }
    Ok(())
}
