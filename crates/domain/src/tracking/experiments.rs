//! Operations on experiments.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result};

use super::{
    Experiment,
    action::{DELETE_EXPERIMENTS, READ_EXPERIMENTS, WRITE_ANY_EXPERIMENT, WRITE_EXPERIMENTS},
    attempt::{Attempt, settle},
    experiment::{self, ExperimentName},
    import, ownership,
    scan::scan,
    search::{
        ENTRY, Field, Ordering, Page, Part, Picker, Schema, Searchable, Value, parse_filter, parse_order, size_of,
    },
    text,
};
use crate::{
    gate::{Changes, Cx, Op, Row},
    impact::admit_names,
    resources::workspace_shelf,
};

/// Which of the living and the deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Only the living.
    #[default]
    Active,
    /// Only the deleted.
    Deleted,
    /// Both.
    All,
}

impl View {
    pub(super) fn shows(self, is_deleted: bool) -> bool {
        match self {
            Self::Active => !is_deleted,
            Self::Deleted => is_deleted,
            Self::All => true,
        }
    }
}

/// Makes an experiment and says its id. Not for a run's code: its job was given one.
#[derive(Debug)]
pub struct CreateExperiment {
    /// The workspace.
    pub workspace: ResourceId,
    /// Its name.
    pub name: String,
    /// Free labels.
    pub tags: Vec<(String, String)>,
}

#[async_trait]
impl Op for CreateExperiment {
    const ACTION: Action = WRITE_ANY_EXPERIMENT;
    type Output = String;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for CreateExperiment {
    fn contends_for(&self) -> String {
        format!("experiment name|{}", self.name)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<String> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        experiment::check_name(&self.name)?;
        admit_names(cx, workspace.value.properties.hbi, &[("name", &self.name)])?;
        if let Some(row) = experiment::find_by_name(cx, &shelf, &self.name).await? {
            return Err(taken(&row.value));
        }
        import::admit_origin(cx, &self.tags).await?;
        let mut made = Experiment::new(cx, &self.name);
        for (key, value) in &self.tags {
            set_tag(&mut made.tags, key, value)?;
        }
        cx.note("experiment", made.id.clone());
        let id = made.id.clone();
        let mut changes = Changes::new();
        experiment::put(&shelf, &mut changes, &Row::new(experiment::row_id(&shelf, &id), made))?;
        cx.commit(changes).await?;
        Ok(id)
    }
}

fn taken(present: &Experiment) -> Error {
    let name = text::echo(&present.name);
    let state = if present.is_deleted { " in deleted state. You can restore it, or use another name" } else { "" };
    Error::new(Kind::Exists, format!("Experiment(name={name}) already exists{state}."))
}

fn set_tag(tags: &mut BTreeMap<String, String>, key: &str, value: &str) -> Result<()> {
    text::check_key("key", key)?;
    text::check_length("value", value, 20_000)?;
    tags.insert(key.to_owned(), value.to_owned());
    if tags.len() > 200 {
        return Err(text::bad("key", key, "an experiment holds at most 200 tags"));
    }
    Ok(())
}

/// Says nothing but that the caller may read here: for probes of what the server offers.
#[derive(Debug)]
pub struct GetTracking {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for GetTracking {
    const ACTION: Action = READ_EXPERIMENTS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        workspace_shelf(cx, &self.workspace).await.map(drop)
    }
}

/// How an experiment is named.
#[derive(Clone, Debug)]
pub enum ExperimentKey {
    /// By id.
    Id(String),
    /// By name.
    Name(String),
}

/// Reads one, deleted or not.
#[derive(Debug)]
pub struct GetExperiment {
    /// The workspace.
    pub workspace: ResourceId,
    /// Which.
    pub key: ExperimentKey,
}

#[async_trait]
impl Op for GetExperiment {
    const ACTION: Action = READ_EXPERIMENTS;
    type Output = Experiment;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        match self.key {
            ExperimentKey::Id(id) => Ok(experiment::find(cx, &shelf, &id).await?.value),
            ExperimentKey::Name(name) => {
                let found = experiment::find_by_name(cx, &shelf, &name).await?.map(|row| row.value);
                let words = || format!("Could not find experiment with name '{}'", text::echo(&name));
                found.ok_or_else(|| Error::new(Kind::NotFound, words()))
            }
        }
    }
}

/// What to do to an experiment.
#[derive(Clone, Debug)]
pub enum ExperimentChange {
    /// Give it another name.
    Rename(String),
    /// Set a tag.
    SetTag(String, String),
    /// Remove a tag.
    DeleteTag(String),
    /// Bring it and its runs back.
    Restore,
}

/// Changes one. A run's code may only tag its own: the name and the life of an experiment are other people's too.
#[derive(Debug)]
pub struct UpdateExperiment {
    /// The workspace.
    pub workspace: ResourceId,
    /// Its id.
    pub id: String,
    /// What to do.
    pub change: ExperimentChange,
}

#[async_trait]
impl Op for UpdateExperiment {
    const ACTION: Action = WRITE_EXPERIMENTS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for UpdateExperiment {
    fn contends_for(&self) -> String {
        format!("experiment|{}", self.id)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let mut row = experiment::find(cx, &shelf, &self.id).await?;
        if let ExperimentChange::Rename(name) = &self.change {
            admit_names(cx, workspace.value.properties.hbi, &[("name", name)])?;
        }
        match &self.change {
            ExperimentChange::SetTag(..) | ExperimentChange::DeleteTag(_) => {
                ownership::of_experiment(cx, &shelf, &row.value).await?;
            }
            ExperimentChange::Rename(_) | ExperimentChange::Restore => {
                ownership::of_people(cx, &WRITE_ANY_EXPERIMENT).await?;
            }
        }
        cx.note("experiment", row.value.id.clone());
        let mut changes = Changes::new();
        let present = &mut row.value;
        match &self.change {
            // As for clients there is no deleted one of this id.
            ExperimentChange::Restore if !present.is_deleted => return Err(experiment::missing(&self.id)),
            ExperimentChange::Restore => present.is_deleted = false,
            ExperimentChange::SetTag(key, value) => {
                present.must_be_active()?;
                import::must_stay(&present.tags, key, Some(value))?;
                set_tag(&mut present.tags, key, value)?;
            }
            ExperimentChange::DeleteTag(key) => {
                present.must_be_active()?;
                import::must_stay(&present.tags, key, None)?;
                if present.tags.remove(key).is_none() {
                    let words = format!("No tag with name: {} in experiment with id {}", text::echo(key), self.id);
                    return Err(Error::new(Kind::NotFound, words));
                }
            }
            ExperimentChange::Rename(name) => {
                experiment::check_name(name)?;
                if present.is_deleted {
                    return Err(Error::new(Kind::Invalid, "Cannot rename a non-active experiment."));
                }
                if present.name == *name {
                    return Ok(());
                }
                if let Some(other) = experiment::find_by_name(cx, &shelf, name).await? {
                    return Err(taken(&other.value));
                }
                let old = experiment::name_row_id(&shelf, &present.name);
                if let Some(index) = cx.get::<ExperimentName>(&shelf, &old).await? {
                    changes.delete(&shelf, &index);
                }
                name.clone_into(&mut present.name);
                // The first write of the default experiment writes its name too.
                if row.version > 0 {
                    let index = ExperimentName { experiment: self.id.clone() };
                    changes.put(&shelf, &Row::new(experiment::name_row_id(&shelf, name), index))?;
                }
            }
        }
        row.value.updated_at = cx.now();
        experiment::put(&shelf, &mut changes, &row)?;
        cx.commit(changes).await
    }
}

/// Deletes one, and with it its runs, until it is restored.
#[derive(Debug)]
pub struct DeleteExperiment {
    /// The workspace.
    pub workspace: ResourceId,
    /// Its id.
    pub id: String,
}

#[async_trait]
impl Op for DeleteExperiment {
    const ACTION: Action = DELETE_EXPERIMENTS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for DeleteExperiment {
    fn contends_for(&self) -> String {
        format!("experiment|{}", self.id)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let mut row = experiment::find(cx, &shelf, &self.id).await?;
        if row.value.is_deleted {
            return Err(experiment::missing(&self.id));
        }
        cx.note("experiment", row.value.id.clone());
        row.value.is_deleted = true;
        row.value.updated_at = cx.now();
        let mut changes = Changes::new();
        experiment::put(&shelf, &mut changes, &row)?;
        cx.commit(changes).await
    }
}

const SCHEMA: Schema = Schema {
    numbers: &["creation_time", "last_update_time"],
    texts: &["name", "experiment_id"],
    lists: &["experiment_id"],
    aliases: &[("created", "creation_time"), ("updated", "last_update_time")],
    parts: &[Part::Tag],
    order_only: &[],
    absent_differs: false,
};

impl Searchable for Experiment {
    fn value(&self, field: &Field) -> Value<'_> {
        match (field.part, field.key.as_str()) {
            (Part::Tag, key) => Value::from(self.tags.get(key)),
            (Part::Attribute, "name") => Value::from(self.name.as_str()),
            (Part::Attribute, "experiment_id") => Value::from(self.id.as_str()),
            (Part::Attribute, "creation_time") => Value::from(Some(self.created_at.0)),
            (Part::Attribute, "last_update_time") => Value::from(Some(self.updated_at.0)),
            _ => Value::Absent,
        }
    }

    fn size(&self) -> usize {
        size_of(&self.tags).saturating_add(ENTRY)
    }
}

/// A question for a list: what to pick, how to sort it, which page.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// MLflow's filter language.
    pub filter: String,
    /// `identifier [ASC|DESC]`, one a key.
    pub order_by: Vec<String>,
    /// Items of one page.
    pub most: usize,
    /// Where the last page ended.
    pub page_token: Option<String>,
}

impl Query {
    /// What a page token is bound to.
    pub(super) fn identity(&self, more: &str) -> String {
        format!("{}|{:?}|{more}", self.filter, self.order_by)
    }
}

/// Searches experiments; the newest first unless asked otherwise.
#[derive(Debug)]
pub struct SearchExperiments {
    /// The workspace.
    pub workspace: ResourceId,
    /// Which and how.
    pub query: Query,
    /// Living or deleted.
    pub view: View,
}

#[async_trait]
impl Op for SearchExperiments {
    const ACTION: Action = READ_EXPERIMENTS;
    type Output = Page<Experiment>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let query = &self.query;
        text::check_page(query.most, 50_000)?;
        let filter = parse_filter(&query.filter, &SCHEMA)?;
        let usual = Ordering::by("creation_time", false).then(Ordering::by("experiment_id", true));
        let order = parse_order(&query.order_by, &SCHEMA)?.then(usual);
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let question = query.identity(&format!("experiments {:?}", self.view));
        let mut picker = Picker::new(&order, query, &question)?;
        let mut consider = |one: Experiment| {
            if self.view.shows(one.is_deleted) && filter.matches(&one) {
                picker.offer(one);
            }
        };
        let default = experiment::find(cx, &shelf, "0").await?;
        if default.version == 0 {
            consider(default.value);
        }
        scan(cx, &shelf, b"", |row: Row<Experiment>| consider(row.value)).await?;
        Ok(picker.page())
    }
}
