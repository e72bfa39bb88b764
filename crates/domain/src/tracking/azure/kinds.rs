//! What is known of a run's metrics beside their values, and what they may be.

use std::collections::{BTreeMap, VecDeque};

use kernel::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rows::SeriesRow;
use crate::{
    gate::{Admission, Record, Row, Shelf},
    tracking::{Run, run, text},
};

/// Most metrics of one run that Azure's clients log (Azure's limit).
const MOST_METRICS: usize = 50;
/// Most rows of one metric (Azure's limit).
const MOST_ROWS: u64 = 1_000_000;
/// Most columns of a row (Azure's limit).
const MOST_COLUMNS: usize = 15;
/// Longest name and text, in characters (Azure's limit).
const TEXT: usize = 255;
/// Longest address of a file, in characters: a path has at most 1000 bytes.
const LOCATION: usize = 1500;
/// Requests' first ids that are remembered, so that one that is sent again changes nothing.
const REMEMBERED: usize = 1000;
/// The kind of single values and of numbers that MLflow logged.
pub(super) const SCALAR: &str = "azureml.v1.scalar";
/// From here on a 64-bit float does not hold every whole number.
const EXACT: i64 = 1 << 53;

/// A metric to be logged, or some rows of one.
#[derive(Clone, Debug, Default)]
pub struct NewSeries {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its columns: name and type.
    pub columns: Vec<(String, String)>,
    /// Its rows.
    pub rows: Vec<SeriesRow>,
}

/// What a metric is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesKind {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its columns: name and type.
    pub columns: Vec<(String, String)>,
}

/// What is known of one metric.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) what: SeriesKind,
    /// Whether it lies as points.
    pub(super) is_points: bool,
    rows: u64,
    /// The last chunk of rows.
    pub(super) chunk: u32,
}

impl Known {
    /// Whether its numbers are whole ones.
    pub(super) fn is_whole(&self) -> bool {
        self.what.columns.iter().all(|(_, kind)| kind.eq_ignore_ascii_case("int"))
    }
}

/// The metrics that Azure's clients logged to a run. The row id is the run's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Kinds {
    pub(super) metrics: BTreeMap<String, Known>,
    /// Ids that came lately, the oldest first.
    pub(super) seen: VecDeque<String>,
}

impl Record for Kinds {
    const TABLE: &'static str = "run-metric-kinds";
}

pub(super) async fn kinds(cx: &Admission<'_>, shelf: &Shelf, run: &Run) -> Result<Row<Kinds>> {
    let id = run::row_id(shelf, &run.experiment, run.id.as_str());
    Ok(cx.get::<Kinds>(shelf, &id).await?.unwrap_or_else(|| Row::new(id, Kinds::default())))
}

pub(super) fn remember(kinds: &mut Kinds, id: &str) {
    if id.is_empty() {
        return;
    }
    kinds.seen.push_back(id.to_owned());
    while kinds.seen.len() > REMEMBERED {
        kinds.seen.pop_front();
    }
}

/// Whether a column's type is a number's.
fn is_numeric(kind: &str) -> bool {
    ["int", "double", "float"].iter().any(|known| kind.eq_ignore_ascii_case(known))
}

/// A number that a float holds, or one of the words for those that JSON has none for.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) if !(-EXACT..=EXACT).contains(&whole) => None,
            _ => number.as_f64(),
        },
        Value::String(word) => match word.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// Checks a metric and counts its rows among those of its name; says whether they are points.
pub(super) fn take(kinds: &mut Kinds, one: &NewSeries) -> Result<bool> {
    text::check("name", &one.name, 1..=TEXT)?;
    text::check("uxMetricType", &one.kind, 1..=64)?;
    check_columns(&one.columns)?;
    let is_points = match one.columns.as_slice() {
        [(column, kind)] => *column == one.name && is_numeric(kind),
        _ => false,
    };
    let is_file = matches!(one.columns.as_slice(), [(_, kind)] if kind.eq_ignore_ascii_case("artifact"));
    for row in &one.rows {
        check_row(one, row, is_points, if is_file { LOCATION } else { TEXT })?;
    }
    let adding = u64::try_from(one.rows.len()).unwrap_or(u64::MAX);
    let Some(known) = kinds.metrics.get_mut(&one.name) else {
        if kinds.metrics.len() >= MOST_METRICS {
            let why = format!("a run holds at most {MOST_METRICS} metrics of Azure's clients");
            return Err(text::bad("name", &one.name, &why));
        }
        let what = SeriesKind { name: one.name.clone(), kind: one.kind.clone(), columns: one.columns.clone() };
        let mut known = Known { what, is_points, rows: 0, chunk: 0 };
        known.rows = room(&one.name, known.rows, adding)?;
        kinds.metrics.insert(one.name.clone(), known);
        return Ok(is_points);
    };
    // A list and a single value of the same type go into the same series, as they do at Azure.
    let is_same = known.is_points == is_points && (is_points || known.what.kind == one.kind);
    if !is_same {
        let why = format!("it was logged as `{}` before; use another name", known.what.kind);
        return Err(text::bad("name", &one.name, &why));
    }
    let columns = merged(&known.what.columns, &one.columns);
    check_columns(&columns)?;
    known.rows = room(&one.name, known.rows, adding)?;
    known.what.columns = columns;
    Ok(is_points)
}

/// How many rows a metric has then.
fn room(name: &str, rows: u64, adding: u64) -> Result<u64> {
    match rows.checked_add(adding) {
        Some(all) if all <= MOST_ROWS => Ok(all),
        _ => Err(text::bad("name", name, &format!("a metric holds at most {MOST_ROWS} rows"))),
    }
}

/// The columns of both. A number is no whole one any more as soon as one was not.
fn merged(known: &[(String, String)], more: &[(String, String)]) -> Vec<(String, String)> {
    let mut columns = known.to_vec();
    for (name, kind) in more {
        match columns.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) if known.eq_ignore_ascii_case("int") && is_numeric(kind) => known.clone_from(kind),
            Some(_) => {}
            None => columns.push((name.clone(), kind.clone())),
        }
    }
    columns
}

fn check_columns(columns: &[(String, String)]) -> Result<()> {
    if columns.is_empty() || columns.len() > MOST_COLUMNS {
        let count = columns.len().to_string();
        return Err(text::bad("columns", &count, &format!("a row has 1 to {MOST_COLUMNS} columns")));
    }
    for (name, kind) in columns {
        text::check("columns", name, 1..=TEXT)?;
        text::check("columns", kind, 1..=64)?;
    }
    Ok(())
}

fn check_row(one: &NewSeries, row: &SeriesRow, is_points: bool, longest: usize) -> Result<()> {
    text::check("metricId", &row.id, 0..=TEXT)?;
    if row.at < 0 {
        return Err(text::bad("createdUtc", &row.at.to_string(), "it lies before 1970"));
    }
    for (column, value) in &row.data {
        if !one.columns.iter().any(|(known, _)| known == column) {
            return Err(text::bad("data", column, "the row has a cell in a column that is not among `columns`"));
        }
        match value {
            Value::String(text) => text::check_length("data", text, longest)?,
            Value::Array(_) | Value::Object(_) => {
                return Err(text::bad("data", column, "a cell is a text, a number, a truth value or null"));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    if is_points && row.data.get(&one.name).and_then(number).is_none() {
        let why = "its column is a number's and its value is none that a 64-bit float holds; log it as a text";
        return Err(text::bad("data", &one.name, why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, columns: usize, value: Value) -> NewSeries {
        let columns: Vec<_> = (0..columns).map(|at| (format!("c{at}"), String::from("string"))).collect();
        let data = columns.iter().map(|(name, _)| (name.clone(), value.clone())).collect();
        let row = SeriesRow { id: String::new(), at: 1, step: None, data };
        NewSeries { name: name.to_owned(), kind: String::from("azureml.v1.table"), columns, rows: vec![row] }
    }

    fn scalar(name: &str, kind: &str, value: Value) -> NewSeries {
        let data = BTreeMap::from([(name.to_owned(), value)]);
        let columns = vec![(name.to_owned(), kind.to_owned())];
        let row = SeriesRow { id: String::new(), at: 1, step: None, data };
        NewSeries { name: name.to_owned(), kind: SCALAR.to_owned(), columns, rows: vec![row] }
    }

    #[test]
    fn n03_names_texts_columns_and_metrics_have_their_limits() {
        let fits = |one: &NewSeries| take(&mut Kinds::default(), one).is_ok();
        assert!(fits(&series(&"n".repeat(255), 1, Value::from("v"))));
        assert!(!fits(&series(&"n".repeat(256), 1, Value::from("v"))));
        assert!(fits(&series("t", 1, Value::from("v".repeat(255)))));
        assert!(!fits(&series("t", 1, Value::from("v".repeat(256)))));
        assert!(fits(&series("t", 15, Value::from("v"))));
        assert!(!fits(&series("t", 16, Value::from("v"))));
        assert!(!fits(&series("t", 0, Value::Null)));
        let mut kinds = Kinds::default();
        for number in 0..50 {
            take(&mut kinds, &series(&format!("m{number}"), 1, Value::Null)).unwrap();
        }
        assert!(take(&mut kinds, &series("m0", 1, Value::Null)).is_ok());
        assert!(take(&mut kinds, &series("m50", 1, Value::Null)).is_err());
    }

    #[test]
    fn n03_a_metric_holds_a_million_rows() {
        assert_eq!(room("m", 999_999, 1).unwrap(), 1_000_000);
        assert!(room("m", 1_000_000, 1).is_err());
        assert!(room("m", u64::MAX, 1).is_err());
    }

    #[test]
    fn columns_come_together_up_to_their_limit() {
        let mut kinds = Kinds::default();
        take(&mut kinds, &series("t", 15, Value::Null)).unwrap();
        let mut other = series("t", 1, Value::Null);
        other.columns[0].0 = String::from("another");
        other.rows[0].data = BTreeMap::new();
        assert!(take(&mut kinds, &other).is_err());
    }

    #[test]
    fn numbers_are_points_and_the_rest_is_not() {
        let mut kinds = Kinds::default();
        assert!(take(&mut kinds, &scalar("a", "int", Value::from(3))).unwrap());
        assert!(take(&mut kinds, &scalar("a", "double", Value::from(0.5))).unwrap());
        assert_eq!(kinds.metrics["a"].what.columns, [(String::from("a"), String::from("double"))]);
        assert!(take(&mut kinds, &scalar("a", "double", Value::from("NaN"))).unwrap());
        assert!(!take(&mut kinds, &scalar("b", "string", Value::from("x"))).unwrap());
        assert!(take(&mut kinds, &scalar("a", "string", Value::from("x"))).is_err(), "another kind under a known name");
        for bad in [Value::from(EXACT + 1), Value::from("1"), Value::Null, Value::from(true)] {
            assert!(take(&mut kinds, &scalar("a", "double", bad.clone())).is_err(), "{bad}");
        }
        assert!(take(&mut kinds, &scalar("a", "int", Value::from(EXACT))).is_ok());
    }
}
