//! What a run used and made beside its files: data sets, and logged models as inputs and outputs.

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId};
use serde::{Deserialize, Serialize};

use super::{
    Run,
    action::WRITE_RUNS,
    attempt::{Attempt, settle},
    logged_model, ownership, run, text,
};
use crate::{
    diagnostics::{Fact, collect},
    gate::{Admission, Changes, Cx, Op, Record, Row, Shelf},
    resources::workspace_shelf,
};

/// Most data sets, and most models in each direction, of one run.
const MOST: usize = 1000;
/// Most bytes of all data sets of one run.
const MOST_BYTES: usize = 16 << 20;

/// A data set as a run used it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetInput {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// What `source` is.
    pub source_type: String,
    /// Where it came from.
    pub source: String,
    /// Its columns.
    pub schema: Option<String>,
    /// Its statistics.
    pub profile: Option<String>,
    /// How it was used (`mlflow.data.context`).
    pub tags: Vec<(String, String)>,
}

/// A run's links. The row id is the run's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunLinks {
    /// Data sets.
    pub datasets: Vec<DatasetInput>,
    /// Ids of logged models that it used.
    pub model_inputs: Vec<String>,
    /// Ids of logged models that it made, and at which step.
    pub model_outputs: Vec<(String, i64)>,
}

impl Record for RunLinks {
    const TABLE: &'static str = "run-links";
}

pub(super) async fn links(cx: &Admission<'_>, shelf: &Shelf, run: &Run) -> Result<Row<RunLinks>> {
    let id = run::row_id(shelf, &run.experiment, run.id.as_str());
    Ok(cx.get::<RunLinks>(shelf, &id).await?.unwrap_or_else(|| Row::new(id, RunLinks::default())))
}

/// The data sets that a new run was given, with the commit that makes the run. Of one that is named twice, the first stays.
///
/// # Errors
/// `Invalid` for what no data set can be called.
pub(crate) fn begin_links(
    shelf: &Shelf,
    changes: &mut Changes,
    (experiment, run): (&str, &RunId),
    datasets: Vec<DatasetInput>,
) -> Result<()> {
    datasets.iter().try_for_each(DatasetInput::check)?;
    let mut links = RunLinks::default();
    links.merge(&RunLinks { datasets, ..RunLinks::default() });
    changes.put(shelf, &Row::new(run::row_id(shelf, experiment, run.as_str()), links))?;
    Ok(())
}

/// Adds links to a run. What is there already stays as it is.
#[derive(Debug)]
pub struct LogLinks {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
    /// More links.
    pub more: RunLinks,
}

#[async_trait]
impl Op for LogLinks {
    const ACTION: Action = WRITE_RUNS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        for dataset in &self.more.datasets {
            dataset.check()?;
        }
        settle(&self, cx).await
    }
}

impl Attempt for LogLinks {
    fn contends_for(&self) -> String {
        format!("run|{}", self.run)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let workspace = workspace.value;
        let run = run::find_writable(cx, &shelf, &self.run).await?.value;
        for id in self.more.model_inputs.iter().chain(self.more.model_outputs.iter().map(|(id, _)| id)) {
            logged_model::find(cx, &shelf, id).await?;
        }
        let mut row = links(cx, &shelf, &run).await?;
        row.value.merge(&self.more);
        if !row.value.is_bounded() {
            let words = format!("a run holds at most {MOST} data sets and models, and {MOST_BYTES} bytes of data sets");
            return Err(Error::new(Kind::Invalid, words));
        }
        cx.note("run", self.run.to_string());
        let mut changes = Changes::new();
        changes.put(&shelf, &row)?;
        let names: Vec<&str> = self.more.datasets.iter().map(|dataset| dataset.name.as_str()).collect();
        // What a job's code made is as sensitive as the job.
        let job = run.created_by_run.as_ref().unwrap_or(&run.id);
        let is_told = !names.is_empty() && workspace.properties.may_send_diagnostics();
        if is_told && !ownership::is_run_raised(cx, &shelf, job).await? {
            collect(cx, (workspace.guid, &workspace.id), Fact::DatasetsUsed { names: &names }, &mut changes).await?;
        }
        cx.commit(changes).await
    }
}

impl RunLinks {
    fn merge(&mut self, more: &Self) {
        for dataset in &more.datasets {
            if !self.datasets.iter().any(|known| known.name == dataset.name && known.digest == dataset.digest) {
                self.datasets.push(dataset.clone());
            }
        }
        for id in &more.model_inputs {
            if !self.model_inputs.contains(id) {
                self.model_inputs.push(id.clone());
            }
        }
        for (id, step) in &more.model_outputs {
            if !self.model_outputs.iter().any(|(known, _)| known == id) {
                self.model_outputs.push((id.clone(), *step));
            }
        }
    }

    fn is_bounded(&self) -> bool {
        let counts = [self.datasets.len(), self.model_inputs.len(), self.model_outputs.len()];
        counts.iter().all(|count| *count <= MOST) && self.size() <= MOST_BYTES
    }

    /// About how many bytes its data sets take.
    pub(super) fn size(&self) -> usize {
        self.datasets.iter().fold(0, |sum: usize, one| sum.saturating_add(one.size()))
    }
}

impl DatasetInput {
    fn check(&self) -> Result<()> {
        text::check("name", &self.name, 1..=500)?;
        text::check("digest", &self.digest, 1..=36)?;
        text::check("source_type", &self.source_type, 1..=36)?;
        text::check_length("source", &self.source, 65_535)?;
        text::check_length("schema", self.schema.as_deref().unwrap_or_default(), 1_048_575)?;
        text::check_length("profile", self.profile.as_deref().unwrap_or_default(), 16_777_215)?;
        if self.tags.len() > 100 {
            return Err(Error::new(Kind::Invalid, "a data set has at most 100 tags"));
        }
        self.tags.iter().try_for_each(|(key, value)| {
            text::check("key", key, 1..=255)?;
            text::check_length("value", value, 500)
        })
    }

    fn size(&self) -> usize {
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.source.len().saturating_add(optional(&self.schema)).saturating_add(optional(&self.profile))
    }

    /// How it was used.
    pub(super) fn context(&self) -> Option<&str> {
        self.tags.iter().find(|(key, _)| key == "mlflow.data.context").map(|(_, value)| value.as_str())
    }
}
