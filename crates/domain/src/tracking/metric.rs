//! Metrics: sealed chunks of points per run and metric, and one row per run with the latest value of each.

use std::collections::{BTreeMap, HashSet};

use kernel::{Action, Error, Kind, ResourceId, Result, RunId};
use serde::{Deserialize, Serialize};

use super::{
    Run,
    action::READ_RUNS,
    point::{self, Point},
    run,
    search::{self, Page},
    text,
};
use crate::{
    gate::{Changes, Cx, Op, Record, Row, Shelf},
    resources::workspace_shelf,
};

/// Points of one chunk: about 4 KiB of steady ones.
const CHUNK: usize = 384;
/// How many chunks back a point that is not the latest is compared for being there already: some 24 000 points.
const LOOK_BACK: u32 = 64;
/// Most metrics of one run.
const MOST_METRICS: usize = 10_000;
/// Most points in one answer.
const MOST_POINTS: usize = 1_000_000;

/// A value to be logged.
#[derive(Clone, Debug)]
pub struct Metric {
    /// The metric's name.
    pub key: String,
    /// The value.
    pub point: Point,
    /// The logged model it describes too.
    pub model: Option<String>,
    /// The data set it was measured on.
    pub dataset_name: String,
    /// That data set's digest.
    pub dataset_digest: String,
}

/// The latest value of each of a run's metrics. Its row id is the run's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Heads {
    pub(super) metrics: BTreeMap<String, Head>,
}

impl Record for Heads {
    const TABLE: &'static str = "metric-heads";
}

/// One metric of a run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Head {
    /// The greatest by step, time and value.
    pub(super) latest: Point,
    /// Number of the chunk that takes the next point.
    chunk: u32,
}

/// Points of one metric.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Chunk {
    points: String,
}

impl Record for Chunk {
    const TABLE: &'static str = "metric-chunk";
}

fn prefix(shelf: &Shelf, run: &RunId, key: &str) -> Vec<u8> {
    let mut id = shelf.name_id::<Chunk>(&format!("run|{run}"));
    id.extend(shelf.name_id::<Chunk>(&format!("metric|{key}")));
    id
}

fn chunk_id(prefix: &[u8], number: u32) -> Vec<u8> {
    let mut id = prefix.to_vec();
    id.extend_from_slice(&number.to_be_bytes());
    id
}

/// Reads the latest values of a run.
pub(super) async fn heads<O: Op>(cx: &Cx<'_, O>, shelf: &Shelf, run: &Run) -> Result<Row<Heads>> {
    let id = run::row_id(shelf, &run.experiment, run.id.as_str());
    Ok(cx.get::<Heads>(shelf, &id).await?.unwrap_or_else(|| Row::new(id, Heads::default())))
}

/// Adds points to a run's metrics. Points that are there already change nothing, so a repeated request is harmless.
pub(super) async fn append<O: Op>(
    cx: &Cx<'_, O>,
    shelf: &Shelf,
    changes: &mut Changes,
    run: &Run,
    metrics: &[Metric],
) -> Result<()> {
    let mut by_key: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
    for metric in metrics {
        by_key.entry(&metric.key).or_default().push(metric.point);
    }
    let mut heads = heads(cx, shelf, run).await?;
    let mut has_changed = false;
    for (key, points) in by_key {
        let known = heads.value.metrics.get(key).copied();
        if known.is_none() && heads.value.metrics.len() >= MOST_METRICS {
            return Err(text::bad("key", key, &format!("a run holds at most {MOST_METRICS} metrics")));
        }
        if let Some(head) = append_one(cx, shelf, changes, &prefix(shelf, &run.id, key), known, points).await? {
            heads.value.metrics.insert(key.to_owned(), head);
            has_changed = true;
        }
    }
    if has_changed {
        changes.put(shelf, &heads)?;
    }
    Ok(())
}

/// Adds points to one metric; none when all were there already.
async fn append_one<O: Op>(
    cx: &Cx<'_, O>,
    shelf: &Shelf,
    changes: &mut Changes,
    prefix: &[u8],
    known: Option<Head>,
    mut points: Vec<Point>,
) -> Result<Option<Head>> {
    let mut seen: HashSet<(i64, i64, u64)> = HashSet::new();
    if let Some(head) = known {
        // A point beyond the latest cannot be there yet; only for others the past is read.
        if points.iter().any(|point| point.by_step(&head.latest).is_le()) {
            let first = head.chunk.saturating_sub(LOOK_BACK);
            let after = first.checked_sub(1).map(|number| chunk_id(prefix, number));
            let limit = usize::try_from(LOOK_BACK).unwrap_or(64).saturating_add(1);
            for row in cx.page::<Chunk>(shelf, prefix, after.as_deref(), limit).await? {
                seen.extend(point::unpack(&row.value.points)?.iter().map(Point::identity));
            }
        }
    }
    points.retain(|point| seen.insert(point.identity()));
    let Some(latest) = points.iter().copied().chain(known.map(|head| head.latest)).max_by(Point::by_step) else {
        return Ok(None);
    };
    if points.is_empty() {
        return Ok(None);
    }
    let mut number = known.map_or(0, |head| head.chunk);
    let id = chunk_id(prefix, number);
    let stored = if known.is_some() { cx.get::<Chunk>(shelf, &id).await? } else { None };
    let mut row = stored.unwrap_or_else(|| Row::new(id, Chunk { points: String::new() }));
    let mut held = point::unpack(&row.value.points)?;
    for point in points {
        if held.len() >= CHUNK {
            row.value.points = point::pack(&held);
            changes.put(shelf, &row)?;
            number = number.checked_add(1).ok_or_else(|| Error::new(Kind::TooLarge, "the metric is full"))?;
            row = Row::new(chunk_id(prefix, number), Chunk { points: String::new() });
            held.clear();
        }
        held.push(point);
    }
    row.value.points = point::pack(&held);
    changes.put(shelf, &row)?;
    Ok(Some(Head { latest, chunk: number }))
}

/// All points of one metric, by time.
async fn history<O: Op>(cx: &Cx<'_, O>, shelf: &Shelf, run: &RunId, key: &str) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for row in cx.all::<Chunk>(shelf, &prefix(shelf, run, key)).await? {
        points.extend(point::unpack(&row.value.points)?);
    }
    points.sort_by(Point::by_time);
    Ok(points)
}

/// Reads the points of one metric of a run, by time, step and value. An unknown metric has none.
#[derive(Debug)]
pub struct GetMetricHistory {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
    /// The metric.
    pub key: String,
    /// At most so many; all when absent.
    pub most: Option<usize>,
    /// Where the last page ended.
    pub page_token: Option<String>,
}

impl Op for GetMetricHistory {
    const ACTION: Action = READ_RUNS;
    type Output = Page<Point>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let run = run::find(cx, &shelf, &self.run).await?.value;
        let points = history(cx, &shelf, &run.id, &self.key).await?;
        let most = self.most.unwrap_or(MOST_POINTS).min(MOST_POINTS);
        let query = format!("{}|{}", self.run, self.key);
        let name = |point: &Point| format!("{:?}", point.identity());
        search::page_of(points, most, self.page_token.as_deref(), &query, name)
    }
}

/// Reads one metric of several runs, evenly sampled; for drawing.
#[derive(Debug)]
pub struct SampleMetricHistory {
    /// The workspace.
    pub workspace: ResourceId,
    /// The runs, at most 100.
    pub runs: Vec<RunId>,
    /// The metric.
    pub key: String,
    /// Only steps in this range, both ends included.
    pub steps: Option<(i64, i64)>,
    /// At most so many points a run.
    pub most: usize,
}

impl Op for SampleMetricHistory {
    const ACTION: Action = READ_RUNS;
    type Output = Vec<(RunId, Vec<Point>)>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if self.runs.is_empty() || self.runs.len() > 100 {
            return Err(text::bad("run_ids", &self.runs.len().to_string(), "1 to 100 runs can be asked for at once"));
        }
        if !(1..=2500).contains(&self.most) {
            return Err(text::bad("max_results", &self.most.to_string(), "must be 1 to 2500"));
        }
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let mut out = Vec::new();
        for id in self.runs {
            run::find(cx, &shelf, &id).await?;
            let mut points = history(cx, &shelf, &id, &self.key).await?;
            if let Some((from, to)) = self.steps {
                points.retain(|point| (from..=to).contains(&point.step));
            }
            points.sort_by(Point::by_step);
            out.push((id, sample(&points, self.most)));
        }
        Ok(out)
    }
}

/// At most `most` of the points, evenly spread; the first and the last are always among them.
fn sample(points: &[Point], most: usize) -> Vec<Point> {
    if points.len() <= most {
        return points.to_vec();
    }
    let last = points.len().saturating_sub(1);
    let gaps = most.saturating_sub(1).max(1);
    let at = |number: usize| number.saturating_mul(last).checked_div(gaps).unwrap_or(0);
    (0..most).filter_map(|number| points.get(at(number)).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_keeps_both_ends() {
        let points: Vec<Point> = (0..1000).map(|at| Point::new(at, at, 0.0)).collect();
        let few = sample(&points, 10);
        assert_eq!(few.len(), 10);
        assert_eq!((few[0].step, few[9].step), (0, 999));
        assert_eq!(sample(&points[..5], 10).len(), 5);
        assert_eq!(sample(&points, 1).len(), 1);
    }
}
