//! Operations on logged models.

use std::{borrow::Cow, collections::BTreeMap};

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId};
use uuid::Uuid;

use super::{
    LoggedModel, LoggedModelStatus, ModelMetric, Query,
    action::{DELETE_MODELS, READ_MODELS, WRITE_ANY_MODEL, WRITE_ANY_RUN, WRITE_LOGGED_MODELS},
    attempt::{Attempt, settle},
    experiment, import, logged_model, ownership, run,
    scan::scan,
    search::{
        ENTRY, Field, Ordering, Page, Part, Picker, Schema, Searchable, Value, parse_filter, parse_order, size_of,
    },
    text,
};
use crate::{
    gate::{Changes, Cx, Op, Row},
    resources::workspace_shelf,
};

/// Begins a logged model; its files follow.
#[derive(Debug)]
pub struct CreateLoggedModel {
    /// The workspace.
    pub workspace: ResourceId,
    /// The experiment's id.
    pub experiment: String,
    /// For people; a random one when empty.
    pub name: String,
    /// Free word.
    pub model_type: String,
    /// The run that makes it.
    pub source_run: Option<RunId>,
    /// Parameters.
    pub params: Vec<(String, String)>,
    /// Free labels.
    pub tags: Vec<(String, String)>,
}

#[async_trait]
impl Op for CreateLoggedModel {
    const ACTION: Action = WRITE_LOGGED_MODELS;
    type Output = LoggedModel;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let experiment = experiment::find(cx, &shelf, &self.experiment).await?.value;
        experiment.must_be_active()?;
        ownership::of_new_logged_model(cx, &shelf, &experiment.id).await?;
        if let Some(run) = &self.source_run {
            let run = run::find(cx, &shelf, run).await?.value;
            ownership::of_run(cx, &run, &WRITE_ANY_RUN).await?;
        }
        let id = format!("m-{}", Uuid::new_v4().simple());
        let name = if self.name.is_empty() { super::run_name::random() } else { self.name };
        logged_model::check_name(&name)?;
        text::check_length("model_type", &self.model_type, 500)?;
        let mut model = LoggedModel {
            id,
            experiment: experiment.id,
            name,
            model_type: self.model_type,
            source_run: self.source_run,
            user: ownership::caller_name(cx),
            created_at: cx.now(),
            updated_at: cx.now(),
            status: LoggedModelStatus::Pending,
            tags: BTreeMap::new(),
            params: BTreeMap::new(),
            metrics: Vec::new(),
            is_deleted: false,
            created_by_run: ownership::own_run(cx),
        };
        model.set_params(&self.params)?;
        import::must_all_stay(&model.tags, &self.tags)?;
        model.set_tags(&self.tags)?;
        cx.note("loggedModel", model.id.clone());
        let mut changes = Changes::new();
        logged_model::add(&shelf, &mut changes, model.clone())?;
        cx.commit(changes).await?;
        Ok(model)
    }
}

/// Reads one.
#[derive(Debug)]
pub struct GetLoggedModel {
    /// The workspace.
    pub workspace: ResourceId,
    /// Its id.
    pub id: String,
    /// Whether a deleted one counts.
    pub allow_deleted: bool,
}

#[async_trait]
impl Op for GetLoggedModel {
    const ACTION: Action = READ_MODELS;
    type Output = LoggedModel;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let row = match self.allow_deleted {
            true => logged_model::find_any(cx, &shelf, &self.id).await?,
            false => logged_model::find(cx, &shelf, &self.id).await?,
        };
        Ok(row.value)
    }
}

/// What to do to a logged model.
#[derive(Clone, Debug)]
pub enum LoggedModelChange {
    /// Its files have arrived, or will not.
    Finalize(LoggedModelStatus),
    /// Set tags.
    SetTags(Vec<(String, String)>),
    /// Remove a tag.
    DeleteTag(String),
    /// Add parameters.
    SetParams(Vec<(String, String)>),
}

/// Changes one.
#[derive(Debug)]
pub struct UpdateLoggedModel {
    /// The workspace.
    pub workspace: ResourceId,
    /// Its id.
    pub id: String,
    /// What to do.
    pub change: LoggedModelChange,
}

#[async_trait]
impl Op for UpdateLoggedModel {
    const ACTION: Action = WRITE_LOGGED_MODELS;
    type Output = LoggedModel;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for UpdateLoggedModel {
    fn contends_for(&self) -> String {
        format!("logged model|{}", self.id)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<LoggedModel> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let mut row = logged_model::find(cx, &shelf, &self.id).await?;
        let model = &mut row.value;
        ownership::of_logged_model(cx, model, &WRITE_ANY_MODEL).await?;
        match &self.change {
            LoggedModelChange::Finalize(status) => model.status = *status,
            LoggedModelChange::SetTags(tags) => {
                import::must_all_stay(&model.tags, tags)?;
                model.set_tags(tags)?;
            }
            LoggedModelChange::SetParams(params) => model.set_params(params)?,
            LoggedModelChange::DeleteTag(key) => {
                import::must_stay(&model.tags, key, None)?;
                if model.tags.remove(key).is_none() {
                    let words =
                        format!("No tag with key '{}' found for model with ID '{}'.", text::echo(key), model.id);
                    return Err(Error::new(Kind::NotFound, words));
                }
            }
        }
        model.updated_at = cx.now();
        cx.note("loggedModel", model.id.clone());
        let mut changes = Changes::new();
        changes.put(&shelf, &row)?;
        cx.commit(changes).await?;
        Ok(row.value)
    }
}

/// Deletes one. Versions that were registered from it keep their files.
#[derive(Debug)]
pub struct DeleteLoggedModel {
    /// The workspace.
    pub workspace: ResourceId,
    /// Its id.
    pub id: String,
}

#[async_trait]
impl Op for DeleteLoggedModel {
    const ACTION: Action = DELETE_MODELS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for DeleteLoggedModel {
    fn contends_for(&self) -> String {
        format!("logged model|{}", self.id)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let mut row = logged_model::find(cx, &shelf, &self.id).await?;
        row.value.is_deleted = true;
        row.value.updated_at = cx.now();
        cx.note("loggedModel", self.id.clone());
        let mut changes = Changes::new();
        changes.put(&shelf, &row)?;
        cx.commit(changes).await
    }
}

const NUMBERS: &[&str] = &["creation_timestamp", "last_updated_timestamp"];
const TEXTS: &[&str] = &["name", "model_id", "model_type", "status", "source_run_id", "experiment_id"];

const SCHEMA: Schema = Schema {
    numbers: NUMBERS,
    texts: TEXTS,
    lists: TEXTS,
    aliases: &[
        ("creation_time", "creation_timestamp"),
        ("creation_timestamp_ms", "creation_timestamp"),
        ("last_updated_timestamp_ms", "last_updated_timestamp"),
    ],
    parts: &[Part::Metric, Part::Param, Part::Tag],
    order_only: &[],
    absent_differs: false,
};

/// What stands between a metric and the data set it is ordered on: no key can hold it.
const APART: char = '\u{1f}';

/// The key that orders by a metric on a data set; any digest when it is empty.
pub fn metric_on(key: &str, dataset: &str, digest: &str) -> String {
    format!("{key}{APART}{dataset}{APART}{digest}")
}

/// A model as one search sees it: only the metrics on the data sets asked about.
struct Candidate<'q> {
    model: LoggedModel,
    datasets: &'q [(String, String)],
}

impl Searchable for Candidate<'_> {
    fn value(&self, field: &Field) -> Value<'_> {
        let model = &self.model;
        match (field.part, field.key.as_str()) {
            (Part::Metric, key) => match key.split(APART).collect::<Vec<_>>().as_slice() {
                [key, name, digest] => self.metric(key, &[((*name).to_owned(), (*digest).to_owned())]),
                _ => self.metric(key, self.datasets),
            },
            (Part::Param, key) => Value::from(model.params.get(key)),
            (Part::Tag, key) => Value::from(model.tags.get(key)),
            (Part::Attribute, "name") => Value::from(model.name.as_str()),
            (Part::Attribute, "model_id") => Value::from(model.id.as_str()),
            (Part::Attribute, "model_type") => Value::from(model.model_type.as_str()),
            (Part::Attribute, "experiment_id") => Value::from(model.experiment.as_str()),
            (Part::Attribute, "source_run_id") => match &model.source_run {
                Some(run) => Value::from(run.as_str()),
                None => Value::Absent,
            },
            (Part::Attribute, "status") => Value::Text(Cow::Borrowed(model.status.word())),
            (Part::Attribute, "creation_timestamp") => Value::from(Some(model.created_at.0)),
            (Part::Attribute, "last_updated_timestamp") => Value::from(Some(model.updated_at.0)),
            _ => Value::Absent,
        }
    }

    fn size(&self) -> usize {
        let model = &self.model;
        let metric = |sum: usize, metric: &ModelMetric| {
            let texts = [metric.key.len(), metric.dataset_name.len(), metric.dataset_digest.len(), 2 * ENTRY];
            sum.saturating_add(texts.iter().sum())
        };
        [size_of(&model.params), size_of(&model.tags), model.metrics.iter().fold(0, metric), ENTRY].iter().sum()
    }
}

impl Candidate<'_> {
    fn metric(&self, key: &str, datasets: &[(String, String)]) -> Value<'_> {
        let is_on = |name: &str, digest: &str| {
            datasets.is_empty() || datasets.iter().any(|(n, d)| n == name && (d.is_empty() || d == digest))
        };
        let of_key = self.model.metrics.iter().filter(|metric| metric.key == key);
        let latest = of_key
            .filter(|metric| is_on(&metric.dataset_name, &metric.dataset_digest))
            .max_by(|a, b| a.point.by_step(&b.point));
        latest.map_or(Value::Absent, |metric| Value::Number(metric.point.value))
    }
}

impl LoggedModelStatus {
    /// MLflow's word, without its prefix `LOGGED_MODEL_`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Ready => "READY",
            Self::UploadFailed => "UPLOAD_FAILED",
        }
    }
}

/// Searches logged models; the newest first unless asked otherwise.
#[derive(Debug)]
pub struct SearchLoggedModels {
    /// The workspace.
    pub workspace: ResourceId,
    /// Ids of the experiments.
    pub experiments: Vec<String>,
    /// Only metrics on these data sets count: name and digest (empty: any).
    pub datasets: Vec<(String, String)>,
    /// Which and how.
    pub query: Query,
}

#[async_trait]
impl Op for SearchLoggedModels {
    const ACTION: Action = READ_MODELS;
    type Output = Page<LoggedModel>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(mut self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if self.experiments.is_empty() {
            return Err(text::missing("experiment_ids"));
        }
        if self.experiments.len() > 1000 || self.datasets.len() > 100 {
            return Err(Error::new(
                Kind::Invalid,
                "at most 1000 experiments and 100 data sets can be asked about at once",
            ));
        }
        let query = &self.query;
        text::check_page(query.most, 5000)?;
        let filter = parse_filter(&query.filter, &SCHEMA)?;
        let usual = Ordering::by("creation_timestamp", false).then(Ordering::by("model_id", true));
        let order = parse_order(&query.order_by, &SCHEMA)?.then(usual);
        self.experiments.sort();
        self.experiments.dedup();
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let question = query.identity(&format!("logged models {:?} {:?}", self.experiments, self.datasets));
        let mut picker = Picker::new(&order, query, &question)?;
        for id in &self.experiments {
            scan(cx, &shelf, &experiment::row_id(&shelf, id), |row: Row<LoggedModel>| {
                let one = Candidate { model: row.value, datasets: &self.datasets };
                if !one.model.is_deleted && filter.matches(&one) {
                    picker.offer(one);
                }
            })
            .await?;
        }
        Ok(picker.page().map(|one| one.model))
    }
}
