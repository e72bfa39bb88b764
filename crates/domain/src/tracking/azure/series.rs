//! Metrics as Azure's clients log and read them: each has a kind (`azureml.v1.scalar`, `azureml.v1.table`, …) and columns.
//!
//! | what | where it lies | what MLflow sees |
//! | --- | --- | --- |
//! | numbers and lists of numbers | points of the run's metric | the same metric |
//! | texts, truth values, nulls, rows, tables | rows (`rows`) | nothing |
//! | images, confusion matrices, … | a row that names a file of the run | the file |
//!
//! A number that is logged without a step gets the next one, so that equal numbers of one moment stay apart and in order.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId};

use super::{
    kinds::{NewSeries, kinds, number, remember, take},
    rows::{self, SeriesRow},
};
use crate::{
    gate::{Changes, Cx, Op},
    resources::workspace_shelf,
    tracking::{
        Metric, Point,
        action::WRITE_RUNS,
        attempt::{Attempt, settle},
        metric, run,
    },
};

/// Most metrics of a request (Azure's limit), and most rows of all of them.
const MOST_OF_REQUEST: usize = 250;
const MOST_ROWS_OF_REQUEST: usize = 10_000;

/// A metric that was refused.
#[derive(Debug)]
pub struct Refused {
    /// Its place in the request.
    pub at: usize,
    /// Why.
    pub why: Error,
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
