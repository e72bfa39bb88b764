//! Making and changing a run as Azure's clients do: one call that makes it when it is not there, under an id that the client chose.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId, Timestamp};

use super::facts::{self, RunStory};
use crate::{
    gate::{Admission, Changes, Cx, Happening, Op, Row, Shelf},
    impact::admit_names,
    resources::workspace_shelf,
    tracking::{
        Experiment, ExperimentKey, Run, RunStatus,
        action::{READ_RUNS, WRITE_RUNS},
        attempt::{Attempt, settle},
        experiment, import, ownership,
        run::{self, PARENT_TAG, Place, RUN_NAME_TAG, WARNING_TAG},
        runs, text,
    },
};

/// Most tags of a run that Azure's clients may leave it with, its server's own apart.
const MOST_TAGS: usize = 50;
/// Longest description, in characters.
const DESCRIPTION: usize = 5000;
/// Where MLflow keeps a run's description.
pub(super) const DESCRIPTION_TAG: &str = "mlflow.note.content";

/// What to make of a run. What is left out stays as it is.
#[derive(Clone, Debug, Default)]
pub struct RunPatch {
    /// Its name.
    pub name: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// Tags to set; one without a value has an empty one.
    pub tags: Vec<(String, Option<String>)>,
    /// Tags to remove; what is not there is no fault.
    pub untagged: Vec<String>,
    /// Properties to add.
    pub properties: Vec<(String, String)>,
    /// The run below which it is begun; said when it is made.
    pub parent: Option<String>,
    /// Where it stands.
    pub status: Option<RunStatus>,
    /// When it ended, as the client says.
    pub ended_at: Option<Timestamp>,
    /// What kind of run it is.
    pub run_type: Option<String>,
    /// Where it runs.
    pub target: Option<String>,
    /// Why it failed: code and message.
    pub error: Option<(String, String)>,
    /// What somebody should look at: source and message.
    pub warning: Option<(String, String)>,
}

/// Makes a run, or changes the one that is there. A run's code may do so with its own run and below it.
#[derive(Debug)]
pub struct PatchRun {
    /// The workspace.
    pub workspace: ResourceId,
    /// The experiment in which it lies.
    pub experiment: ExperimentKey,
    /// The run.
    pub run: RunId,
    /// Whether it is made when it is not there.
    pub may_make: bool,
    /// What to do.
    pub patch: RunPatch,
}

#[async_trait]
impl Op for PatchRun {
    const ACTION: Action = WRITE_RUNS;
    type Output = RunStory;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if let Some(description) = &self.patch.description {
            text::check_length("description", description, DESCRIPTION)?;
        }
        settle(&self, cx).await
    }
}

impl Attempt for PatchRun {
    fn contends_for(&self) -> String {
        format!("run|{}", self.run)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<RunStory> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let experiment = experiment_of(cx, &shelf, &self.experiment).await?;
        let place = cx.get::<Place>(&shelf, &run::place_id(&shelf, self.run.as_str())).await?;
        cx.note("run", self.run.to_string());
        let mut changes = Changes::new();
        let mut row = match place {
            Some(place) if place.value.experiment != experiment.id => return Err(missing(&self.run)),
            Some(_) => run::find_writable(cx, &shelf, &self.run).await?,
            None if self.may_make => {
                let is_raised = ownership::is_raised(cx, &shelf, &workspace.value).await?;
                self.begin(cx, &shelf, &mut changes, &experiment, is_raised).await?
            }
            None => return Err(missing(&self.run)),
        };
        let is_new = row.version == 0;
        let names = self.names();
        if !names.is_empty() {
            let is_raised = match is_new {
                true => ownership::is_raised(cx, &shelf, &workspace.value).await?,
                false => ownership::is_written_raised(cx, &shelf, &workspace.value, &row.value).await?,
            };
            let warning = admit_names(cx, is_raised, &names)?.pop();
            if let Some(warning) = warning.filter(|_| is_new) {
                row.value.tags.entry(WARNING_TAG.to_owned()).or_insert(warning);
            }
        }
        self.change(cx, &mut row.value, is_new)?;
        let job = facts::of_job(cx, &shelf, &row.value).await?;
        let mut beside = facts::facts(cx, &shelf, &row.value).await?;
        let before = beside.value.clone();
        for (name, value) in &self.patch.properties {
            facts::must_agree(&job, name, value)?;
            if !job.contains_key(name) {
                beside.value.add_property(name, value)?;
            }
        }
        if let Some((code, message)) = &self.patch.error {
            beside.value.fail_with(code, message);
        }
        if let Some((source, message)) = &self.patch.warning {
            beside.value.warn(source, message);
        }
        for (field, said) in [("runType", &self.patch.run_type), ("target", &self.patch.target)] {
            if let Some(said) = said {
                text::check(field, said, 0..=255)?;
            }
        }
        beside.value.run_type = self.patch.run_type.clone().or(beside.value.run_type);
        beside.value.target = self.patch.target.clone().or(beside.value.target);
        if is_new {
            run::add(&shelf, &mut changes, row.value.clone())?;
        } else {
            changes.put(&shelf, &row)?;
        }
        if beside.value != before {
            changes.put(&shelf, &beside)?;
        }
        cx.commit(changes).await?;
        let mut story = RunStory::open(cx, &shelf, row.value).await?;
        story.facts = beside.value;
        story.facts.properties.extend(job);
        Ok(story)
    }
}

impl PatchRun {
    /// The names that it gives, each with its field. A tag may come more than once, and the last one counts: none of them tells who
    /// works here.
    fn names(&self) -> Vec<(&str, &str)> {
        let tags = self.patch.tags.iter().filter(|(key, _)| key == RUN_NAME_TAG);
        let given = self.patch.name.as_deref().into_iter().chain(tags.filter_map(|(_, name)| name.as_deref()));
        given.map(|name| (RUN_NAME_TAG, name)).collect()
    }

    /// A run to be; it has no version yet.
    async fn begin(
        &self,
        cx: &Cx<'_, Self>,
        shelf: &Shelf,
        _changes: &mut Changes,
        experiment: &Experiment,
        is_raised: bool,
    ) -> Result<Row<Run>> {
        experiment.must_be_active()?;
        let name = self.patch.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| self.run.to_string());
        let mut tags = BTreeMap::from([(RUN_NAME_TAG.to_owned(), name.clone())]);
        if let Some(warning) = admit_names(cx, is_raised, &[("name", &name)])?.pop() {
            tags.insert(WARNING_TAG.to_owned(), warning);
        }
        let parent = self.patch.parent.as_deref().filter(|parent| !parent.is_empty());
        let job = ownership::of_new_run(cx, shelf, &experiment.id, parent).await?;
        if let Some(parent) = parent {
            tags.insert(PARENT_TAG.to_owned(), parent.to_owned());
        }
        let run = Run {
            id: self.run.clone(),
            experiment: experiment.id.clone(),
            name,
            user: job.map_or_else(|| ownership::caller_name(cx), |job| job.user),
            status: RunStatus::Scheduled,
            started_at: cx.now(),
            ended_at: None,
            is_deleted: false,
            params: BTreeMap::new(),
            tags,
            created_by_run: ownership::own_run(cx),
            is_job: false,
            is_concluded: false,
        };
        cx.happened(Happening::RunStarted);
        Ok(Row::new(run::row_id(shelf, &experiment.id, self.run.as_str()), run))
    }

    fn change(&self, cx: &Cx<'_, Self>, run: &mut Run, is_new: bool) -> Result<()> {
        let patch = &self.patch;
        if let Some(name) = patch.name.as_ref().filter(|name| !is_new && !name.is_empty()) {
            run.rename(name)?;
        }
        if let Some(status) = patch.status.filter(|_| !run.is_concluded) {
            if !is_new {
                runs::tell(cx, run, status);
            }
            if run.status == RunStatus::Scheduled && status == RunStatus::Running {
                run.started_at = cx.now();
            }
            run.status = status;
            // A run that is taken up again has no end.
            run.ended_at = if status.is_final() { patch.ended_at.or(Some(cx.now())) } else { None };
        }
        if let Some(description) = &patch.description {
            run.tags.insert(DESCRIPTION_TAG.to_owned(), description.clone());
        }
        for key in &patch.untagged {
            if is_own(key) {
                return Err(text::bad("tags", key, "the server's own tags are not removed here"));
            }
            run.tags.remove(key);
        }
        for (key, value) in &patch.tags {
            let value = value.as_deref().unwrap_or_default();
            text::check_key("tags", key)?;
            text::check_length("tags", value, 8000)?;
            import::must_stay(&run.tags, key, Some(value))?;
            match key.as_str() {
                RUN_NAME_TAG => run.rename(value)?,
                PARENT_TAG => {
                    return Err(text::bad("tags", key, "a run's parent is said when it is made, as `parentRunId`"));
                }
                _ => drop(run.tags.insert(key.clone(), value.to_owned())),
            }
        }
        let count = run.tags.keys().filter(|key| !is_own(key)).count();
        if !patch.tags.is_empty() && count > MOST_TAGS {
            let why = format!("a run holds at most {MOST_TAGS} tags; this makes {count}");
            return Err(text::bad("tags", patch.tags.first().map_or("", |(key, _)| key), &why));
        }
        Ok(())
    }
}

/// Whether a tag is the server's or a client library's own, not a user's.
pub(super) fn is_own(key: &str) -> bool {
    key.starts_with("mlflow.") || key.starts_with("bartizan.")
}

fn missing(run: &RunId) -> Error {
    Error::new(Kind::NotFound, format!("Run {run} was not found in the experiment"))
}

pub(super) async fn experiment_of(cx: &Admission<'_>, shelf: &Shelf, key: &ExperimentKey) -> Result<Experiment> {
    match key {
        ExperimentKey::Id(id) => Ok(experiment::find(cx, shelf, id).await?.value),
        ExperimentKey::Name(name) => {
            let found = experiment::find_by_name(cx, shelf, name).await?.map(|row| row.value);
            // Addresses of files name an experiment by its id, since a name may hold what no address can.
            let found = match found {
                None => match experiment::find(cx, shelf, name).await {
                    Err(fault) if fault.kind() != Kind::NotFound => return Err(fault),
                    by_id => by_id.ok().map(|row| row.value),
                },
                named => named,
            };
            let words = || format!("Experiment `{}` was not found", text::echo(name));
            found.ok_or_else(|| Error::new(Kind::NotFound, words()))
        }
    }
}

/// Reads a run.
#[derive(Debug)]
pub struct GetRunStory {
    /// The workspace.
    pub workspace: ResourceId,
    /// The experiment that the address names, if it names one.
    pub experiment: Option<ExperimentKey>,
    /// The run.
    pub run: RunId,
}

#[async_trait]
impl Op for GetRunStory {
    const ACTION: Action = READ_RUNS;
    type Output = RunStory;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let run = run::find(cx, &shelf, &self.run).await?.value;
        if let Some(key) = &self.experiment
            && experiment_of(cx, &shelf, key).await?.id != run.experiment
        {
            return Err(missing(&self.run));
        }
        RunStory::open(cx, &shelf, run).await
    }
}
