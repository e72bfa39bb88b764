//! Taking over what another MLflow server kept: runs, logged models and versions come in under the ids, numbers, times and
//! users that they had there, which the tracking operations give to nobody. What they hold is then logged as always.
//!
//! A permission of its own, since who may take over may also say that somebody else did something. The record names who took
//! it over and from where, and so do the tags [`SOURCE_TAG`] and [`BY_TAG`], which whoever asks cannot choose.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, RunId, Timestamp};

use super::{
    LoggedModel, LoggedModelStatus, ModelSource, Run, RunStatus, VersionView,
    attempt::{Attempt, settle},
    experiment, logged_model, ownership,
    registry::{self, Claims, NewModelVersion, PROMPT_TAG, TakenOver},
    run::{self, Place, RUN_NAME_TAG, WARNING_TAG},
    source, text,
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Shelf},
    impact::admit_names,
    resources::workspace_shelf,
};

/// Take over what another server kept.
pub const IMPORT: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/experiments/runs/import/action", Class::Control);

/// The tag that says from which server something was taken over.
pub const SOURCE_TAG: &str = "bartizan.import.source";
/// The tag that says who took it over.
pub const BY_TAG: &str = "bartizan.import.by";

/// Whether an import alone says what such a tag does.
pub(super) fn is_of_import(key: &str) -> bool {
    matches!(key, SOURCE_TAG | BY_TAG)
}

/// Refuses to give a tag of an import another value than it has among these, or to take it away.
pub(super) fn must_stay(known: &BTreeMap<String, String>, key: &str, wanted: Option<&str>) -> Result<()> {
    if is_of_import(key) && known.get(key).map(String::as_str) != wanted {
        return Err(text::bad("key", key, "an import alone says from where something came, and who brought it"));
    }
    Ok(())
}

/// The same of tags that are set together: none of them may be another, whichever counts at last.
pub(super) fn must_all_stay(known: &BTreeMap<String, String>, tags: &[(String, String)]) -> Result<()> {
    tags.iter().try_for_each(|(key, value)| must_stay(known, key, Some(value)))
}

/// Refuses a new experiment or registered model that says it comes from elsewhere, unless the caller may take over. What it
/// then holds is made by other operations.
pub(super) async fn admit_origin(cx: &Admission<'_>, tags: &[(String, String)]) -> Result<()> {
    for (key, value) in tags {
        if key == SOURCE_TAG {
            cx.require(&IMPORT, cx.scope()).await?;
        } else {
            must_stay(&BTreeMap::new(), key, Some(value))?;
        }
    }
    Ok(())
}

/// Most tags that something is taken over with; more are set afterwards.
const MOST_TAGS: usize = 1000;

/// Where something comes from, and what is said of it there.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The server, in the words of whoever takes over: an address without credentials.
    pub source: String,
    /// The user, in the source's words.
    pub user: String,
    /// When it began or was made.
    pub at: Timestamp,
}

impl Origin {
    fn check(&self) -> Result<()> {
        text::check("source", &self.source, 1..=500)?;
        text::check("user_id", &self.user, 0..=256)
    }

    /// Free labels, with those that only the server sets.
    fn label(&self, by: String, tags: &[(String, String)]) -> Result<BTreeMap<String, String>> {
        if tags.len() > MOST_TAGS {
            let why = format!("at most {MOST_TAGS} tags can be taken over at once; set the others afterwards");
            return Err(Error::new(Kind::Invalid, why));
        }
        let mut kept: BTreeMap<String, String> = tags.iter().cloned().collect();
        kept.insert(SOURCE_TAG.to_owned(), self.source.clone());
        kept.insert(BY_TAG.to_owned(), by);
        Ok(kept)
    }
}

/// Ids as MLflow makes them: 32 hexadecimal digits. Others may be names that people here give to jobs.
fn check_id(parameter: &str, id: &str) -> Result<()> {
    if id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(text::bad(parameter, id, "only an id of 32 lowercase hexadecimal digits can be taken over"))
}

async fn must_be_free(cx: &Admission<'_>, shelf: &Shelf, row: &[u8], what: &str) -> Result<()> {
    match cx.get::<Place>(shelf, row).await? {
        Some(_) => Err(Error::new(Kind::Exists, format!("{what} already exists"))),
        None => Ok(()),
    }
}

/// Takes over a run: everything that its own row holds but parameters.
#[derive(Debug)]
pub struct ImportRun {
    /// The workspace.
    pub workspace: ResourceId,
    /// The experiment's id here.
    pub experiment: String,
    /// Its id there and here.
    pub run: RunId,
    /// For people.
    pub name: String,
    /// Where it stands.
    pub status: RunStatus,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Free labels.
    pub tags: Vec<(String, String)>,
    /// Where it comes from.
    pub origin: Origin,
}

#[async_trait]
impl Op for ImportRun {
    const ACTION: Action = IMPORT;
    type Output = Run;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        check_id("run_id", self.run.as_str())?;
        self.origin.check()?;
        settle(&self, cx).await
    }
}

impl Attempt for ImportRun {
    fn contends_for(&self) -> String {
        format!("run|{}", self.run)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<Run> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let experiment = experiment::find(cx, &shelf, &self.experiment).await?.value;
        experiment.must_be_active()?;
        let what = format!("the run `{}`", self.run);
        must_be_free(cx, &shelf, &run::place_id(&shelf, self.run.as_str()), &what).await?;
        let mut tags = self.origin.label(ownership::caller_name(cx), &self.tags)?;
        tags.insert(RUN_NAME_TAG.to_owned(), self.name.clone());
        if let Some(warning) = admit_names(cx, workspace.value.properties.hbi, &[("run_name", &self.name)])?.pop() {
            tags.insert(WARNING_TAG.to_owned(), warning);
        }
        let run = Run {
            id: self.run.clone(),
            experiment: experiment.id,
            name: self.name.clone(),
            user: self.origin.user.clone(),
            status: self.status,
            started_at: self.origin.at,
            ended_at: self.ended_at,
            is_deleted: false,
            params: BTreeMap::new(),
            tags,
            created_by_run: None,
            is_job: false,
            is_concluded: false,
        };
        cx.note("run", run.id.to_string());
        cx.note("importedFrom", self.origin.source.clone());
        let mut changes = Changes::new();
        run::add(&shelf, &mut changes, run.clone())?;
        cx.commit(changes).await?;
        Ok(run)
    }
}

/// Takes over a logged model, without its files.
#[derive(Debug)]
pub struct ImportLoggedModel {
    /// The workspace.
    pub workspace: ResourceId,
    /// The experiment's id here.
    pub experiment: String,
    /// Its id there and here.
    pub id: String,
    /// For people.
    pub name: String,
    /// Free word.
    pub model_type: String,
    /// The run that made it, which must have been taken over before.
    pub source_run: Option<RunId>,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Parameters.
    pub params: Vec<(String, String)>,
    /// Free labels.
    pub tags: Vec<(String, String)>,
    /// Where it comes from.
    pub origin: Origin,
}

#[async_trait]
impl Op for ImportLoggedModel {
    const ACTION: Action = IMPORT;
    type Output = LoggedModel;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let hex = self.id.strip_prefix("m-").unwrap_or_default();
        check_id("model_id", hex)?;
        self.origin.check()?;
        logged_model::check_name(&self.name)?;
        text::check_length("model_type", &self.model_type, 500)?;
        settle(&self, cx).await
    }
}

impl Attempt for ImportLoggedModel {
    fn contends_for(&self) -> String {
        format!("logged model|{}", self.id)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<LoggedModel> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let experiment = experiment::find(cx, &shelf, &self.experiment).await?.value;
        experiment.must_be_active()?;
        if let Some(run) = &self.source_run {
            run::find(cx, &shelf, run).await?;
        }
        let what = format!("the logged model `{}`", self.id);
        must_be_free(cx, &shelf, &logged_model::place_of(&shelf, &self.id), &what).await?;
        let mut model = LoggedModel {
            id: self.id.clone(),
            experiment: experiment.id,
            name: self.name.clone(),
            model_type: self.model_type.clone(),
            source_run: self.source_run.clone(),
            user: self.origin.user.clone(),
            created_at: self.origin.at,
            updated_at: self.updated_at,
            status: LoggedModelStatus::Pending,
            tags: BTreeMap::new(),
            params: BTreeMap::new(),
            metrics: Vec::new(),
            is_deleted: false,
            created_by_run: None,
        };
        for some in self.params.chunks(100) {
            model.set_params(some)?;
        }
        let tags: Vec<(String, String)> =
            self.origin.label(ownership::caller_name(cx), &self.tags)?.into_iter().collect();
        model.set_tags(&tags)?;
        cx.note("loggedModel", model.id.clone());
        cx.note("importedFrom", self.origin.source.clone());
        let mut changes = Changes::new();
        logged_model::add(&shelf, &mut changes, model.clone())?;
        cx.commit(changes).await?;
        Ok(model)
    }
}

/// Takes over a version of a registered model that was taken over from the same server: its tag `bartizan.import.source` says so. The
/// version keeps its number, and numbers that are missing there are missing here.
#[derive(Debug)]
pub struct ImportModelVersion {
    /// The workspace.
    pub workspace: ResourceId,
    /// The model's name.
    pub name: String,
    /// The number.
    pub version: u64,
    /// Where its files are in this workspace, in the words that registering one takes.
    pub files: String,
    /// The run that made them.
    pub run: Option<RunId>,
    /// For people.
    pub description: String,
    /// A link for people.
    pub run_link: String,
    /// MLflow's deprecated stage.
    pub stage: String,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Free labels.
    pub tags: Vec<(String, String)>,
    /// Where it comes from.
    pub origin: Origin,
}

#[async_trait]
impl Op for ImportModelVersion {
    const ACTION: Action = IMPORT;
    type Output = VersionView;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        self.origin.check()?;
        if !(1..=1_000_000_000).contains(&self.version) {
            return Err(text::bad("version", &self.version.to_string(), "it must be at least 1"));
        }
        settle(&self, cx).await
    }
}

impl Attempt for ImportModelVersion {
    fn contends_for(&self) -> String {
        format!("registered model|{}", self.name)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<VersionView> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let model = registry::find_model(cx, &shelf, &self.name).await?;
        if model.value.tags.get(SOURCE_TAG) != Some(&self.origin.source) {
            let why = "the registered model was not taken over from this source";
            return Err(Error::new(Kind::Conflict, format!("{why}; rename or delete the one that is here")));
        }
        if let Some(run) = &self.run {
            run::find(cx, &shelf, run).await?;
        }
        let is_prompt = self.tags.iter().any(|(key, value)| key == PROMPT_TAG && value == "true");
        let is_text = is_prompt && self.files == "dummy-source";
        let tags = self.origin.label(ownership::caller_name(cx), &self.tags)?.into_iter().collect();
        let new = NewModelVersion {
            name: self.name.clone(),
            source: if is_text { ModelSource::Nothing } else { source::parse(&self.files)? },
            run: self.run.clone(),
            description: self.description.clone(),
            tags,
        };
        let taken_over = TakenOver {
            number: self.version,
            user: self.origin.user.clone(),
            created_at: self.origin.at,
            updated_at: self.updated_at,
            stage: super::model_versions::stage(&self.stage)?,
        };
        let claims =
            Claims { source: Some(self.files.clone()), run_link: self.run_link.clone(), taken_over: Some(taken_over) };
        let mut changes = Changes::new();
        let after = model.value.clone();
        let version = registry::add_version(cx, &shelf, &mut changes, model, new, claims).await?;
        cx.note("model", self.name.clone());
        cx.note("version", version.version.to_string());
        cx.note("importedFrom", self.origin.source.clone());
        cx.commit(changes).await?;
        Ok(VersionView::new(&after, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_where_something_came_from_stays_what_it_is() {
        let known = BTreeMap::from([(SOURCE_TAG.to_owned(), String::from("there"))]);
        assert!(must_stay(&known, SOURCE_TAG, Some("there")).is_ok());
        assert!(must_stay(&known, "bartizan.import.source_uri", Some("x")).is_ok());
        assert!(must_stay(&known, BY_TAG, None).is_ok());
        for (key, wanted) in [(SOURCE_TAG, Some("elsewhere")), (SOURCE_TAG, None), (BY_TAG, Some("me"))] {
            assert!(must_stay(&known, key, wanted).is_err(), "{key}");
        }
    }

    #[test]
    fn only_ids_that_mlflow_makes_are_taken_over() {
        assert!(check_id("run_id", "0123456789abcdef0123456789abcdef").is_ok());
        for bad in [
            "",
            "train-1",
            "0123456789ABCDEF0123456789ABCDEF",
            "0123456789abcdef0123456789abcde",
            "../../../../etc/passwd0000000000",
        ] {
            assert!(check_id("run_id", bad).is_err(), "{bad}");
        }
    }
}
