//! Looking at the files of a model version before it is registered: for what runs code when somebody loads it, and for secrets and
//! personal data (requirement X-23). Nothing is loaded here, and no model is parsed: opcodes of pickles are read for the names in them.
//!
//! A content is looked at once in its workspace; what was found is kept beside it.

mod feed;
mod file;
mod names;
mod opcodes;
mod pickle;

use std::{collections::BTreeMap, io};

use futures::TryStreamExt;
use kernel::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Semaphore, mpsc},
    task::spawn_blocking,
};

use self::{
    feed::{Ask, Window},
    names::Danger,
};
use crate::{
    gate::{Admission, BlobRef, Changes, Range, Record, Row, Shelf},
    resources::Workspace,
    secrets::{ContentScan, Hit, LARGEST, ModelScan, RULES as TEXT_RULES, scan},
};

/// The number of the rules about names: what was looked at by others is looked at again.
const RULES: u32 = 1;
/// Files of one version that are looked at; contents that were looked at before do not count.
const MOST_FILES: usize = 2000;
/// Bytes that are read for one version.
const MOST_BYTES: u64 = 512 << 20;
/// Bytes of a table that are looked at: the first ones.
const TABLE_HEAD: u64 = 256 << 10;
/// Contents that are looked at at once, whoever asks: each keeps a core busy.
static PLACES: Semaphore = Semaphore::const_new(2);
/// Findings of a version that are kept.
const MOST: usize = 50;
/// Findings that a record tells one by one.
const MOST_TOLD: usize = 10;
/// Bytes of a tag's value.
const LONGEST_TAG: usize = 4000;

/// What begins like this is said by the server alone.
pub(super) const TAG: &str = "bartizan.scan";
const TAG_FINDINGS: &str = "bartizan.scan.findings";
const TAG_CONTENT: &str = "bartizan.scan.content";

/// What was found in one content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Look {
    /// The numbers of the rules it was looked at by: those about names, and those about texts; 0 when it was not.
    rules: (u32, u32),
    names: Vec<(Danger, String)>,
    hits: Vec<Hit>,
}

impl Record for Look {
    const TABLE: &'static str = "model-look";
}

/// Something in a file of a model.
#[derive(Clone, Debug)]
struct Finding {
    path: String,
    danger: Danger,
    what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "`{}` holds {}", self.path, self.what)
    }
}

/// What was found in a version.
#[derive(Default)]
struct Looked {
    names: Vec<Finding>,
    hits: Vec<String>,
    unseen: usize,
}

/// Looks at files as their workspace wants it; the tags that the version gets. What was not looked at before is put into `changes`, to be
/// kept.
///
/// # Errors
/// `Invalid`, naming file and what is in it, where the workspace refuses that.
pub(super) async fn look(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &Workspace,
    files: &[(String, BlobRef)],
    changes: &mut Changes,
) -> Result<BTreeMap<String, String>> {
    let (models, content) = (workspace.model_scan, workspace.content_scan);
    let (wants_names, wants_text) = (models != ModelScan::Allow, content != ContentScan::Off);
    let mut tags = BTreeMap::new();
    if files.is_empty() || !(wants_names || wants_text) {
        return Ok(tags);
    }
    let mut looked = Looked::default();
    let mut known: BTreeMap<&str, Look> = BTreeMap::new();
    let (mut left, mut room) = (MOST_BYTES, MOST_FILES);
    for (path, blob) in files.iter().filter(|(_, blob)| blob.length > 0) {
        let wanted = (if wants_names { RULES } else { 0 }, if wants_text && is_text(path) { TEXT_RULES } else { 0 });
        let seen = known.get(blob.sha256.as_str()).filter(|look| covers(look.rules, wanted));
        let found = match seen {
            Some(look) => look.clone(),
            None => {
                let look = one(cx, shelf, (path, blob), wanted, (&mut left, &mut room), changes).await?;
                let Some(look) = look else {
                    looked.unseen = looked.unseen.saturating_add(1);
                    continue;
                };
                known.insert(&blob.sha256, look.clone());
                look
            }
        };
        if wants_names {
            let of = |(danger, what)| Finding { path: path.clone(), danger, what };
            looked.names.extend(found.names.into_iter().map(of));
        }
        if wanted.1 != 0 {
            let tell = |hit: Hit| format!("`{path}`, line {}, looks as if it held {}", hit.line, hit.what);
            looked.hits.extend(found.hits.into_iter().map(tell));
        }
    }
    // The worst first: what is cut off is what matters less.
    looked.names.sort_by(|a, b| b.danger.cmp(&a.danger).then_with(|| a.path.cmp(&b.path)));
    looked.names.truncate(MOST);
    looked.hits.truncate(MOST);
    if wants_names {
        about_names(cx, models, &looked, &mut tags)?;
    }
    about_texts(cx, content, &looked.hits, &mut tags)?;
    Ok(tags)
}

fn covers(rules: (u32, u32), wanted: (u32, u32)) -> bool {
    (wanted.0 == 0 || rules.0 == wanted.0) && (wanted.1 == 0 || rules.1 == wanted.1)
}

fn about_names(
    cx: &Admission<'_>,
    mode: ModelScan,
    looked: &Looked,
    tags: &mut BTreeMap<String, String>,
) -> Result<()> {
    let worst = looked.names.first();
    let word = match worst.map(|finding| finding.danger) {
        Some(Danger::Dangerous) => "dangerous",
        Some(Danger::Unread) => "unread",
        Some(Danger::Suspicious) => "suspicious",
        None if looked.unseen > 0 => "unread",
        None => "clean",
    };
    tags.insert(TAG.to_owned(), word.to_owned());
    let mut all: Vec<String> = looked.names.iter().map(Finding::to_string).collect();
    if looked.unseen > 0 {
        all.push(format!("{} files were not looked at: there was too much", looked.unseen));
    }
    if all.is_empty() {
        return Ok(());
    }
    tags.insert(TAG_FINDINGS.to_owned(), cut(all.join("; ")));
    cx.note("modelScan", word);
    cx.note("modelFindings", told(&all));
    match worst {
        Some(worst) if mode == ModelScan::Refuse && worst.danger > Danger::Suspicious => {
            let why = format!(
                "{worst}, which may run code when the file is loaded, and this workspace refuses such models: save it in a form \
                 without code (ONNX, safetensors, the library's own), or ask an owner to change `modelScan`"
            );
            Err(Error::new(Kind::Invalid, why))
        }
        _ => Ok(()),
    }
}

fn about_texts(
    cx: &Admission<'_>,
    mode: ContentScan,
    hits: &[String],
    tags: &mut BTreeMap<String, String>,
) -> Result<()> {
    let Some(first) = hits.first() else { return Ok(()) };
    cx.note("findings", told(hits));
    if mode == ContentScan::Refuse {
        let more = match hits.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more places)"),
        };
        let why = format!(
            "{first}{more}, and this workspace refuses that: take it out and log the model again; a secret belongs into the \
             workspace's key vault"
        );
        return Err(Error::new(Kind::Invalid, why));
    }
    tags.insert(TAG_CONTENT.to_owned(), cut(hits.join("; ")));
    Ok(())
}

/// For the record: places and names, never what stands there.
fn told(findings: &[String]) -> String {
    let mut told: Vec<String> = findings.iter().take(MOST_TOLD).cloned().collect();
    if findings.len() > MOST_TOLD {
        told.push(format!("{} more", findings.len().saturating_sub(MOST_TOLD)));
    }
    cut(told.join("; "))
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST_TAG {
        let mut at = LONGEST_TAG;
        while !text.is_char_boundary(at) {
            at = at.saturating_sub(1);
        }
        text.truncate(at);
        text.push('…');
    }
    text
}

/// Whether a file of a model is text that people write.
fn is_text(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let known = [
        "json", "py", "yaml", "yml", "txt", "md", "csv", "tsv", "ipynb", "toml", "ini", "cfg", "env", "sh", "sql", "r",
    ];
    known.contains(&ending.as_str())
        || matches!(name, "MLmodel" | "MLproject" | "Dockerfile" | ".env" | ".netrc" | ".pypirc")
}

/// What is found in one content; none when there is no more room to look.
async fn one(
    cx: &Admission<'_>,
    shelf: &Shelf,
    (path, blob): (&str, &BlobRef),
    wanted: (u32, u32),
    (left, room): (&mut u64, &mut usize),
    changes: &mut Changes,
) -> Result<Option<Look>> {
    // A file's name says what its bytes may be taken for, and so belongs to what was looked at.
    let ending = path.rsplit('/').next().unwrap_or_default().rsplit_once('.').map_or("", |(_, ending)| ending);
    let id = shelf.name_id::<Look>(&format!("{}|{ending}", blob.sha256));
    let known = cx.get::<Look>(shelf, &id).await?;
    if let Some(row) = known.as_ref().filter(|row| covers(row.value.rules, wanted)) {
        return Ok(Some(row.value.clone()));
    }
    let Some(rest) = room.checked_sub(1).filter(|_| *left > 0) else { return Ok(None) };
    *room = rest;
    let mut look = Look { rules: wanted, ..Look::default() };
    if wanted.0 != 0 {
        let Some(names) = names_in(cx, shelf, (path, blob), left).await? else { return Ok(None) };
        look.names = names;
    }
    if wanted.1 != 0 {
        look.hits = hits_in(cx, shelf, (path, blob), left).await?;
    }
    // What is nothing to speak of is found out again as fast as it is read; a row for each of a thousand files is not.
    if look.names.is_empty() && look.hits.is_empty() && blob.length < TABLE_HEAD {
        return Ok(Some(look));
    }
    let mut row = known.unwrap_or_else(|| Row::new(id, Look::default()));
    if row.value != look {
        row.value = look.clone();
        changes.put(shelf, &row)?;
    }
    Ok(Some(look))
}

async fn place() -> Result<tokio::sync::SemaphorePermit<'static>> {
    let place = PLACES.acquire().await;
    place.map_err(|fault| Error::new(Kind::Unavailable, "no files are looked at any more; try again").because(fault))
}

fn stopped(fault: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Kind::Internal, "a file could not be looked at").because(fault)
}

/// Names in what of a file would be unpickled; none when more than what is left would have to be read.
async fn names_in(
    cx: &Admission<'_>,
    shelf: &Shelf,
    (path, blob): (&str, &BlobRef),
    left: &mut u64,
) -> Result<Option<Vec<(Danger, String)>>> {
    let place = place().await?;
    let (asks, mut asked) = mpsc::channel::<Ask>(1);
    let mut window = Window::new(asks, blob.length);
    let name = path.to_owned();
    // The place goes along: whoever hangs up does not make room while something is still looked at.
    let looking = spawn_blocking(move || {
        let found = file::look(&name, &mut window);
        drop((window, place));
        found
    });
    while let Some(ask) = asked.recv().await {
        let part = match left.checked_sub(ask.length) {
            None => Err(io::ErrorKind::QuotaExceeded.into()),
            Some(rest) => {
                *left = rest;
                let part = read(cx, shelf, blob, Range { from: ask.from, length: ask.length }).await;
                match part {
                    Ok(part) => Ok(part),
                    Err(fault) => {
                        drop(ask.answer.send(Err(io::ErrorKind::BrokenPipe.into())));
                        return Err(fault);
                    }
                }
            }
        };
        // Nobody waits for it any more when looking ended.
        drop(ask.answer.send(part));
    }
    match looking.await.map_err(stopped)? {
        Ok(found) => Ok(Some(found.into_iter().map(|(what, danger)| (danger, what)).collect())),
        Err(fault) if fault.kind() == io::ErrorKind::QuotaExceeded => {
            *left = 0;
            Ok(None)
        }
        Err(fault) => Err(stopped(fault)),
    }
}

async fn read(cx: &Admission<'_>, shelf: &Shelf, blob: &BlobRef, range: Range) -> Result<Vec<u8>> {
    let mut pieces = cx.open_blob(shelf, blob, range).await?;
    let mut content = Vec::new();
    while let Some(piece) = pieces.try_next().await? {
        content.extend_from_slice(&piece);
    }
    Ok(content)
}

/// Secrets and personal data in a text.
async fn hits_in(
    cx: &Admission<'_>,
    shelf: &Shelf,
    (path, blob): (&str, &BlobRef),
    left: &mut u64,
) -> Result<Vec<Hit>> {
    let is_table = [".csv", ".tsv"].iter().any(|ending| path.to_ascii_lowercase().ends_with(ending));
    let most = if is_table { TABLE_HEAD } else { LARGEST };
    let length = blob.length.min(most).min(*left);
    *left = left.saturating_sub(length);
    let place = place().await?;
    let content = read(cx, shelf, blob, Range { from: 0, length }).await?;
    let scanned = spawn_blocking(move || {
        let hits = scan(&content);
        drop(place);
        hits
    });
    scanned.await.map_err(stopped)
}
