//! Metrics: sealed chunks of points per run and metric, and one row per run with the latest value of each.

use std::collections::{BTreeMap, HashSet};

use kernel::{Error, Kind, Result, RunId};
use serde::{Deserialize, Serialize};

use super::{
    Run,
    history::Series,
    point::{self, Point},
    run, text,
};
use crate::gate::{Admission, Changes, Record, Row, Shelf};

/// Points of one chunk: about 4 KiB of steady ones.
pub(super) const CHUNK: usize = 384;
/// How many chunks back a point that is not the latest is compared for being there already, where the points of a metric do not lie
/// by time: some 24 000 points.
const LOOK_BACK: u32 = 64;
/// Most metrics of one run.
const MOST_METRICS: usize = 10_000;

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
    /// Number of the chunk that takes the next point: the last one.
    pub(super) chunk: u32,
    /// Whether the points lie as histories are read, by time, step and value; not known of what older releases wrote.
    #[serde(default)]
    pub(super) is_in_order: bool,
}

/// Points of one metric.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Chunk {
    pub(super) points: String,
}

impl Record for Chunk {
    const TABLE: &'static str = "metric-chunk";
}

/// What the ids of a metric's chunks begin with.
pub(super) fn prefix(shelf: &Shelf, run: &RunId, key: &str) -> Vec<u8> {
    let mut id = shelf.name_id::<Chunk>(&format!("run|{run}"));
    id.extend(shelf.name_id::<Chunk>(&format!("metric|{key}")));
    id
}

pub(super) fn chunk_id(prefix: &[u8], number: u32) -> Vec<u8> {
    let mut id = prefix.to_vec();
    id.extend_from_slice(&number.to_be_bytes());
    id
}

/// Reads the latest values of a run.
pub(super) async fn heads(cx: &Admission<'_>, shelf: &Shelf, run: &Run) -> Result<Row<Heads>> {
    let id = run::row_id(shelf, &run.experiment, run.id.as_str());
    Ok(cx.get::<Heads>(shelf, &id).await?.unwrap_or_else(|| Row::new(id, Heads::default())))
}

/// Adds points to a run's metrics. Points that are there already change nothing, so a repeated request is harmless.
pub(super) async fn append(
    cx: &Admission<'_>,
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
async fn append_one(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    prefix: &[u8],
    known: Option<Head>,
    mut points: Vec<Point>,
) -> Result<Option<Head>> {
    let mut seen: HashSet<(i64, i64, u64)> = HashSet::new();
    if let Some(head) = known {
        // A point beyond the latest cannot be there yet; only for others the past is read.
        let within: Vec<Point> = points.iter().copied().filter(|point| point.by_step(&head.latest).is_le()).collect();
        let series = Series { shelf, prefix: prefix.to_vec(), head };
        if head.is_in_order {
            seen = series.holding(cx, within).await?;
        } else if !within.is_empty() {
            let first = head.chunk.saturating_sub(LOOK_BACK);
            let mut look = |point: Point| {
                seen.insert(point.identity());
            };
            series.each_from(cx, first, &mut look).await?;
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
    let mut is_in_order = known.is_none_or(|head| head.is_in_order);
    let mut last = held.last().copied();
    for point in points {
        is_in_order &= last.is_none_or(|last| last.by_time(&point).is_le());
        last = Some(point);
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
    Ok(Some(Head { latest, chunk: number, is_in_order }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_older_releases_open() {
        let old = r#"{"metrics":{"m":{"latest":[7,8,0],"chunk":3}}}"#;
        let heads: Heads = serde_json::from_str(old).unwrap();
        assert_eq!((heads.metrics["m"].chunk, heads.metrics["m"].is_in_order), (3, false));
    }
}
