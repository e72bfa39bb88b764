//! Operations on model versions.

use std::borrow::Cow;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId};

use super::{
    ModelSource, ModelVersion, NewModelVersion, Query, RegisteredModel, VersionView,
    action::{DELETE_MODELS, READ_MODELS, WRITE_ANY_RUN, WRITE_MODELS},
    artifact::{Artifact, Owner},
    attempt::{Attempt, MOST, settle, too_busy, turn},
    hold, logged_model,
    look::Seen,
    ownership, registered_models,
    registry::{self, Claims, PROMPT_TAG},
    run,
    scan::{STRIDE, scan},
    search::{
        ENTRY, Field, Ordering, Page, Part, Picker, Schema, Searchable, Value, parse_filter, parse_order, size_of,
    },
    source, text, webhooks,
};
use crate::{
    gate::{Changes, Cx, Happening, Op, Row, Shelf},
    provenance::drop_statement,
    resources::workspace_shelf,
};

/// What prompts, which have no files, say their source is.
const PROMPT_SOURCES: &[&str] = &["dummy-source", "prompt-template"];
/// Most characters of a prompt.
const LONGEST_PROMPT: usize = 100_000;
/// The tag in which a logged model says as what it was registered.
const VERSIONS_TAG: &str = "mlflow.modelVersions";

/// Registers a version of a model that exists.
#[derive(Debug)]
pub struct CreateModelVersion {
    /// The workspace.
    pub workspace: ResourceId,
    /// The model's name.
    pub name: String,
    /// Where its files come from, in the client's words.
    pub source: String,
    /// The run that made them, as the client says.
    pub run: Option<RunId>,
    /// For people.
    pub description: String,
    /// A link for people.
    pub run_link: String,
    /// Free labels.
    pub tags: Vec<(String, String)>,
}

#[async_trait]
impl Op for CreateModelVersion {
    const ACTION: Action = WRITE_MODELS;
    type Output = VersionView;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        // Looking at files takes time: before the turn, not in it.
        let seen = Seen::default();
        self.look_ahead(cx, &seen).await?;
        // The name that other operations on the model contend for.
        let _turn = turn(&format!("{}|registered model|{}", cx.scope(), self.name)).await;
        for _ in 0..MOST {
            cx.begin_attempt();
            match self.attempt(cx, &seen).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(too_busy())
    }
}

impl CreateModelVersion {
    async fn look_ahead(&self, cx: &Cx<'_, Self>, seen: &Seen) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let (_, new) = self.check(cx, &shelf).await?;
        registry::look_ahead(cx, &shelf, &new.source, seen).await
    }

    /// The model, and what is to be added to it.
    async fn check(&self, cx: &Cx<'_, Self>, shelf: &Shelf) -> Result<(Row<RegisteredModel>, NewModelVersion)> {
        cx.happened(Happening::ModelRegistered);
        registry::check_model_name(&self.name)?;
        let source = match self.is_prompt() && PROMPT_SOURCES.contains(&self.source.as_str()) {
            true => ModelSource::Nothing,
            false => source::parse(&self.source)?,
        };
        self.tags.iter().try_for_each(|(key, value)| check_prompt(key, value))?;
        if let Some(run) = &self.run {
            // A run cannot claim that another one made its model. A person may name one of another place.
            match run::find(cx, shelf, run).await {
                Ok(claimed) => ownership::of_run(cx, &claimed.value, &WRITE_ANY_RUN).await?,
                Err(fault) if fault.kind() == Kind::NotFound => {
                    ownership::of_people(cx, &WRITE_ANY_RUN).await?;
                    self.must_be_elsewhere(cx, shelf, &source).await?;
                }
                Err(fault) => return Err(fault),
            }
        }
        let model = registry::find_model(cx, shelf, &self.name).await?;
        let new = NewModelVersion {
            name: self.name.clone(),
            source,
            run: self.run.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
        };
        Ok((model, new))
    }

    /// A run of another place made no files that are here.
    async fn must_be_elsewhere(&self, cx: &Cx<'_, Self>, shelf: &Shelf, source: &ModelSource) -> Result<()> {
        let is_here = match source {
            ModelSource::Run { run, .. } => match run::find(cx, shelf, run).await {
                Ok(_) => true,
                Err(fault) if fault.kind() == Kind::NotFound => false,
                Err(fault) => return Err(fault),
            },
            ModelSource::Version { .. } => false,
            ModelSource::LoggedModel(_) | ModelSource::Files(_) | ModelSource::Nothing => true,
        };
        if is_here {
            let why = "The run_id request parameter must identify the resource that contains the source.";
            let source = text::quoted(&self.source);
            return Err(Error::new(Kind::Invalid, format!("Invalid model version source: {source}. {why}")));
        }
        Ok(())
    }

    fn is_prompt(&self) -> bool {
        is_prompt(self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    async fn attempt(&self, cx: &Cx<'_, Self>, seen: &Seen) -> Result<VersionView> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let (model, new) = self.check(cx, &shelf).await?;
        let is_prompt = self.is_prompt();
        let logged = match &new.source {
            ModelSource::LoggedModel(id) => Some(id.clone()),
            _ => None,
        };
        let claims = Claims { source: Some(self.source.clone()), run_link: self.run_link.clone(), ..Claims::default() };
        let mut changes = Changes::new();
        let mut after = model.value.clone();
        let version = registry::add_seen_version(cx, &shelf, &mut changes, model, (new, claims), seen).await?;
        cx.note("model", self.name.clone());
        cx.note("version", version.version.to_string());
        webhooks::note(cx, is_prompt, "model_version", "created");
        if !is_prompt {
            cx.note("registered", format!("{}:{}", self.name, version.version));
        }
        if let Some(id) = logged {
            tell_logged_model(cx, &shelf, &mut changes, &id, (&self.name, version.version)).await?;
        }
        cx.commit(changes).await?;
        after.last_version = version.version;
        Ok(VersionView::new(&after, version))
    }
}

/// Whether these are the tags of a prompt; of a tag that comes twice the last counts.
pub(super) fn is_prompt<'a>(tags: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    tags.filter(|(key, _)| *key == PROMPT_TAG).last().is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"))
}

/// Says of a prompt's text that it is too long, rather than of a tag.
fn check_prompt(key: &str, value: &str) -> Result<()> {
    if key == "mlflow.prompt.text" && value.chars().nth(LONGEST_PROMPT).is_some() {
        let words = format!("Prompt text exceeds max length of {LONGEST_PROMPT} characters.");
        return Err(Error::new(Kind::Invalid, words));
    }
    Ok(())
}

/// Writes down in a logged model's tag as what it was registered, while there is room.
async fn tell_logged_model(
    cx: &Cx<'_, CreateModelVersion>,
    shelf: &Shelf,
    changes: &mut Changes,
    id: &str,
    (name, version): (&str, u64),
) -> Result<()> {
    let mut row = logged_model::find(cx, shelf, id).await?;
    let known = row.value.tags.get(VERSIONS_TAG).map(String::as_str).unwrap_or("[]");
    let mut list: Vec<serde_json::Value> = serde_json::from_str(known).unwrap_or_default();
    list.push(serde_json::json!({ "name": name, "version": version }));
    let text = serde_json::to_string(&list).map_err(Error::internal)?;
    if row.value.set_tags(&[(VERSIONS_TAG.to_owned(), text)]).is_ok() {
        changes.put(shelf, &row)?;
    }
    Ok(())
}

/// How a version is named.
#[derive(Clone, Debug)]
pub enum VersionKey {
    /// By number.
    Number(u64),
    /// By a name that points to it.
    Alias(String),
}

/// Reads one.
#[derive(Debug)]
pub struct GetModelVersion {
    /// The workspace.
    pub workspace: ResourceId,
    /// The model's name.
    pub name: String,
    /// Which.
    pub key: VersionKey,
}

#[async_trait]
impl Op for GetModelVersion {
    const ACTION: Action = READ_MODELS;
    type Output = VersionView;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let number = match &self.key {
            VersionKey::Number(number) => *number,
            VersionKey::Alias(alias) => {
                let model = registry::find_model(cx, &shelf, &self.name).await?.value;
                let words = || format!("Registered model alias {} not found.", text::echo(alias));
                let number = model.aliases.get(alias).copied();
                number.ok_or_else(|| Error::new(Kind::Invalid, words()))?
            }
        };
        let (model, row) = registry::find_version(cx, &shelf, &self.name, number).await?;
        Ok(VersionView::new(&model.value, row.value))
    }
}

/// What to do to a version.
#[derive(Clone, Debug)]
pub enum VersionChange {
    /// Other words for people.
    Describe(String),
    /// Set a tag.
    SetTag(String, String),
    /// Remove a tag; one that is not there is no error.
    DeleteTag(String),
    /// Move to a stage.
    Stage {
        /// The stage.
        stage: String,
        /// Whether versions that are there move to `Archived`.
        archives_others: bool,
    },
}

/// Changes one.
#[derive(Debug)]
pub struct UpdateModelVersion {
    /// The workspace.
    pub workspace: ResourceId,
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: u64,
    /// What to do.
    pub change: VersionChange,
}

#[async_trait]
impl Op for UpdateModelVersion {
    const ACTION: Action = WRITE_MODELS;
    type Output = VersionView;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for UpdateModelVersion {
    fn contends_for(&self) -> String {
        format!("registered model|{}", self.name)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<VersionView> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let (mut model, mut row) = registry::find_version(cx, &shelf, &self.name, self.version).await?;
        ownership::of_version(cx, &row.value).await?;
        cx.note("model", self.name.clone());
        cx.note("version", self.version.to_string());
        let mut changes = Changes::new();
        if let VersionChange::SetTag(key, _) | VersionChange::DeleteTag(key) = &self.change
            && registry::is_of_server(key)
        {
            let why = "tags of this name say what the server found, or what was imported, and it alone sets them";
            return Err(text::bad("key", key, why));
        }
        match &self.change {
            VersionChange::Describe(words) => {
                text::check_length("description", words, 100_000)?;
                row.value.description.clone_from(words);
            }
            VersionChange::SetTag(key, value) => {
                check_prompt(key, value)?;
                cx.note(webhooks::TAG, key.clone());
                webhooks::note(cx, model.value.is_prompt(), "model_version_tag", "set");
                row.value.tags.insert(key.clone(), value.clone());
                registry::check_tags(&row.value.tags)?;
            }
            VersionChange::DeleteTag(key) => {
                cx.note(webhooks::TAG, key.clone());
                webhooks::note(cx, model.value.is_prompt(), "model_version_tag", "deleted");
                row.value.tags.remove(key);
            }
            VersionChange::Stage { stage: wanted, archives_others } => {
                // Where a model stands decides what others load.
                ownership::of_registered_model(cx, &model.value).await?;
                let said = text::quoted(wanted);
                let wanted = stage(wanted)?;
                cx.note("stage", wanted);
                if *archives_others {
                    if !matches!(wanted, "Staging" | "Production") {
                        let why = "Model version transition cannot archive existing model versions because";
                        let valid = "is not an Active stage. Valid stages are ['Staging', 'Production']";
                        return Err(Error::new(Kind::Invalid, format!("{why} {said} {valid}")));
                    }
                    for mut other in registered_models::versions(cx, &shelf, &model.value).await? {
                        if other.value.version != self.version && other.value.stage == wanted {
                            other.value.stage = String::from("Archived");
                            other.value.updated_at = cx.now();
                            changes.put(&shelf, &other)?;
                        }
                    }
                }
                wanted.clone_into(&mut row.value.stage);
            }
        }
        // Labels are beside what a version is: lists by time stay as they are.
        if matches!(self.change, VersionChange::Describe(_) | VersionChange::Stage { .. }) {
            row.value.updated_at = cx.now();
        }
        if matches!(self.change, VersionChange::Stage { .. }) {
            model.value.updated_at = cx.now();
            changes.put(&shelf, &model)?;
        }
        changes.put(&shelf, &row)?;
        cx.commit(changes).await?;
        Ok(VersionView::new(&model.value, row.value))
    }
}

/// A stage in its canonical case.
pub(super) fn stage(word: &str) -> Result<&'static str> {
    let stages = ["None", "Staging", "Production", "Archived"];
    stages.into_iter().find(|stage| stage.eq_ignore_ascii_case(word)).ok_or_else(|| {
        let word = text::echo(word);
        let words =
            format!("Invalid Model Version stage: {word}. Value must be one of None, Staging, Production, Archived.");
        Error::new(Kind::Invalid, words)
    })
}

/// Deletes a version, its files, and the aliases that point to it. Its number is not given again.
#[derive(Debug)]
pub struct DeleteModelVersion {
    /// The workspace.
    pub workspace: ResourceId,
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: u64,
}

#[async_trait]
impl Op for DeleteModelVersion {
    const ACTION: Action = DELETE_MODELS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for DeleteModelVersion {
    fn contends_for(&self) -> String {
        format!("registered model|{}", self.name)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let (mut model, row) = registry::find_version(cx, &shelf, &self.name, self.version).await?;
        hold::must_be_free(cx, &shelf, model.value.id, Some(self.version)).await?;
        cx.note("model", self.name.clone());
        cx.note("version", self.version.to_string());
        let mut changes = Changes::new();
        let owner = Owner::Version { model: model.value.id, version: self.version };
        for file in cx.all::<Artifact>(&shelf, &owner.prefix(&shelf)).await? {
            changes.delete(&shelf, &file);
        }
        drop_statement(cx, &shelf, &mut changes, model.value.id, self.version).await?;
        changes.delete(&shelf, &row);
        model.value.aliases.retain(|_, number| *number != self.version);
        model.value.updated_at = cx.now();
        changes.put(&shelf, &model)?;
        cx.commit(changes).await
    }
}

const SCHEMA: Schema = Schema {
    numbers: &["version_number"],
    texts: &["name", "run_id", "source_path"],
    lists: &["name", "run_id"],
    aliases: &[("version", "version_number"), ("source", "source_path"), ("timestamp", "last_updated_timestamp")],
    parts: &[Part::Tag],
    order_only: &["creation_timestamp", "last_updated_timestamp"],
    absent_differs: false,
};

impl Searchable for VersionView {
    fn value(&self, field: &Field) -> Value<'_> {
        let version = &self.version;
        match (field.part, field.key.as_str()) {
            (Part::Tag, key) => Value::from(version.tags.get(key)),
            (Part::Attribute, "name") => Value::from(self.name.as_str()),
            (Part::Attribute, "run_id") => Value::Text(Cow::Borrowed(version.run.as_ref().map_or("", RunId::as_str))),
            (Part::Attribute, "source_path") => Value::from(version.source.as_str()),
            (Part::Attribute, "version_number") => Value::from(i64::try_from(version.version).ok()),
            (Part::Attribute, "creation_timestamp") => Value::from(Some(version.created_at.0)),
            (Part::Attribute, "last_updated_timestamp") => Value::from(Some(version.updated_at.0)),
            _ => Value::Absent,
        }
    }

    fn size(&self) -> usize {
        let texts = [self.version.description.len(), self.version.source.len(), self.version.run_link.len(), 4 * ENTRY];
        size_of(&self.version.tags).saturating_add(texts.iter().sum())
    }
}

/// Searches versions of all models; those that changed last first, unless asked otherwise.
#[derive(Debug)]
pub struct SearchModelVersions {
    /// The workspace.
    pub workspace: ResourceId,
    /// Which and how.
    pub query: Query,
}

#[async_trait]
impl Op for SearchModelVersions {
    const ACTION: Action = READ_MODELS;
    type Output = Page<VersionView>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let query = &self.query;
        text::check_page(query.most, 200_000)?;
        let mut filter = parse_filter(&query.filter, &SCHEMA)?;
        let shows_prompts = filter.take_prompts();
        let usual = Ordering::by("name", true).then(Ordering::by("version_number", false));
        let asked = parse_order(&query.order_by, &SCHEMA)?;
        let order = match query.order_by.is_empty() {
            true => Ordering::by("last_updated_timestamp", false).then(usual),
            false => asked.then(usual),
        };
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let question = query.identity("model versions");
        let mut picker = Picker::new(&order, query, &question)?;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let models = cx.page::<RegisteredModel>(&shelf, b"", after.as_deref(), STRIDE).await?;
            for model in models.iter().filter(|model| shows_prompts || !model.value.is_prompt()) {
                scan(cx, &shelf, model.value.id.as_bytes(), |row: Row<ModelVersion>| {
                    let one = VersionView::new(&model.value, row.value);
                    if filter.matches(&one) {
                        picker.offer(one);
                    }
                })
                .await?;
            }
            after = models.last().map(|row| row.id.clone());
            if models.len() < STRIDE {
                return Ok(picker.page());
            }
        }
    }
}
