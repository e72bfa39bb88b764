//! Facts about a run that MLflow has no word for, in a row beside it.

use std::collections::BTreeMap;

use kernel::{Error, Kind, ResourceId, Result, RunId};
use serde::{Deserialize, Serialize};

use crate::{
    compute::Job,
    gate::{Admission, Record, Row, Shelf},
    resources::{Resource, row_id},
    tracking::{
        Run, RunLinks, experiment,
        run::{self, PARENT_TAG},
        run_links, text,
    },
};

/// Most properties of a run (Azure's limit).
pub(super) const MOST_PROPERTIES: usize = 50;
/// Longest name and value of a property, in characters (Azure's limits).
const PROPERTY_NAME: usize = 100;
const PROPERTY_VALUE: usize = 1000;
/// Most warnings that are kept; later ones are left out.
const MOST_WARNINGS: usize = 100;
/// Longest message of an error or a warning that is kept, in characters.
const MESSAGE: usize = 4000;
/// How far up a family of runs is followed.
const GENERATIONS: usize = 64;
/// The property that names the snapshot of a job's code.
const SNAPSHOT: &str = "ContentSnapshotId";

/// Facts about a run. The row id is the run's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Immutable once given.
    pub properties: BTreeMap<String, String>,
    /// Why it failed, in the words of its code: code and message.
    pub error: Option<(String, String)>,
    /// What somebody should look at.
    pub warnings: Vec<RunWarning>,
    /// What kind of run the client calls it.
    pub run_type: Option<String>,
    /// Where it runs, as the client says.
    pub target: Option<String>,
}

/// A warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunWarning {
    /// What it is about.
    pub source: String,
    /// What it says.
    pub message: String,
}

impl Record for RunFacts {
    const TABLE: &'static str = "run-facts";
}

impl RunFacts {
    /// Gives it a property.
    ///
    /// # Errors
    /// `Conflict` for one that has another value, `Invalid` beyond the limits.
    pub(super) fn add_property(&mut self, name: &str, value: &str) -> Result<()> {
        text::check("properties", name, 1..=PROPERTY_NAME)?;
        text::check_length("properties", value, PROPERTY_VALUE)?;
        match self.properties.get(name) {
            Some(known) if known == value => return Ok(()),
            Some(_) => return Err(immutable(name)),
            None => self.properties.insert(name.to_owned(), value.to_owned()),
        };
        if self.properties.len() > MOST_PROPERTIES {
            return Err(text::bad("properties", name, &format!("a run holds at most {MOST_PROPERTIES} properties")));
        }
        Ok(())
    }

    pub(super) fn fail_with(&mut self, code: &str, message: &str) {
        self.error = Some((shortened(code, 255), shortened(message, MESSAGE)));
    }

    pub(super) fn warn(&mut self, source: &str, message: &str) {
        if self.warnings.len() < MOST_WARNINGS {
            self.warnings.push(RunWarning { source: shortened(source, 255), message: shortened(message, MESSAGE) });
        }
    }
}

fn immutable(name: &str) -> Error {
    let why = "properties cannot be changed once they are given; use a tag for what changes";
    Error::new(Kind::Conflict, format!("the run has a property `{}` already: {why}", text::echo(name)))
}

fn shortened(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// A run as Azure's clients see it.
#[derive(Clone, Debug)]
pub struct RunStory {
    /// The run.
    pub run: Run,
    /// What lies beside it; of a job's run, with the properties of the job.
    pub facts: RunFacts,
    /// Name of its experiment.
    pub experiment: String,
    /// Below which run it was begun.
    pub parent: Option<String>,
    /// The first of its family.
    pub root: String,
    /// Data sets and models.
    pub links: RunLinks,
}

impl RunStory {
    pub(super) async fn open(cx: &Admission<'_>, shelf: &Shelf, run: Run) -> Result<Self> {
        let experiment = experiment::find(cx, shelf, &run.experiment).await?.value.name;
        let facts = told(cx, shelf, &run).await?;
        let links = run_links::links(cx, shelf, &run).await?.value;
        let parent = run.tags.get(PARENT_TAG).filter(|parent| !parent.is_empty()).cloned();
        let root = root_of(cx, shelf, &run).await?;
        Ok(Self { run, facts, experiment, parent, root, links })
    }
}

/// The row beside a run.
pub(super) async fn facts(cx: &Admission<'_>, shelf: &Shelf, run: &Run) -> Result<Row<RunFacts>> {
    let id = run::row_id(shelf, &run.experiment, run.id.as_str());
    Ok(cx.get::<RunFacts>(shelf, &id).await?.unwrap_or_else(|| Row::new(id, RunFacts::default())))
}

/// The facts as they are told: those of a job are facts of its run.
pub(super) async fn told(cx: &Admission<'_>, shelf: &Shelf, run: &Run) -> Result<RunFacts> {
    let mut facts = facts(cx, shelf, run).await?.value;
    for (name, value) in of_job(cx, shelf, run).await? {
        facts.properties.insert(name, value);
    }
    Ok(facts)
}

/// The properties of the job behind a run: those it was submitted with, and its snapshot.
pub(super) async fn of_job(cx: &Admission<'_>, shelf: &Shelf, run: &Run) -> Result<BTreeMap<String, String>> {
    let job: Option<ResourceId> = match (run.is_job, cx.scope().workspace()) {
        (true, Some(workspace)) => workspace.child(["jobs", run.id.as_str()]).ok(),
        _ => None,
    };
    let Some(job) = job else { return Ok(BTreeMap::new()) };
    let Some(row) = cx.get::<Resource<Job>>(shelf, &row_id::<Job>(shelf, &job)).await? else {
        return Ok(BTreeMap::new());
    };
    let job = row.value.properties;
    let mut properties = job.properties;
    if let Some(snapshot) = job.snapshot {
        properties.insert(SNAPSHOT.to_owned(), snapshot);
    }
    Ok(properties)
}

/// Refuses a property that the job behind the run has with another value.
pub(super) fn must_agree(of_job: &BTreeMap<String, String>, name: &str, value: &str) -> Result<()> {
    match of_job.get(name) {
        Some(known) if known != value => Err(immutable(name)),
        _ => Ok(()),
    }
}

/// The first of the run's family, as far up as is followed.
async fn root_of(cx: &Admission<'_>, shelf: &Shelf, run: &Run) -> Result<String> {
    let mut id = run.id.to_string();
    let mut parent = run.tags.get(PARENT_TAG).cloned();
    for _ in 0..GENERATIONS {
        let Some(above) = parent.and_then(|text| text.parse::<RunId>().ok()) else { break };
        match run::find(cx, shelf, &above).await {
            Ok(row) => {
                id = row.value.id.to_string();
                parent = row.value.tags.get(PARENT_TAG).cloned();
            }
            Err(fault) if fault.kind() == Kind::NotFound => break,
            Err(fault) => return Err(fault),
        }
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n03_properties_are_given_once_and_within_their_limits() {
        let mut facts = RunFacts::default();
        facts.add_property(&"n".repeat(100), &"v".repeat(1000)).unwrap();
        assert!(facts.add_property(&"n".repeat(101), "v").is_err());
        assert!(facts.add_property("n", &"v".repeat(1001)).is_err());
        assert!(facts.add_property("", "v").is_err());
        facts.add_property("a", "1").unwrap();
        facts.add_property("a", "1").unwrap();
        assert_eq!(facts.add_property("a", "2").unwrap_err().kind(), Kind::Conflict);
        for number in 0..48 {
            facts.add_property(&format!("p{number}"), "x").unwrap();
        }
        assert_eq!(facts.properties.len(), MOST_PROPERTIES);
        assert!(facts.add_property("one too many", "x").is_err());
    }
}
