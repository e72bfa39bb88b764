//! A trace as a whole: when, how it went, its labels and what is thought of it. And in which experiment it lies.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Action, Error, Kind, Result, RunId};
use serde::{Deserialize, Serialize};

use super::Assessment;
use crate::{
    gate::{Admission, Changes, Record, Row, Shelf},
    tracking::{experiment, ownership, text},
};

/// The name of a trace lies in a tag.
pub(super) const NAME_TAG: &str = "mlflow.traceName";
/// Where the spans lie, as clients look it up.
const LOCATION_TAG: &str = "mlflow.trace.spansLocation";
/// What the server alone says about where spans lie.
const OWN_TAGS: [&str; 3] = [LOCATION_TAG, "mlflow.trace.archiveLocation", "mlflow.trace.archivalFailure"];
/// The run in which a trace was made.
pub(super) const RUN_METADATA: &str = "mlflow.sourceRun";

/// Most tags, and most metadata, of one trace.
const MOST_LABELS: usize = 200;
/// Most characters of a preview.
pub(super) const PREVIEW: usize = 10_000;
/// Most bytes of a trace's row: labels, previews and assessments.
const MOST_BYTES: usize = 1 << 20;
/// Most runs that one trace is linked to, and most prompts.
const MOST_LINKS: usize = 1000;

/// How a trace went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TraceState {
    /// Nobody said.
    #[default]
    Unspecified,
    /// Well.
    Ok,
    /// Badly.
    Error,
    /// It is not over.
    InProgress,
}

impl TraceState {
    /// MLflow's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "STATE_UNSPECIFIED",
            Self::Ok => "OK",
            Self::Error => "ERROR",
            Self::InProgress => "IN_PROGRESS",
        }
    }

    /// Reads MLflow's word or number.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "" | "STATE_UNSPECIFIED" | "TRACE_STATUS_UNSPECIFIED" | "0" => Some(Self::Unspecified),
            "OK" | "1" => Some(Self::Ok),
            "ERROR" | "2" => Some(Self::Error),
            "IN_PROGRESS" | "3" => Some(Self::InProgress),
            _ => None,
        }
    }

    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Unspecified | Self::InProgress)
    }
}

/// A trace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trace {
    /// `tr-` and 32 hex digits, or what a client chose.
    pub id: String,
    /// The experiment's id.
    pub experiment: String,
    /// The application's own id of the request.
    pub client_request: Option<String>,
    /// The beginning of what was asked.
    pub request_preview: Option<String>,
    /// The beginning of what was answered.
    pub response_preview: Option<String>,
    /// When it began, in milliseconds since the epoch, as the application says.
    pub started_at: i64,
    /// How long it took, in milliseconds.
    pub duration: Option<i64>,
    /// How it went.
    pub state: TraceState,
    /// What the application said once and for all.
    pub metadata: BTreeMap<String, String>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// What people and programs think of it.
    pub assessments: Vec<Assessment>,
    /// Runs it was linked to.
    pub runs: BTreeSet<String>,
    /// Prompts it used: `name/version`.
    pub prompts: BTreeSet<String>,
    /// Whether the application said how it went as a whole; spans do not change that any more.
    pub is_finalized: bool,
    /// The run whose code made it, if one did.
    pub created_by_run: Option<RunId>,
    /// Pages of spans written so far.
    pub(super) pages: u32,
    /// Spans on them; those that came again with another content count again.
    pub(super) spans: usize,
    /// Bytes of them.
    pub(super) bytes: usize,
}

impl Record for Trace {
    const TABLE: &'static str = "trace";
}

/// In which experiment a trace lies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TracePlace {
    pub(super) experiment: String,
}

impl Record for TracePlace {
    const TABLE: &'static str = "trace-place";
}

impl Trace {
    pub(super) fn new(id: &str, experiment: &str, created_by_run: Option<RunId>) -> Self {
        Self {
            id: id.to_owned(),
            experiment: experiment.to_owned(),
            client_request: None,
            request_preview: None,
            response_preview: None,
            started_at: 0,
            duration: None,
            state: TraceState::InProgress,
            metadata: BTreeMap::new(),
            tags: BTreeMap::new(),
            assessments: Vec::new(),
            runs: BTreeSet::new(),
            prompts: BTreeSet::new(),
            is_finalized: false,
            created_by_run,
            pages: 0,
            spans: 0,
            bytes: 0,
        }
    }

    /// Whether any of its spans came.
    pub fn has_spans(&self) -> bool {
        self.spans > 0
    }

    /// Its tags, with what the server says of where the spans lie.
    pub fn all_tags(&self) -> BTreeMap<String, String> {
        let mut tags = self.tags.clone();
        if self.has_spans() {
            tags.insert(LOCATION_TAG.to_owned(), String::from("TRACKING_STORE"));
        }
        tags
    }

    /// When it ended.
    pub(super) fn ended_at(&self) -> i64 {
        self.started_at.saturating_add(self.duration.unwrap_or(0))
    }

    /// Whether it was made in a run or linked to it.
    pub(super) fn is_of_run(&self, run: &str) -> bool {
        self.runs.contains(run) || self.metadata.get(RUN_METADATA).is_some_and(|source| source == run)
    }

    /// Sets a tag; a value that is too long is cut, as MLflow's own server does.
    pub(super) fn set_tag(&mut self, key: &str, value: &str) -> Result<()> {
        check_tag_key(key)?;
        self.tags.insert(key.to_owned(), value.chars().take(8000).collect());
        Ok(())
    }

    pub(super) fn link_run(&mut self, run: &RunId) {
        self.runs.insert(run.as_str().to_owned());
    }

    /// Refuses what is beyond the bounds of one trace.
    pub(super) fn must_be_bounded(&self) -> Result<()> {
        let too_many = |what: &str, most: usize| {
            Err(Error::new(Kind::Invalid, format!("a trace holds at most {most} {what}: `{}`", text::echo(&self.id))))
        };
        if self.tags.len() > MOST_LABELS || self.metadata.len() > MOST_LABELS {
            return too_many("tags, and as many entries of metadata", MOST_LABELS);
        }
        if self.runs.len() > MOST_LINKS || self.prompts.len() > MOST_LINKS {
            return too_many("links to runs, and as many to prompts", MOST_LINKS);
        }
        if self.assessments.len() > Assessment::MOST {
            return too_many("assessments", Assessment::MOST);
        }
        if self.size() > MOST_BYTES {
            return too_many("bytes of labels, previews and assessments", MOST_BYTES);
        }
        Ok(())
    }

    /// About how many bytes its row takes.
    pub(super) fn size(&self) -> usize {
        let pairs = self.tags.iter().chain(&self.metadata).map(|(key, value)| key.len().saturating_add(value.len()));
        let previews = [&self.request_preview, &self.response_preview, &self.client_request];
        let texts = previews.into_iter().flatten().map(String::len);
        let links = self.runs.iter().chain(&self.prompts).map(String::len);
        pairs
            .chain(texts)
            .chain(links)
            .chain(self.assessments.iter().map(Assessment::size))
            .fold(500, usize::saturating_add)
    }
}

/// Whether a tag is the server's own.
pub(super) fn is_own_tag(key: &str) -> bool {
    OWN_TAGS.contains(&key)
}

/// Keys of tags and metadata.
pub(super) fn check_tag_key(key: &str) -> Result<()> {
    text::check("key", key, 1..=250)
}

/// Ids that clients may choose.
pub(super) fn check_id(id: &str) -> Result<()> {
    text::check("trace_id", id, 1..=64)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !id.chars().all(is_plain) {
        return Err(text::bad("trace_id", id, "it must be letters, digits, `-` and `_`"));
    }
    Ok(())
}

fn place_id(shelf: &Shelf, id: &str) -> Vec<u8> {
    shelf.name_id::<TracePlace>(id)
}

fn row_id(shelf: &Shelf, experiment: &str, id: &str) -> Vec<u8> {
    let mut row = experiment::row_id(shelf, experiment);
    row.extend(shelf.name_id::<Trace>(id));
    row
}

/// The error for a trace that is not there.
pub(super) fn missing(id: &str) -> Error {
    Error::new(Kind::NotFound, format!("Trace with ID '{}' not found.", text::echo(id)))
}

/// Reads a trace; none when there is none.
pub(super) async fn look(at: &Admission<'_>, shelf: &Shelf, id: &str) -> Result<Option<Row<Trace>>> {
    let Some(place) = at.get::<TracePlace>(shelf, &place_id(shelf, id)).await? else { return Ok(None) };
    at.get::<Trace>(shelf, &row_id(shelf, &place.value.experiment, id)).await
}

/// Reads a trace that must exist.
pub(super) async fn find(at: &Admission<'_>, shelf: &Shelf, id: &str) -> Result<Row<Trace>> {
    look(at, shelf, id).await?.ok_or_else(|| missing(id))
}

/// Reads a trace that the caller may write to, in an experiment that is not deleted.
pub(super) async fn find_writable(cx: &Admission<'_>, shelf: &Shelf, id: &str, action: &Action) -> Result<Row<Trace>> {
    let row = find(cx, shelf, id).await?;
    ownership::of_traces(cx, shelf, &row.value.experiment, action).await?;
    experiment::find(cx, shelf, &row.value.experiment).await?.value.must_be_active()?;
    Ok(row)
}

/// A row for a new trace. Its place is written with it the first time.
pub(super) fn new_row(shelf: &Shelf, trace: Trace) -> Row<Trace> {
    Row::new(row_id(shelf, &trace.experiment, &trace.id), trace)
}

/// Writes a trace; the first time, its place too.
pub(super) fn put(shelf: &Shelf, changes: &mut Changes, row: &Row<Trace>) -> Result<()> {
    row.value.must_be_bounded()?;
    changes.put(shelf, row)?;
    if row.version == 0 {
        let place = TracePlace { experiment: row.value.experiment.clone() };
        changes.put(shelf, &Row::new(place_id(shelf, &row.value.id), place))?;
    }
    Ok(())
}

/// Removes a trace and its place.
pub(super) async fn remove(at: &Admission<'_>, shelf: &Shelf, changes: &mut Changes, row: &Row<Trace>) -> Result<()> {
    changes.delete(shelf, row);
    if let Some(place) = at.get::<TracePlace>(shelf, &place_id(shelf, &row.value.id)).await? {
        changes.delete(shelf, &place);
    }
    Ok(())
}
