//! Looking at one content.

use std::{collections::BTreeSet, io};

use futures::TryStreamExt;
use kernel::{Error, Kind, Result};
use tokio::{
    sync::{Semaphore, mpsc},
    task::spawn_blocking,
};

use super::{
    MOST,
    feed::{Ask, Cost, Window},
    file::{self, Guess},
    names::Danger,
    seen::{Look, Seen, Sight, covers},
};
use crate::{
    gate::{Admission, BlobRef, Changes, Range, Row, Shelf},
    secrets::{Hit, LARGEST, scan},
};

/// Bytes of a table that are looked at: the first ones.
const TABLE_HEAD: u64 = 256 << 10;
/// Bytes of a model's description, which names its files.
const DESCRIPTION: u64 = 64 << 10;
/// Contents that are looked at at once, whoever asks: each keeps a core busy.
static PLACES: Semaphore = Semaphore::const_new(2);

/// What a file is taken for by its name, or by what the model says of it. What is found in its bytes hangs on that, and on nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Form {
    guess: Guess,
    pub(super) text: Text,
}

/// Whether a file of a model is text that people write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Text {
    No,
    Table,
    Whole,
}

impl Form {
    pub(super) fn of(path: &str, is_pickle: bool) -> Self {
        let guess = if is_pickle { Guess::Pickle } else { file::guess(path) };
        Self { guess, text: text(path) }
    }

    /// The id of what is kept of such a content.
    fn id(self, shelf: &Shelf, blob: &BlobRef) -> Vec<u8> {
        let guess = match self.guess {
            Guess::Pickle => "pickle",
            Guess::Perhaps => "perhaps",
            Guess::Other => "other",
        };
        let text = match self.text {
            Text::No => "bytes",
            Text::Table => "table",
            Text::Whole => "text",
        };
        shelf.name_id::<Look>(&format!("{}|{guess}|{text}", blob.sha256))
    }
}

fn text(path: &str) -> Text {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let known = ["json", "py", "yaml", "yml", "txt", "md", "ipynb", "toml", "ini", "cfg", "env", "sh", "sql", "r"];
    match ending.as_str() {
        "csv" | "tsv" => Text::Table,
        other if known.contains(&other) => Text::Whole,
        _ if matches!(name, "MLmodel" | "MLproject" | "Dockerfile" | ".env" | ".netrc" | ".pypirc") => Text::Whole,
        _ => Text::No,
    }
}

/// Files of which the model's own description says that they are unpickled, whatever they are called.
pub(super) async fn pickled(
    cx: &Admission<'_>,
    shelf: &Shelf,
    files: &[(String, BlobRef)],
) -> Result<BTreeSet<String>> {
    let description = files.iter().find(|(path, blob)| path == "MLmodel" && blob.length > 0);
    let Some((_, blob)) = description else { return Ok(BTreeSet::new()) };
    let content = read(cx, shelf, blob, Range { from: 0, length: blob.length.min(DESCRIPTION) }).await?;
    Ok(named(&String::from_utf8_lossy(&content)))
}

fn named(description: &str) -> BTreeSet<String> {
    let file = |line: &str| {
        let (key, value) = line.split_once(':')?;
        let value = value.trim().trim_matches(['"', '\'']);
        let is_named = matches!(key.trim(), "pickled_model" | "python_model");
        // A model that is a program of its own is none.
        (is_named && !value.is_empty() && !value.ends_with(".py")).then(|| value.to_owned())
    };
    description.lines().filter_map(file).collect()
}

/// What is found in one content that is not in `seen`, where it is put; none when there is no more room to look.
pub(super) async fn one(
    cx: &Admission<'_>,
    shelf: &Shelf,
    seen: &Seen,
    (blob, form): (&BlobRef, Form),
    wanted: (u32, u32),
) -> Result<Option<Sight>> {
    let known = cx.get::<Look>(shelf, &form.id(shelf, blob)).await?;
    if let Some(row) = known.filter(|row| covers(row.value.rules, wanted)) {
        return Ok(Some(seen.put(blob, form, Sight { look: row.value, is_to_keep: false })));
    }
    let Some((mut left, inflated)) = seen.begin() else { return Ok(None) };
    let cost = Cost::new(inflated);
    // Gone when this is dropped, as when a client hangs up: who looks then stops.
    let _waiting = cost.waiting();
    let mut look = Look { rules: wanted, ..Look::default() };
    if wanted.0 != 0 {
        let names = names_in(cx, shelf, (blob, form.guess), &mut left, &cost).await?;
        seen.end(left);
        let Some(mut names) = names else { return Ok(None) };
        names.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        names.truncate(MOST);
        look.names = names;
    }
    if wanted.1 != 0 {
        look.hits = hits_in(cx, shelf, (blob, form.text), &mut left).await?;
        seen.end(left);
    }
    // What is nothing to speak of is found out again as fast as it is read; a row for each of a thousand files is not. What could not be
    // read because of what else the version holds says nothing of the content.
    let is_nothing = look.names.is_empty() && look.hits.is_empty() && blob.length < TABLE_HEAD;
    let is_to_keep = !is_nothing && !cost.is_spent();
    Ok(Some(seen.put(blob, form, Sight { look, is_to_keep })))
}

/// Puts what was found into `changes`, unless that stands there.
pub(super) async fn keep(
    cx: &Admission<'_>,
    shelf: &Shelf,
    (blob, form): (&BlobRef, Form),
    look: &Look,
    changes: &mut Changes,
) -> Result<()> {
    let id = form.id(shelf, blob);
    let known = cx.get::<Look>(shelf, &id).await?;
    let mut row = known.unwrap_or_else(|| Row::new(id, Look::default()));
    if row.value != *look {
        row.value = look.clone();
        changes.put(shelf, &row)?;
    }
    Ok(())
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
    (blob, guess): (&BlobRef, Guess),
    left: &mut u64,
    cost: &Cost,
) -> Result<Option<Vec<(Danger, String)>>> {
    let place = place().await?;
    let (asks, mut asked) = mpsc::channel::<Ask>(1);
    let mut window = Window::new(asks, blob.length);
    let cost = cost.clone();
    // The place goes along: whoever hangs up does not make room while something is still looked at.
    let looking = spawn_blocking(move || {
        let found = file::look(guess, &mut window, &cost);
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
    (blob, text): (&BlobRef, Text),
    left: &mut u64,
) -> Result<Vec<Hit>> {
    let most = if text == Text::Table { TABLE_HEAD } else { LARGEST };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_names_what_is_unpickled() {
        let said = "flavors:\n  python_function:\n    data: model.onnx\n    python_model: 'a.log'\n  sklearn:\n    \
                    pickled_model: b.txt\n  x:\n    python_model: code.py\n    pickled_model:\n";
        assert_eq!(named(said).into_iter().collect::<Vec<_>>(), ["a.log", "b.txt"]);
        assert_eq!(Form::of("a.log", true), Form { guess: Guess::Pickle, text: Text::No });
        assert_eq!(Form::of("A.CSV", false), Form { guess: Guess::Other, text: Text::Table });
    }
}
