//! Looking at the files of a code version for secrets and personal data before it is made (requirement X-23).
//!
//! A content is looked at once in its workspace; what was found is kept beside it, with lines and never with what stands there.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use kernel::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{SnapshotFile, file};
use crate::{
    gate::{Admission, Changes, Range, Record, Row, Shelf},
    secrets::{ContentScan, Hit, LARGEST, RULES, scan},
};

/// Bytes that are looked at for one code version; contents that were looked at before do not count.
const MOST_BYTES: u64 = 64 << 20;
/// Contents that are looked at at once, whoever asks: each keeps a core busy.
static PLACES: Semaphore = Semaphore::const_new(2);
/// Findings that are kept of a code version.
const MOST: usize = 50;
/// Findings that a refusal and a record tell one by one.
const MOST_TOLD: usize = 10;

/// What was found in one content.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Look {
    /// The number of the rules it was looked at by.
    rules: u32,
    hits: Vec<Hit>,
}

impl Record for Look {
    const TABLE: &'static str = "snapshot-look";
}

/// A line of a file that looks as if it held something that should not be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// The line, counted from one.
    pub line: u32,
    /// What it looks like, in people's words.
    pub what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "`{}`, line {}, looks as if it held {}", self.path, self.line, self.what)
    }
}

/// What was found in a code version.
#[derive(Clone, Debug, Default)]
pub(super) struct Looked {
    /// At most 50, in the order of the files.
    pub(super) findings: Vec<Finding>,
    /// Files that were not looked at, or not to their end: there was too much.
    pub(super) unseen: u64,
}

/// Looks at files as their workspace wants it. What was not looked at before is put into `changes`, to be kept.
///
/// # Errors
/// `Invalid`, naming file and line, where the workspace refuses what was found.
pub(super) async fn look(
    cx: &Admission<'_>,
    shelf: &Shelf,
    mode: ContentScan,
    files: &[SnapshotFile],
    changes: &mut Changes,
) -> Result<Looked> {
    let mut looked = Looked::default();
    if mode == ContentScan::Off {
        return Ok(looked);
    }
    let mut seen: BTreeMap<&str, Vec<Hit>> = BTreeMap::new();
    let mut left = MOST_BYTES;
    for file in files.iter().filter(|file| file.length > 0) {
        let is_whole = file.length <= LARGEST;
        let hits = match seen.get(file.sha256.as_str()) {
            Some(hits) => hits,
            None => {
                let found = one(cx, shelf, file, &mut left, changes).await?;
                if found.is_none() || !is_whole {
                    looked.unseen = looked.unseen.saturating_add(1);
                }
                seen.entry(file.sha256.as_str()).or_insert(found.unwrap_or_default())
            }
        };
        let room = MOST.saturating_sub(looked.findings.len());
        let found = hits.iter().take(room);
        let found = found.map(|hit| Finding { path: file.path.clone(), line: hit.line, what: hit.what.clone() });
        looked.findings.extend(found);
    }
    let Some(first) = looked.findings.first() else { return Ok(looked) };
    cx.note("findings", told(&looked.findings));
    if mode == ContentScan::Refuse {
        let more = match looked.findings.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more places)"),
        };
        let why = format!(
            "{first}{more}, and this workspace refuses that: take it out, or leave the file out with `.amlignore`; a secret belongs \
             into the workspace's key vault"
        );
        return Err(Error::invalid("properties.files", why));
    }
    Ok(looked)
}

/// What is found in one content; none when there is no more room to look.
async fn one(
    cx: &Admission<'_>,
    shelf: &Shelf,
    wanted: &SnapshotFile,
    left: &mut u64,
    changes: &mut Changes,
) -> Result<Option<Vec<Hit>>> {
    let id = shelf.name_id::<Look>(&wanted.sha256);
    let known = cx.get::<Look>(shelf, &id).await?;
    if let Some(row) = known.as_ref().filter(|row| row.value.rules == RULES) {
        return Ok(Some(row.value.hits.clone()));
    }
    let length = wanted.length.min(LARGEST);
    let Some(rest) = left.checked_sub(length) else { return Ok(None) };
    *left = rest;
    let missing = || Error::new(Kind::Internal, "a content of the snapshot is gone");
    let stored = file::find(cx, shelf, &wanted.sha256).await?.ok_or_else(missing)?;
    // First, so that nothing is held in memory while it waits.
    let place = PLACES
        .acquire()
        .await
        .map_err(|fault| Error::new(Kind::Unavailable, "no files are looked at any more; try again").because(fault))?;
    let mut pieces = cx.open_blob(shelf, &stored.pack, Range { from: stored.offset, length }).await?;
    let mut content = Vec::new();
    while let Some(piece) = pieces.try_next().await? {
        content.extend_from_slice(&piece);
    }
    let stopped = |fault| Error::new(Kind::Internal, "a file could not be looked at").because(fault);
    // The place goes along: whoever hangs up does not make room while its content is still looked at.
    let scanned = spawn_blocking(move || {
        let hits = scan(&content);
        drop(place);
        hits
    });
    let hits = scanned.await.map_err(stopped)?;
    let mut row = known.unwrap_or_else(|| Row::new(id, Look { rules: RULES, hits: Vec::new() }));
    row.value = Look { rules: RULES, hits: hits.clone() };
    changes.put(shelf, &row)?;
    Ok(Some(hits))
}

/// For the record: places and shapes.
fn told(findings: &[Finding]) -> String {
    let mut told: Vec<String> = findings.iter().take(MOST_TOLD).map(Finding::to_string).collect();
    if findings.len() > MOST_TOLD {
        told.push(format!("{} more", findings.len().saturating_sub(MOST_TOLD)));
    }
    told.join("; ")
}
