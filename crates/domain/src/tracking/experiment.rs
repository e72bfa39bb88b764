//! Experiments: names under which runs are gathered.

use std::collections::BTreeMap;

use kernel::{Error, Kind, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::text;
use crate::gate::{Admission, Changes, Record, Row, Shelf};

/// The experiment that every workspace has.
const DEFAULT_ID: &str = "0";
const DEFAULT_NAME: &str = "Default";

/// An experiment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Experiment {
    /// A decimal number as text; never reused.
    pub id: String,
    /// Unique among the workspace's experiments, the deleted ones too.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Deleted ones keep their name and runs, and can be restored.
    pub is_deleted: bool,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

impl Record for Experiment {
    const TABLE: &'static str = "experiment";
}

/// Which experiment has a name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ExperimentName {
    pub(super) experiment: String,
}

impl Record for ExperimentName {
    const TABLE: &'static str = "experiment-name";
}

impl Experiment {
    /// A fresh one. Ids are random, so that making one contends with nobody.
    pub(super) fn new(cx: &Admission<'_>, name: &str) -> Self {
        let [a, b, c, d, e, f, g, _, ..] = *Uuid::new_v4().as_bytes();
        // 18 decimal digits: what clients that read it as a 64-bit integer can hold.
        let number = u64::from_be_bytes([0, a, b, c, d, e, f, g]) % 900_000_000_000_000_000;
        let id = number.saturating_add(100_000_000_000_000_000).to_string();
        Self {
            id,
            name: name.to_owned(),
            created_at: cx.now(),
            updated_at: cx.now(),
            is_deleted: false,
            tags: BTreeMap::new(),
        }
    }

    fn default_one() -> Self {
        Self {
            id: DEFAULT_ID.to_owned(),
            name: DEFAULT_NAME.to_owned(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            is_deleted: false,
            tags: BTreeMap::new(),
        }
    }

    /// Refuses when it is deleted.
    pub(super) fn must_be_active(&self) -> Result<()> {
        if self.is_deleted {
            let words = format!("The experiment {} must be in the 'active' state. Current state is deleted.", self.id);
            return Err(Error::new(Kind::Invalid, words));
        }
        Ok(())
    }
}

pub(super) fn row_id(shelf: &Shelf, id: &str) -> Vec<u8> {
    shelf.name_id::<Experiment>(id)
}

pub(super) fn name_row_id(shelf: &Shelf, name: &str) -> Vec<u8> {
    shelf.name_id::<ExperimentName>(name)
}

/// Reads one that must exist. The default one exists from the start, though nobody wrote it.
pub(super) async fn find(cx: &Admission<'_>, shelf: &Shelf, id: &str) -> Result<Row<Experiment>> {
    let row_id = row_id(shelf, id);
    match cx.get::<Experiment>(shelf, &row_id).await? {
        Some(row) => Ok(row),
        None if id == DEFAULT_ID => Ok(Row::new(row_id, Experiment::default_one())),
        None => Err(missing(id)),
    }
}

pub(super) fn missing(id: &str) -> Error {
    Error::new(Kind::NotFound, format!("No Experiment with id={} exists", text::echo(id)))
}

/// Reads the one with this name, deleted or not.
pub(super) async fn find_by_name(cx: &Admission<'_>, shelf: &Shelf, name: &str) -> Result<Option<Row<Experiment>>> {
    if let Some(index) = cx.get::<ExperimentName>(shelf, &name_row_id(shelf, name)).await? {
        return find(cx, shelf, &index.value.experiment).await.map(Some);
    }
    if name == DEFAULT_NAME {
        let row = find(cx, shelf, DEFAULT_ID).await?;
        return Ok((row.value.name == DEFAULT_NAME).then_some(row));
    }
    Ok(None)
}

/// Writes an experiment; the first time, its name too.
pub(super) fn put(shelf: &Shelf, changes: &mut Changes, row: &Row<Experiment>) -> Result<()> {
    changes.put(shelf, row)?;
    if row.version == 0 {
        let index = ExperimentName { experiment: row.value.id.clone() };
        changes.put(shelf, &Row::new(name_row_id(shelf, &row.value.name), index))?;
    }
    Ok(())
}

/// The active experiment with this name, made when there is none.
pub(super) async fn ensure(cx: &Admission<'_>, shelf: &Shelf, changes: &mut Changes, name: &str) -> Result<Experiment> {
    if let Some(row) = find_by_name(cx, shelf, name).await? {
        row.value.must_be_active()?;
        return Ok(row.value);
    }
    check_name(name)?;
    let row = Row::new(Vec::new(), Experiment::new(cx, name));
    let row = Row { id: row_id(shelf, &row.value.id), ..row };
    put(shelf, changes, &row)?;
    Ok(row.value)
}

/// Names are any text of 1 to 500 characters without control characters.
pub(super) fn check_name(name: &str) -> Result<()> {
    text::check("name", name, 1..=500)
}
