//! Rows of a metric that is no plain number: sealed chunks of rows per run and metric, in the order in which they came.

use std::collections::BTreeMap;

use kernel::{Result, RunId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::gate::{Admission, Changes, Record, Row, Shelf};

/// Most rows of a chunk.
const ROWS: usize = 256;
/// A chunk of so many bytes, about, is full.
const BYTES: usize = 64 << 10;

/// A row as it was logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesRow {
    /// What the client calls it.
    pub id: String,
    /// When it was logged, as the client says: milliseconds since the epoch.
    pub at: i64,
    /// Its step, where one was given.
    pub step: Option<i64>,
    /// Its cells by column: texts, numbers, truth values and nulls.
    pub data: BTreeMap<String, Value>,
}

impl SeriesRow {
    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let cell = |(name, value): (&String, &Value)| match value {
            Value::String(text) => name.len().saturating_add(text.len()).saturating_add(8),
            _ => name.len().saturating_add(32),
        };
        self.data.iter().map(cell).fold(self.id.len().saturating_add(48), usize::saturating_add)
    }
}

/// Rows of one metric of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Chunk {
    rows: Vec<SeriesRow>,
}

impl Record for Chunk {
    const TABLE: &'static str = "run-metric-rows";
}

impl Chunk {
    fn is_full(&self) -> bool {
        self.rows.len() >= ROWS || self.rows.iter().map(SeriesRow::size).fold(0, usize::saturating_add) >= BYTES
    }
}

fn prefix(shelf: &Shelf, run: &RunId, metric: &str) -> Vec<u8> {
    let mut id = shelf.name_id::<Chunk>(&format!("run|{run}"));
    id.extend(shelf.name_id::<Chunk>(&format!("metric|{metric}")));
    id
}

fn chunk_id(prefix: &[u8], number: u32) -> Vec<u8> {
    let mut id = prefix.to_vec();
    id.extend_from_slice(&number.to_be_bytes());
    id
}

/// Adds rows after those up to chunk number `last`; says which is the last one now.
pub(super) async fn append(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    (run, metric): (&RunId, &str),
    last: u32,
    rows: Vec<SeriesRow>,
) -> Result<u32> {
    let prefix = prefix(shelf, run, metric);
    let mut number = last;
    let id = chunk_id(&prefix, number);
    let mut row = cx.get::<Chunk>(shelf, &id).await?.unwrap_or_else(|| Row::new(id, Chunk::default()));
    let mut has_changed = false;
    for one in rows {
        if row.value.is_full() {
            if has_changed {
                changes.put(shelf, &row)?;
            }
            number = number.saturating_add(1);
            row = Row::new(chunk_id(&prefix, number), Chunk::default());
        }
        row.value.rows.push(one);
        has_changed = true;
    }
    if has_changed {
        changes.put(shelf, &row)?;
    }
    Ok(number)
}

/// The rows of one chunk; none beyond the last.
pub(super) async fn chunk(
    cx: &Admission<'_>,
    shelf: &Shelf,
    (run, metric): (&RunId, &str),
    number: u32,
) -> Result<Option<Vec<SeriesRow>>> {
    let id = chunk_id(&prefix(shelf, run, metric), number);
    Ok(cx.get::<Chunk>(shelf, &id).await?.map(|row| row.value.rows))
}
