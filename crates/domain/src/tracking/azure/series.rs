//! Metrics as Azure's clients log and read them: each has a kind (`azureml.v1.scalar`, `azureml.v1.table`, …) and columns.
//!
//! | what | where it lies | what MLflow sees |
//! | --- | --- | --- |
//! | numbers and lists of numbers | points of the run's metric | the same metric |
//! | texts, truth values, nulls, rows, tables | rows (`rows`) | nothing |
//! | images, confusion matrices, … | a row that names a file of the run | the file |
//!
//! A number that is logged without a step gets the next one, so that equal numbers of one moment stay apart and in order.

use std::collections::{BTreeMap, VecDeque};

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rows::{self, SeriesRow};
use crate::{
    gate::{Changes, Cx, Op, Record, Row, Shelf},
    resources::workspace_shelf,
    tracking::{
        Metric, Page, Point, Run,
        action::{READ_RUNS, WRITE_RUNS},
        attempt::{Attempt, settle},
        history, metric, run, search, text,
    },
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
/// Most metrics of a request (Azure's limit), and most rows of all of them.
const MOST_OF_REQUEST: usize = 250;
const MOST_ROWS_OF_REQUEST: usize = 10_000;
/// Requests' first ids that are remembered, so that one that is sent again changes nothing.
const REMEMBERED: usize = 1000;
/// Most rows of a page.
const PAGE: usize = 1000;
/// The kind of single values and of numbers that MLflow logged.
const SCALAR: &str = "azureml.v1.scalar";
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

/// A metric that was refused.
#[derive(Debug)]
pub struct Refused {
    /// Its place in the request.
    pub at: usize,
    /// Why.
    pub why: Error,
}

/// What is known of one metric.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Known {
    what: SeriesKind,
    /// Whether it lies as points.
    is_points: bool,
    rows: u64,
    /// The last chunk of rows.
    chunk: u32,
}

impl Known {
    /// Whether its numbers are whole ones.
    fn is_whole(&self) -> bool {
        self.what.columns.iter().all(|(_, kind)| kind.eq_ignore_ascii_case("int"))
    }
}

/// The metrics that Azure's clients logged to a run. The row id is the run's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kinds {
    metrics: BTreeMap<String, Known>,
    /// Ids that came lately, the oldest first.
    seen: VecDeque<String>,
}

impl Record for Kinds {
    const TABLE: &'static str = "run-metric-kinds";
}

async fn kinds<O: Op>(cx: &Cx<'_, O>, shelf: &Shelf, run: &Run) -> Result<Row<Kinds>> {
    let id = run::row_id(shelf, &run.experiment, run.id.as_str());
    Ok(cx.get::<Kinds>(shelf, &id).await?.unwrap_or_else(|| Row::new(id, Kinds::default())))
}

/// Logs metrics of all kinds to a run, in one commit. Those that cannot be are told, or all are refused.
#[derive(Debug)]
pub struct LogSeries {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
    /// What is logged, in its order.
    pub series: Vec<NewSeries>,
    /// Whether what can be logged is, though other metrics are refused.
    pub tells_refused: bool,
}

#[async_trait]
impl Op for LogSeries {
    const ACTION: Action = WRITE_RUNS;
    /// Those that were refused.
    type Output = Vec<Refused>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if self.series.len() > MOST_OF_REQUEST {
            let why = format!("a request logs at most {MOST_OF_REQUEST} metrics; this has {}", self.series.len());
            return Err(Error::new(Kind::Invalid, why));
        }
        let rows = self.series.iter().map(|one| one.rows.len()).fold(0, usize::saturating_add);
        if rows > MOST_ROWS_OF_REQUEST {
            let why = format!("a request logs at most {MOST_ROWS_OF_REQUEST} rows; this has {rows}");
            return Err(Error::new(Kind::Invalid, why));
        }
        settle(&self, cx).await
    }
}

impl Attempt for LogSeries {
    fn contends_for(&self) -> String {
        format!("run|{}", self.run)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<Vec<Refused>> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let run = run::find_writable(cx, &shelf, &self.run).await?.value;
        let heads = metric::heads(cx, &shelf, &run).await?.value;
        let mut kinds = kinds(cx, &shelf, &run).await?;
        let mut next_steps: BTreeMap<&str, i64> = BTreeMap::new();
        let (mut points, mut tables): (Vec<Metric>, BTreeMap<&str, Vec<SeriesRow>>) = Default::default();
        let mut refused = Vec::new();
        for (at, one) in self.series.iter().enumerate() {
            let Some(first) = one.rows.first() else { continue };
            if !first.id.is_empty() && kinds.value.seen.contains(&first.id) {
                continue;
            }
            let is_points = match take(&mut kinds.value, one) {
                Ok(is_points) => is_points,
                Err(why) if self.tells_refused => {
                    refused.push(Refused { at, why });
                    continue;
                }
                Err(why) => return Err(why),
            };
            remember(&mut kinds.value, &first.id);
            if !is_points {
                tables.entry(&one.name).or_default().extend(one.rows.iter().cloned());
                continue;
            }
            let after_latest = || heads.metrics.get(&one.name).map_or(0, |head| head.latest.step.saturating_add(1));
            let next = next_steps.entry(&one.name).or_insert_with(after_latest);
            for row in &one.rows {
                let step = row.step.unwrap_or(*next);
                *next = (*next).max(step.saturating_add(1));
                let value = row.data.get(&one.name).and_then(number).unwrap_or(f64::NAN);
                points.push(plain(&one.name, Point::new(step, row.at, value)));
            }
        }
        cx.note("run", self.run.to_string());
        if points.is_empty() && tables.is_empty() {
            return Ok(refused);
        }
        let mut changes = Changes::new();
        metric::append(cx, &shelf, &mut changes, &run, &points).await?;
        for (name, new) in tables {
            let last = kinds.value.metrics.get(name).map_or(0, |known| known.chunk);
            let last = rows::append(cx, &shelf, &mut changes, (&self.run, name), last, new).await?;
            if let Some(known) = kinds.value.metrics.get_mut(name) {
                known.chunk = last;
            }
        }
        changes.put(&shelf, &kinds)?;
        cx.commit(changes).await?;
        Ok(refused)
    }
}

fn plain(name: &str, point: Point) -> Metric {
    let nothing = String::new();
    Metric { key: name.to_owned(), point, model: None, dataset_name: nothing.clone(), dataset_digest: nothing }
}

fn remember(kinds: &mut Kinds, id: &str) {
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
fn number(value: &Value) -> Option<f64> {
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
fn take(kinds: &mut Kinds, one: &NewSeries) -> Result<bool> {
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

/// Lists the metrics of a run, those of MLflow's clients too.
#[derive(Debug)]
pub struct ListSeries {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
}

#[async_trait]
impl Op for ListSeries {
    const ACTION: Action = READ_RUNS;
    type Output = Vec<SeriesKind>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let run = run::find(cx, &shelf, &self.run).await?.value;
        let kinds = kinds(cx, &shelf, &run).await?.value;
        let heads = metric::heads(cx, &shelf, &run).await?.value;
        let mlflow = heads.metrics.into_keys().filter(|name| !kinds.metrics.contains_key(name)).map(of_mlflow);
        let mut all: Vec<SeriesKind> = mlflow.collect();
        all.extend(kinds.metrics.into_values().map(|known| known.what));
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }
}

fn of_mlflow(name: String) -> SeriesKind {
    SeriesKind { columns: vec![(name.clone(), String::from("double"))], kind: SCALAR.to_owned(), name }
}

/// A page of a metric.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it is.
    pub what: SeriesKind,
    /// Rows, in their order.
    pub rows: Vec<SeriesRow>,
    /// What to ask for the next page with.
    pub next: Option<String>,
}

/// Reads a metric of a run, whoever logged it, page by page.
#[derive(Debug)]
pub struct GetSeries {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
    /// The metric.
    pub name: String,
    /// Only what was logged in this time, both ends included: milliseconds since the epoch.
    pub between: (Option<i64>, Option<i64>),
    /// Where the last page ended.
    pub page_token: Option<String>,
}

#[async_trait]
impl Op for GetSeries {
    const ACTION: Action = READ_RUNS;
    type Output = Series;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let run = run::find(cx, &shelf, &self.run).await?.value;
        let known = kinds(cx, &shelf, &run).await?.value.metrics.remove(&self.name);
        let page = match known.as_ref().filter(|known| !known.is_points) {
            Some(known) => self.rows(cx, &shelf, known).await?,
            None => {
                let is_whole = known.as_ref().is_some_and(|known| known.is_whole());
                self.points(cx, &shelf, &run, is_whole).await?
            }
        };
        let what = match known {
            Some(known) => known.what,
            None => match page.items.is_empty() && self.page_token.is_none() {
                true => {
                    let name = text::echo(&self.name);
                    return Err(Error::new(Kind::NotFound, format!("the run has no metric `{name}`")));
                }
                false => of_mlflow(self.name.clone()),
            },
        };
        let (from, to) = self.between;
        let is_asked = |row: &SeriesRow| from.is_none_or(|from| row.at >= from) && to.is_none_or(|to| row.at <= to);
        Ok(Series { rows: page.items.into_iter().filter(is_asked).collect(), next: page.next, what })
    }
}

impl GetSeries {
    /// Rows as they lie. A token names the next chunk: pages have whole chunks.
    async fn rows(&self, cx: &Cx<'_, Self>, shelf: &Shelf, known: &Known) -> Result<Page<SeriesRow>> {
        let question = format!("rows {}|{}", self.run, self.name);
        let mut number: u32 = search::read_token(self.page_token.as_deref(), &question)?.unwrap_or(0);
        let mut items = Vec::new();
        while number <= known.chunk {
            match rows::chunk(cx, shelf, (&self.run, &self.name), number).await? {
                Some(rows) => items.extend(rows),
                None => return Ok(Page { items, next: None }),
            }
            number = number.saturating_add(1);
            if items.len() >= PAGE {
                break;
            }
        }
        let next = (number <= known.chunk).then(|| search::write_token(&number, &question));
        Ok(Page { items, next })
    }

    async fn points(&self, cx: &Cx<'_, Self>, shelf: &Shelf, run: &Run, is_whole: bool) -> Result<Page<SeriesRow>> {
        let question = format!("points {}|{}", self.run, self.name);
        let after: Option<Point> = search::read_token(self.page_token.as_deref(), &question)?;
        let (points, has_more) = history::points_after(cx, shelf, run, &self.name, after.as_ref(), PAGE).await?;
        let next = points.last().filter(|_| has_more).map(|last| search::write_token(last, &question));
        let items = points.iter().map(|point| self.row(point, is_whole)).collect();
        Ok(Page { items, next })
    }

    fn row(&self, point: &Point, is_whole: bool) -> SeriesRow {
        let value = match point.value {
            whole if is_whole && whole.fract() == 0.0 => format!("{whole:.0}").parse::<i64>().map_or_else(|_| whole.into(), Value::from),
            nan if nan.is_nan() => Value::from("NaN"),
            infinite if infinite.is_infinite() => Value::from(if infinite > 0.0 { "Infinity" } else { "-Infinity" }),
            plain => Value::from(plain),
        };
        SeriesRow {
            id: format!("{}-{}-{:x}", point.step, point.timestamp, point.value.to_bits()),
            at: point.timestamp,
            step: Some(point.step),
            data: BTreeMap::from([(self.name.clone(), value)]),
        }
    }
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
