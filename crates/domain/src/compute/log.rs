//! Logs of runs: append-only, in sealed chunks.
//!
//! A chunk's row is keyed by run, log and the offset of its first byte; the last chunk is written anew with more bytes until
//! it is full, so that a chatty program does not make a row a line.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use kernel::{Error, Kind, Result, RunId};
use serde::{Deserialize, Serialize};

use crate::{
    gate::{Admission, Changes, Record, Row, Shelf},
    tracking::ArtifactPath,
};

/// The program's own output; there from the start, as far as readers are concerned.
pub const PROGRAM_LOG: &str = "user_logs/std_log.txt";
/// Most bytes of a chunk.
const CHUNK: usize = 64 << 10;
/// Most bytes of one log: what agents keep of one, and their last words about it.
const LARGEST: u64 = (256 << 20) + (64 << 10);
/// Most bytes of all logs of a run but the program's output, which has [`LARGEST`] to itself: a program that fills its own
/// logs does not silence what it says and what its agent says of it.
const LARGEST_OTHERS: u64 = 256 << 20;
/// Most logs of a run.
const MOST_LOGS: u64 = 520;
/// Most bytes of one append.
const PIECE: usize = 1 << 20;
/// Most bytes of one answer.
const ANSWER: usize = 8 << 20;

/// Where a log ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LogHead {
    /// `user_logs/std_log.txt`, `logs/…`.
    pub(super) name: String,
    /// In bytes.
    pub(super) length: u64,
    /// Offset of the last chunk.
    last: u64,
}

impl Record for LogHead {
    const TABLE: &'static str = "run-log";
}

/// What a run's logs take together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct LogTotal {
    pub(super) logs: u64,
    /// Of all logs but the program's output, which is bounded by itself.
    #[serde(rename = "own_bytes")]
    pub(super) other_bytes: u64,
}

impl Record for LogTotal {
    const TABLE: &'static str = "run-log-total";
}

/// A piece of a log.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LogChunk {
    /// Base64.
    data: String,
}

impl Record for LogChunk {
    const TABLE: &'static str = "run-log-chunk";
}

impl LogChunk {
    fn of(bytes: &[u8]) -> Self {
        Self { data: STANDARD.encode(bytes) }
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        STANDARD.decode(&self.data).map_err(Error::internal)
    }
}

fn head_prefix(shelf: &Shelf, run: &RunId) -> Vec<u8> {
    shelf.name_id::<LogHead>(run.as_str())
}

fn head_id(shelf: &Shelf, run: &RunId, name: &str) -> Vec<u8> {
    let mut id = head_prefix(shelf, run);
    id.extend(shelf.name_id::<LogHead>(&format!("{run}|{name}")));
    id
}

fn chunk_prefix(shelf: &Shelf, run: &RunId, name: &str) -> Vec<u8> {
    shelf.name_id::<LogChunk>(&format!("{run}|{name}"))
}

fn chunk_id(shelf: &Shelf, run: &RunId, name: &str, offset: u64) -> Vec<u8> {
    let mut id = chunk_prefix(shelf, run, name);
    id.extend(offset.to_be_bytes());
    id
}

/// Refuses names that are not below `logs` or `user_logs`.
fn check_name(name: &str) -> Result<()> {
    ArtifactPath::parse(name)?;
    match name.split_once('/') {
        Some(("user_logs" | "logs", _)) => Ok(()),
        _ => Err(Error::invalid("name", "a log lies below `logs` or `user_logs`")),
    }
}

/// Adds bytes at an offset to `changes`; those the log has already are skipped. Gives back how many are new.
///
/// # Errors
/// `Conflict` when bytes before the offset are missing, `TooLarge` beyond the bounds.
pub(super) async fn append(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    run: &RunId,
    name: &str,
    offset: u64,
    bytes: &Bytes,
) -> Result<usize> {
    check_name(name)?;
    if bytes.len() > PIECE {
        return Err(Error::new(Kind::TooLarge, format!("at most {PIECE} bytes of a log can be sent at once")));
    }
    let mut head = match cx.get::<LogHead>(shelf, &head_id(shelf, run, name)).await? {
        Some(row) => row,
        None => Row::new(head_id(shelf, run, name), LogHead { name: name.to_owned(), length: 0, last: 0 }),
    };
    let length = head.value.length;
    let known = length.checked_sub(offset).ok_or_else(|| {
        Error::new(Kind::Conflict, format!("the log has {length} bytes; those from there to {offset} are missing"))
    })?;
    let fresh = usize::try_from(known).ok().and_then(|known| bytes.get(known..)).unwrap_or_default();
    if fresh.is_empty() {
        return Ok(0);
    }
    let grown = length.saturating_add(number(fresh.len()));
    if grown > LARGEST {
        return Err(Error::new(Kind::TooLarge, format!("a log has at most {LARGEST} bytes")));
    }
    let (is_new, is_other) = (head.version == 0, name != PROGRAM_LOG);
    if is_new || is_other {
        count(cx, shelf, changes, run, is_new, if is_other { number(fresh.len()) } else { 0 }).await?;
    }

    let mut chunk = cx.get::<LogChunk>(shelf, &chunk_id(shelf, run, name, head.value.last)).await?;
    let mut held = match &chunk {
        Some(row) => row.value.bytes()?,
        None => Vec::new(),
    };
    let mut rest = fresh;
    loop {
        if held.len() >= CHUNK {
            head.value.last = head.value.last.saturating_add(number(held.len()));
            held = Vec::new();
            chunk = None;
        }
        let (now, later) = rest.split_at_checked(CHUNK.saturating_sub(held.len())).unwrap_or((rest, &[]));
        held.extend_from_slice(now);
        rest = later;
        let mut row = match chunk.take() {
            Some(row) => row,
            None => Row::new(chunk_id(shelf, run, name, head.value.last), LogChunk::of(&[])),
        };
        row.value = LogChunk::of(&held);
        changes.put(shelf, &row)?;
        if rest.is_empty() {
            break;
        }
    }
    head.value.length = grown;
    changes.put(shelf, &head)?;
    Ok(fresh.len())
}

async fn count(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    run: &RunId,
    is_new: bool,
    other_bytes: u64,
) -> Result<()> {
    let id = shelf.name_id::<LogTotal>(run.as_str());
    let mut total = match cx.get::<LogTotal>(shelf, &id).await? {
        Some(row) => row,
        None => Row::new(id, LogTotal::default()),
    };
    total.value.logs = total.value.logs.saturating_add(u64::from(is_new));
    total.value.other_bytes = total.value.other_bytes.saturating_add(other_bytes);
    if total.value.logs > MOST_LOGS || total.value.other_bytes > LARGEST_OTHERS {
        let why = format!("a run has at most {MOST_LOGS} logs, and {LARGEST_OTHERS} bytes of all but `{PROGRAM_LOG}`");
        return Err(Error::new(Kind::TooLarge, why));
    }
    changes.put(shelf, &total)?;
    Ok(())
}

/// The logs of a run, by name.
pub(super) async fn list(cx: &Admission<'_>, shelf: &Shelf, run: &RunId) -> Result<Vec<LogHead>> {
    let rows = cx.all::<LogHead>(shelf, &head_prefix(shelf, run)).await?;
    let mut heads: Vec<LogHead> = rows.into_iter().map(|row| row.value).collect();
    heads.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(heads)
}

/// Where a log ends; none when there is none yet.
pub(super) async fn head(cx: &Admission<'_>, shelf: &Shelf, run: &RunId, name: &str) -> Result<Option<LogHead>> {
    Ok(cx.get::<LogHead>(shelf, &head_id(shelf, run, name)).await?.map(|row| row.value))
}

/// Reads from an offset, at most [`ANSWER`] bytes.
pub(super) async fn read(cx: &Admission<'_>, shelf: &Shelf, run: &RunId, name: &str, offset: u64) -> Result<Bytes> {
    let prefix = chunk_prefix(shelf, run, name);
    let chunk = number(CHUNK);
    // Every chunk but the last is full, so each begins at a multiple.
    let first = offset.checked_div(chunk).unwrap_or(0).saturating_mul(chunk);
    let mut after = prefix.clone();
    after.extend(first.saturating_sub(1).to_be_bytes());
    let after = (first > 0).then_some(after);
    let most = ANSWER.checked_div(CHUNK).unwrap_or(1).saturating_add(1);
    let rows = cx.page::<LogChunk>(shelf, &prefix, after.as_deref(), most).await?;
    let mut out = Vec::new();
    for row in rows {
        out.extend(row.value.bytes()?);
    }
    let skip = usize::try_from(offset.saturating_sub(first)).unwrap_or(usize::MAX).min(out.len());
    let mut out = Bytes::from(out).split_off(skip);
    out.truncate(ANSWER);
    Ok(out)
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_its_place() {
        for good in ["user_logs/std_log.txt", "logs/a/b.txt"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "std_log.txt", "logs", "logs/", "outputs/x", "logs/../x", "/logs/x", "logs/%2e%2e/x"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
