//! Logged models: what a run made, before anybody registers it.

use std::collections::BTreeMap;

use kernel::{Error, Kind, Result, RunId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Point, experiment,
    run::{Place, place_id},
    text,
};
use crate::gate::{Admission, Changes, Record, Row, Shelf};

/// Most metrics of one model.
const MOST_METRICS: usize = 5000;

/// Where a logged model stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoggedModelStatus {
    /// Its files are on their way.
    Pending,
    /// Complete.
    Ready,
    /// Its files did not arrive.
    UploadFailed,
}

/// A metric of a model: the latest value a run measured on a data set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelMetric {
    /// The metric's name.
    pub key: String,
    /// The value.
    pub point: Point,
    /// Which run measured it.
    pub run: RunId,
    /// On which data set.
    pub dataset_name: String,
    /// That data set's digest.
    pub dataset_digest: String,
}

/// A logged model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoggedModel {
    /// `m-` and 32 hex digits.
    pub id: String,
    /// The experiment's id.
    pub experiment: String,
    /// For people.
    pub name: String,
    /// Free word.
    pub model_type: String,
    /// The run that made it.
    pub source_run: Option<RunId>,
    /// Display name of whoever made it, as the server established it.
    pub user: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Where it stands.
    pub status: LoggedModelStatus,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// Immutable once given.
    pub params: BTreeMap<String, String>,
    /// Measured values.
    pub metrics: Vec<ModelMetric>,
    /// Whether it was deleted.
    pub is_deleted: bool,
    /// The run whose code made it, if one did.
    pub created_by_run: Option<RunId>,
}

impl Record for LoggedModel {
    const TABLE: &'static str = "logged-model";
}

impl LoggedModel {
    /// Where its files are read and written.
    pub fn artifact_uri(&self) -> String {
        format!("mlflow-artifacts:/{}/models/{}/artifacts", self.experiment, self.id)
    }

    /// Takes a measured value; says whether that changed anything. A value that is not the latest of its kind does not.
    pub(super) fn describe(&mut self, metric: ModelMetric) -> Result<bool> {
        let is_same = |known: &&mut ModelMetric| {
            known.key == metric.key
                && known.run == metric.run
                && known.dataset_name == metric.dataset_name
                && known.dataset_digest == metric.dataset_digest
        };
        let is_full = self.metrics.len() >= MOST_METRICS;
        match self.metrics.iter_mut().find(is_same) {
            Some(known) if metric.point.by_step(&known.point).is_le() => return Ok(false),
            Some(known) => *known = metric,
            None if is_full => {
                return Err(Error::new(Kind::Invalid, format!("a logged model holds at most {MOST_METRICS} metrics")));
            }
            None => self.metrics.push(metric),
        }
        Ok(true)
    }

    pub(super) fn set_params(&mut self, params: &[(String, String)]) -> Result<()> {
        if params.len() > 100 {
            return Err(Error::new(Kind::Invalid, "at most 100 parameters can be logged to a model at once"));
        }
        for (key, value) in params {
            text::check_key("key", key)?;
            text::check_length("value", value, 6000)?;
            match self.params.get(key) {
                Some(known) if known != value => {
                    let key = text::echo(key);
                    let words =
                        format!("Changing param values is not allowed. Param with key='{key}' was already logged");
                    return Err(Error::new(Kind::Invalid, format!("{words} for logged model '{}'.", self.id)));
                }
                Some(_) => {}
                None => {
                    self.params.insert(key.clone(), value.clone());
                }
            }
        }
        match self.params.len() {
            0..=1000 => Ok(()),
            _ => Err(Error::new(Kind::Invalid, "a logged model holds at most 1000 parameters")),
        }
    }

    pub(super) fn set_tags(&mut self, tags: &[(String, String)]) -> Result<()> {
        for (key, value) in tags {
            text::check_key("key", key)?;
            text::check_length("value", value, 8000)?;
            self.tags.insert(key.clone(), value.clone());
        }
        match self.tags.len() {
            0..=500 => Ok(()),
            _ => Err(Error::new(Kind::Invalid, "a logged model holds at most 500 tags")),
        }
    }
}

/// Names may not be paths or URIs.
pub(super) fn check_name(name: &str) -> Result<()> {
    text::check("name", name, 1..=500)?;
    if name.contains(['/', ':', '.', '%', '"', '\'', '\\', '#']) {
        let words = "Model name must be a non-empty string and cannot contain the following characters:";
        let those = r#"('/', ':', '.', '%', '"', "'")"#;
        let name = text::quoted(name);
        return Err(Error::new(Kind::Invalid, format!("Invalid model name ({name}) provided. {words} {those}")));
    }
    Ok(())
}

pub(super) fn place_of(shelf: &Shelf, id: &str) -> Vec<u8> {
    place_id(shelf, &format!("model|{id}"))
}

fn row_id(shelf: &Shelf, experiment: &str, id: &str) -> Vec<u8> {
    let mut row = experiment::row_id(shelf, experiment);
    row.extend(shelf.name_id::<LoggedModel>(id));
    row
}

/// Adds the rows of a new one.
pub(super) fn add(shelf: &Shelf, changes: &mut Changes, model: LoggedModel) -> Result<()> {
    let place = Place { experiment: model.experiment.clone() };
    changes.put(shelf, &Row::new(place_of(shelf, &model.id), place))?;
    changes.put(shelf, &Row::new(row_id(shelf, &model.experiment, &model.id), model))?;
    Ok(())
}

/// Reads one that must exist and not be deleted.
pub(super) async fn find(cx: &Admission<'_>, shelf: &Shelf, id: &str) -> Result<Row<LoggedModel>> {
    let row = find_any(cx, shelf, id).await?;
    if row.value.is_deleted {
        return Err(not_found(id));
    }
    Ok(row)
}

/// Reads one, deleted or not.
pub(super) async fn find_any(cx: &Admission<'_>, shelf: &Shelf, id: &str) -> Result<Row<LoggedModel>> {
    let place = cx.get::<Place>(shelf, &place_of(shelf, id)).await?.ok_or_else(|| not_found(id))?;
    let row = cx.get::<LoggedModel>(shelf, &row_id(shelf, &place.value.experiment, id)).await?;
    row.ok_or_else(|| not_found(id))
}

fn not_found(id: &str) -> Error {
    Error::new(Kind::NotFound, format!("Logged model with ID '{}' not found.", text::echo(id)))
}
