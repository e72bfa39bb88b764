//! Operations on registered models: names, words, tags and aliases.

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result};

use super::{
    ModelVersion, RegisteredModel,
    action::{DELETE_MODELS, READ_MODELS, WRITE_MODELS},
    artifact::{Artifact, Owner},
    attempt::{Attempt, settle},
    hold, import, ownership, registry,
    scan::scan,
    text, webhooks,
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row, Shelf},
    provenance::drop_statement,
    resources::workspace_shelf,
};

/// A registered model with the newest version of each stage.
#[derive(Clone, Debug)]
pub struct ModelView {
    /// The model.
    pub model: RegisteredModel,
    /// The newest version of each stage, by number.
    pub latest: Vec<VersionView>,
}

/// A version with what its model says of it.
#[derive(Clone, Debug)]
pub struct VersionView {
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: ModelVersion,
    /// Names that point to it.
    pub aliases: Vec<String>,
    /// Where its files are read.
    pub artifact_uri: String,
}

impl VersionView {
    pub(super) fn new(model: &RegisteredModel, version: ModelVersion) -> Self {
        let points_here = |(alias, number): (&String, &u64)| (*number == version.version).then(|| alias.clone());
        let aliases = model.aliases.iter().filter_map(points_here).collect();
        let artifact_uri = registry::artifact_uri(model, &version);
        Self { name: model.name.clone(), version, aliases, artifact_uri }
    }
}

pub(super) async fn versions(
    cx: &Admission<'_>,
    shelf: &Shelf,
    model: &RegisteredModel,
) -> Result<Vec<Row<ModelVersion>>> {
    cx.all::<ModelVersion>(shelf, model.id.as_bytes()).await
}

/// The newest version of each stage, or of these stages.
async fn latest(
    cx: &Admission<'_>,
    shelf: &Shelf,
    model: &RegisteredModel,
    stages: &[&'static str],
) -> Result<Vec<VersionView>> {
    let mut newest: Vec<ModelVersion> = Vec::new();
    // Rows come by number, so a later one of the same stage is newer.
    scan(cx, shelf, model.id.as_bytes(), |row: Row<ModelVersion>| {
        let version = row.value;
        if stages.is_empty() || stages.contains(&version.stage.as_str()) {
            newest.retain(|known| known.stage != version.stage);
            newest.push(version);
        }
    })
    .await?;
    Ok(newest.into_iter().map(|version| VersionView::new(model, version)).collect())
}

pub(super) async fn view(cx: &Admission<'_>, shelf: &Shelf, model: RegisteredModel) -> Result<ModelView> {
    let latest = latest(cx, shelf, &model, &[]).await?;
    Ok(ModelView { model, latest })
}

/// Registers a name.
#[derive(Debug)]
pub struct CreateRegisteredModel {
    /// The workspace.
    pub workspace: ResourceId,
    /// The name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Free labels.
    pub tags: Vec<(String, String)>,
}

#[async_trait]
impl Op for CreateRegisteredModel {
    const ACTION: Action = WRITE_MODELS;
    type Output = RegisteredModel;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for CreateRegisteredModel {
    fn contends_for(&self) -> String {
        format!("registered model|{}", self.name)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<RegisteredModel> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        registry::check_model_name(&self.name)?;
        text::check_length("description", &self.description, 100_000)?;
        let mut model = registry::new_model(cx, &self.name);
        model.description.clone_from(&self.description);
        model.tags = self.tags.iter().cloned().collect();
        registry::check_tags(&model.tags)?;
        import::admit_origin(cx, &self.tags).await?;
        let id = registry::model_row_id(&shelf, &self.name);
        if let Some(present) = cx.get::<RegisteredModel>(&shelf, &id).await? {
            return Err(clash(&present.value, &model));
        }
        cx.note("model", self.name.clone());
        webhooks::note(cx, model.is_prompt(), "registered_model", "created");
        let mut changes = Changes::new();
        changes.put(&shelf, &Row::new(id, model.clone()))?;
        cx.commit(changes).await?;
        Ok(model)
    }
}

fn taken(name: &str) -> Error {
    Error::new(Kind::Exists, format!("Registered Model (name={}) already exists.", text::echo(name)))
}

/// The error for a new name that is taken: models and prompts share their names.
fn clash(present: &RegisteredModel, new: &RegisteredModel) -> Error {
    let word = |is_prompt| if is_prompt { "prompt" } else { "registered model" };
    match (present.is_prompt(), new.is_prompt()) {
        (false, false) => taken(&new.name),
        (true, true) => Error::new(Kind::Exists, format!("Prompt (name={}) already exists.", text::echo(&new.name))),
        (present, wanted) => {
            let name = text::quoted(&new.name);
            let words = format!(
                "Tried to create a {} with name {name}, but the name is already taken by a {}.",
                word(wanted),
                word(present)
            );
            let rule = "MLflow does not allow creating a model and a prompt with the same name.";
            Error::new(Kind::Exists, format!("{words} {rule}"))
        }
    }
}

/// Reads one.
#[derive(Debug)]
pub struct GetRegisteredModel {
    /// The workspace.
    pub workspace: ResourceId,
    /// The name.
    pub name: String,
}

#[async_trait]
impl Op for GetRegisteredModel {
    const ACTION: Action = READ_MODELS;
    type Output = ModelView;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let model = registry::find_model(cx, &shelf, &self.name).await?.value;
        view(cx, &shelf, model).await
    }
}

/// What to do to a registered model.
#[derive(Clone, Debug)]
pub enum ModelChange {
    /// Other words for people.
    Describe(String),
    /// Another name.
    Rename(String),
    /// Set a tag.
    SetTag(String, String),
    /// Remove a tag; one that is not there is no error.
    DeleteTag(String),
    /// Point a name to a version.
    SetAlias(String, u64),
    /// Take such a name away; one that is not there is no error.
    DeleteAlias(String),
}

/// Changes one. A run's code may change only what it registered itself: aliases decide what others load.
#[derive(Debug)]
pub struct UpdateRegisteredModel {
    /// The workspace.
    pub workspace: ResourceId,
    /// The name.
    pub name: String,
    /// What to do.
    pub change: ModelChange,
}

#[async_trait]
impl Op for UpdateRegisteredModel {
    const ACTION: Action = WRITE_MODELS;
    type Output = ModelView;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for UpdateRegisteredModel {
    fn contends_for(&self) -> String {
        format!("registered model|{}", self.name)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<ModelView> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let mut row = match &self.change {
            ModelChange::SetAlias(alias, version) => {
                check_alias(alias)?;
                registry::find_version(cx, &shelf, &self.name, *version).await?.0
            }
            _ => registry::find_model(cx, &shelf, &self.name).await?,
        };
        ownership::of_registered_model(cx, &row.value).await?;
        cx.note("model", self.name.clone());
        let is_prompt = row.value.is_prompt();
        let mut changes = Changes::new();
        match &self.change {
            ModelChange::Describe(words) => {
                text::check_length("description", words, 100_000)?;
                row.value.description.clone_from(words);
            }
            ModelChange::SetTag(key, value) => {
                import::must_stay(&row.value.tags, key, Some(value))?;
                cx.note(webhooks::TAG, key.clone());
                webhooks::note(cx, is_prompt, "registered_model_tag", "set");
                row.value.tags.insert(key.clone(), value.clone());
                registry::check_tags(&row.value.tags)?;
            }
            ModelChange::DeleteTag(key) => {
                import::must_stay(&row.value.tags, key, None)?;
                cx.note(webhooks::TAG, key.clone());
                webhooks::note(cx, is_prompt, "registered_model_tag", "deleted");
                row.value.tags.remove(key);
            }
            ModelChange::SetAlias(alias, version) => {
                cx.note("alias", alias.clone());
                cx.note("version", version.to_string());
                webhooks::note(cx, is_prompt, "model_version_alias", "created");
                row.value.aliases.insert(alias.clone(), *version);
                if row.value.aliases.len() > 500 {
                    return Err(text::bad("alias", alias, "a registered model has at most 500 aliases"));
                }
            }
            ModelChange::DeleteAlias(alias) => {
                cx.note("alias", alias.clone());
                webhooks::note(cx, is_prompt, "model_version_alias", "deleted");
                row.value.aliases.remove(alias);
            }
            ModelChange::Rename(name) => {
                if name.trim().is_empty() {
                    return Err(Error::new(Kind::Invalid, "Missing value for required parameter 'new_name'."));
                }
                registry::check_model_name(name)?;
                let id = registry::model_row_id(&shelf, name);
                if cx.get::<RegisteredModel>(&shelf, &id).await?.is_some() {
                    return Err(taken(name));
                }
                cx.note("newName", name.clone());
                changes.delete(&shelf, &row);
                row = Row::new(id, row.value);
                row.value.name.clone_from(name);
            }
        }
        // Labels and names are beside what a model is: lists by time stay as they are.
        if matches!(self.change, ModelChange::Describe(_) | ModelChange::Rename(_)) {
            row.value.updated_at = cx.now();
        }
        changes.put(&shelf, &row)?;
        cx.commit(changes).await?;
        view(cx, &shelf, row.value).await
    }
}

fn check_alias(alias: &str) -> Result<()> {
    if alias.is_empty() {
        return Err(text::missing("alias"));
    }
    let refuse = |words: String| Err(Error::new(Kind::Invalid, words));
    if !alias.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
        let rule = "Names may only contain alphanumerics, underscores (_), and dashes (-).";
        return refuse(format!("Invalid alias name: {}. {rule}", text::quoted(alias)));
    }
    text::check_length("Registered model alias name", alias, 255)?;
    let lower = alias.to_lowercase();
    if lower == "latest" {
        return refuse(String::from("'latest' alias name (case insensitive) is reserved."));
    }
    if lower.strip_prefix('v').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|c| c.is_ascii_digit())) {
        return refuse(format!("Version alias name '{}' is reserved.", text::echo(alias)));
    }
    Ok(())
}

/// Deletes a registered model with all its versions and their files.
#[derive(Debug)]
pub struct DeleteRegisteredModel {
    /// The workspace.
    pub workspace: ResourceId,
    /// The name.
    pub name: String,
}

#[async_trait]
impl Op for DeleteRegisteredModel {
    const ACTION: Action = DELETE_MODELS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for DeleteRegisteredModel {
    fn contends_for(&self) -> String {
        format!("registered model|{}", self.name)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let row = registry::find_model(cx, &shelf, &self.name).await?;
        hold::must_be_free(cx, &shelf, row.value.id, None).await?;
        let mut changes = Changes::new();
        for version in versions(cx, &shelf, &row.value).await? {
            let owner = Owner::Version { model: row.value.id, version: version.value.version };
            for file in cx.all::<Artifact>(&shelf, &owner.prefix(&shelf)).await? {
                changes.delete(&shelf, &file);
            }
            drop_statement(cx, &shelf, &mut changes, row.value.id, version.value.version).await?;
            changes.delete(&shelf, &version);
        }
        changes.delete(&shelf, &row);
        cx.note("model", self.name.clone());
        cx.commit(changes).await
    }
}

/// Reads the newest version of each stage, or of some stages.
#[derive(Debug)]
pub struct GetLatestVersions {
    /// The workspace.
    pub workspace: ResourceId,
    /// The name.
    pub name: String,
    /// The stages; all when none is named.
    pub stages: Vec<String>,
}

#[async_trait]
impl Op for GetLatestVersions {
    const ACTION: Action = READ_MODELS;
    type Output = Vec<VersionView>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let model = registry::find_model(cx, &shelf, &self.name).await?.value;
        let stages: Result<Vec<&'static str>> =
            self.stages.iter().map(|stage| super::model_versions::stage(stage)).collect();
        latest(cx, &shelf, &model, &stages?).await
    }
}
