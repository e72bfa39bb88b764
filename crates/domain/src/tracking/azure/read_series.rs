//! Reading metrics as Azure's clients do, whoever logged them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId};
use serde_json::Value;

use super::{
    kinds::{Known, SCALAR, SeriesKind, kinds},
    rows::{self, SeriesRow},
};
use crate::{
    gate::{Cx, Op, Shelf},
    resources::workspace_shelf,
    tracking::{Page, Point, Run, action::READ_RUNS, history, metric, run, search, text},
};

/// Most rows of a page.
const PAGE: usize = 1000;
/// A page of so many bytes, about, has no more.
const PAGE_BYTES: usize = 8 << 20;

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
        let (mut items, mut bytes) = (Vec::new(), 0_usize);
        while number <= known.chunk {
            match rows::chunk(cx, shelf, (&self.run, &self.name), number).await? {
                Some(rows) => {
                    bytes = rows.iter().map(SeriesRow::size).fold(bytes, usize::saturating_add);
                    items.extend(rows);
                }
                None => return Ok(Page { items, next: None }),
            }
            number = number.saturating_add(1);
            if items.len() >= PAGE || bytes >= PAGE_BYTES {
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
            whole if is_whole && whole.fract() == 0.0 => {
                format!("{whole:.0}").parse::<i64>().map_or_else(|_| whole.into(), Value::from)
            }
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
