//! Logging to a run: metrics, parameters and tags, all of one request in one commit.

use std::collections::HashSet;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId};

use super::{
    Metric, Point, Run,
    action::{WRITE_ANY_MODEL, WRITE_RUNS},
    attempt::{Attempt, settle},
    import,
    logged_model::{self, ModelMetric},
    metric, ownership,
    run::{self, RUN_NAME_TAG},
    text,
};
use crate::{
    gate::{Changes, Cx, Op, Shelf},
    impact::admit_names,
    resources::workspace_shelf,
};

/// Most items of one request, metrics and all.
const MOST_ITEMS: usize = 1000;
/// Most parameters, and most tags, of one request.
const MOST_LABELS: usize = 100;
/// Most bytes of a run's parameters and tags together.
const MOST_BYTES: usize = 4 << 20;

/// Refuses a metric that no run can have. `place` is what an error puts before the name of a field.
///
/// # Errors
/// `Invalid`.
pub fn check_metric(place: &str, metric: &Metric) -> Result<()> {
    text::check_named_key(&format!("{place}name"), "Metric name", &metric.key)?;
    let Point { timestamp, value, .. } = metric.point;
    if timestamp < 0 {
        let words =
            format!("Invalid value {timestamp} for parameter '{place}timestamp' supplied: metric '{}'", metric.key);
        let rule = "Timestamp must be a nonnegative long (64-bit integer) ";
        return Err(Error::new(Kind::Invalid, format!("{words} (value={value:?}). {rule}")));
    }
    text::check_length("dataset_name", &metric.dataset_name, 500)?;
    text::check_length("dataset_digest", &metric.dataset_digest, 36)
}

/// The same of a parameter.
///
/// # Errors
/// `Invalid`.
pub fn check_param(place: &str, key: &str, value: &str) -> Result<()> {
    text::check_named_key(&format!("{place}key"), "Param key", key)?;
    text::check_length("Param value", value, 6000)
}

/// The same of a tag.
///
/// # Errors
/// `Invalid`.
pub fn check_tag(place: &str, key: &str, value: &str) -> Result<()> {
    text::check_key(&format!("{place}key"), key)?;
    text::check_length(&format!("{place}value"), value, 8000)
}

/// Logs to a run.
#[derive(Debug)]
pub struct LogBatch {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
    /// Points of metrics.
    pub metrics: Vec<Metric>,
    /// Parameters: what has a value keeps it.
    pub params: Vec<(String, String)>,
    /// Tags: the last value counts.
    pub tags: Vec<(String, String)>,
}

#[async_trait]
impl Op for LogBatch {
    const ACTION: Action = WRITE_RUNS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        self.check_items()?;
        self.check()?;
        settle(&self, cx).await
    }
}

impl Attempt for LogBatch {
    fn contends_for(&self) -> String {
        format!("run|{}", self.run)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let mut row = run::find_writable(cx, &shelf, &self.run).await?;
        // A tag may come more than once, and the last one counts: none of them tells who works here.
        let given = self.tags.iter().filter(|(key, _)| key == RUN_NAME_TAG);
        let names: Vec<(&str, &str)> = given.map(|(_, name)| (RUN_NAME_TAG, name.as_str())).collect();
        if !names.is_empty() {
            let is_raised = ownership::is_written_raised(cx, &shelf, &workspace.value, &row.value).await?;
            admit_names(cx, is_raised, &names)?;
        }
        let mut changes = Changes::new();
        metric::append(cx, &shelf, &mut changes, &row.value, &self.metrics).await?;
        self.describe_models(cx, &shelf, &mut changes).await?;
        if self.label(&mut row.value)? {
            changes.put(&shelf, &row)?;
        }
        cx.note("run", self.run.to_string());
        if changes.is_empty() {
            return Ok(());
        }
        cx.commit(changes).await
    }
}

impl LogBatch {
    fn check(&self) -> Result<()> {
        let (metrics, params, tags) = (self.metrics.len(), self.params.len(), self.tags.len());
        let too_many = |what: &str, most: usize, count: usize| {
            let words = format!("A batch logging request can contain at most {most} {what}. Got {count} {what}.");
            Err(Error::new(
                Kind::Invalid,
                format!("{words} Please split up {what} across multiple requests and try again."),
            ))
        };
        if metrics > MOST_ITEMS {
            return too_many("metrics", MOST_ITEMS, metrics);
        }
        if params > MOST_LABELS {
            return too_many("params", MOST_LABELS, params);
        }
        if tags > MOST_LABELS {
            return too_many("tags", MOST_LABELS, tags);
        }
        let all = metrics.saturating_add(params).saturating_add(tags);
        if all > MOST_ITEMS {
            return too_many("metrics, params, and tags", MOST_ITEMS, all);
        }
        let mut seen = HashSet::new();
        for (key, _) in &self.params {
            if !seen.insert(key) {
                let words = format!("Duplicate parameter keys have been submitted: ['{}'].", text::echo(key));
                let more = "Please ensure the request contains only one param value per param key.";
                return Err(Error::new(Kind::Invalid, format!("{words} {more}")));
            }
        }
        Ok(())
    }

    /// Refuses what no item can be; an error says where it stands.
    fn check_items(&self) -> Result<()> {
        for (at, metric) in self.metrics.iter().enumerate() {
            check_metric(&format!("metrics[{at}]."), metric)?;
        }
        for (at, (key, value)) in self.params.iter().enumerate() {
            check_param(&format!("params[{at}]."), key, value)?;
        }
        self.tags.iter().enumerate().try_for_each(|(at, (key, value))| check_tag(&format!("tags[{at}]."), key, value))
    }

    /// Sets parameters and tags; says whether the run changed.
    fn label(&self, run: &mut Run) -> Result<bool> {
        let mut has_changed = false;
        for (key, value) in &self.params {
            match run.params.get(key) {
                Some(known) if known == value => {}
                Some(known) => {
                    let (key, known, value) = (text::echo(key), text::echo(known), text::echo(value));
                    let words = format!(
                        "Changing param values is not allowed. Param with key='{key}' was already logged with value='{known}' \
                         for run ID='{}'. Attempted logging new value '{value}'.",
                        run.id
                    );
                    return Err(Error::new(Kind::Invalid, words));
                }
                None => {
                    run.params.insert(key.clone(), value.clone());
                    has_changed = true;
                }
            }
        }
        import::must_all_stay(&run.tags, &self.tags)?;
        for (key, value) in &self.tags {
            if key == RUN_NAME_TAG {
                run.rename(value)?;
                has_changed = true;
            } else if run.tags.get(key) != Some(value) {
                run.tags.insert(key.clone(), value.clone());
                has_changed = true;
            }
        }
        let size = |(key, value): (&String, &String)| key.len().saturating_add(value.len());
        let bytes: usize = run.params.iter().map(size).chain(run.tags.iter().map(size)).sum();
        if bytes > MOST_BYTES {
            let words = format!("a run holds at most {MOST_BYTES} bytes of parameters and tags");
            return Err(Error::new(Kind::Invalid, words));
        }
        Ok(has_changed)
    }

    /// Metrics that describe a logged model are kept with it too.
    async fn describe_models(&self, cx: &Cx<'_, Self>, shelf: &Shelf, changes: &mut Changes) -> Result<()> {
        let mut ids: Vec<&String> = self.metrics.iter().filter_map(|metric| metric.model.as_ref()).collect();
        ids.sort();
        ids.dedup();
        for id in ids {
            let mut row = logged_model::find(cx, shelf, id).await?;
            ownership::of_logged_model(cx, &row.value, &WRITE_ANY_MODEL).await?;
            let about = self.metrics.iter().filter(|metric| metric.model.as_ref() == Some(id));
            let mut has_changed = false;
            for metric in about {
                has_changed |= row.value.describe(ModelMetric {
                    key: metric.key.clone(),
                    point: metric.point,
                    run: self.run.clone(),
                    dataset_name: metric.dataset_name.clone(),
                    dataset_digest: metric.dataset_digest.clone(),
                })?;
            }
            if has_changed {
                changes.put(shelf, &row)?;
            }
        }
        Ok(())
    }
}

/// Appends to the list of models that old clients keep in a tag of the run.
#[derive(Debug)]
pub struct LogModelHistory {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
    /// What the client says of the model: a JSON object.
    pub model: serde_json::Value,
}

const HISTORY_TAG: &str = "mlflow.log-model.history";

#[async_trait]
impl Op for LogModelHistory {
    const ACTION: Action = WRITE_RUNS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let missing: Vec<&str> = ["artifact_path", "flavors", "utc_time_created", "run_id"]
            .into_iter()
            .filter(|key| self.model.get(key).is_none())
            .collect();
        if !missing.is_empty() {
            let words = format!("Model json is missing mandatory fields: {missing:?}");
            return Err(Error::new(Kind::Invalid, words));
        }
        settle(&self, cx).await
    }
}

impl Attempt for LogModelHistory {
    fn contends_for(&self) -> String {
        format!("run|{}", self.run)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let mut row = run::find_writable(cx, &shelf, &self.run).await?;
        let known = row.value.tags.get(HISTORY_TAG).map(String::as_str).unwrap_or("[]");
        let mut list: Vec<serde_json::Value> = serde_json::from_str(known).unwrap_or_default();
        cx.note("run", self.run.to_string());
        // What is the last one already was sent again: it says when it was made.
        if list.last() == Some(&self.model) {
            return Ok(());
        }
        list.push(self.model.clone());
        let history = serde_json::to_string(&list).map_err(Error::internal)?;
        if history.len() > 1 << 20 {
            return Err(Error::new(Kind::Invalid, "the run's list of models is full"));
        }
        row.value.tags.insert(HISTORY_TAG.to_owned(), history);
        let mut changes = Changes::new();
        changes.put(&shelf, &row)?;
        cx.commit(changes).await
    }
}
