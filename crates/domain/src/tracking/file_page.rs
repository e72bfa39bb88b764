//! Files of a run, page by page, however deep they lie.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Error, Kind, Result, RunId};

use super::{Owner, artifact::Artifact};
use crate::gate::{Admission, Shelf};

/// Some of a run's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePage {
    /// Path and length in bytes, sorted by path within the page. Pages follow each other in an order that says nothing.
    pub files: Vec<(String, u64)>,
    /// What the next page comes after; none on the last.
    pub next: Option<String>,
}

/// At most `most` files of a run, after those that a page before named. What is read is the page, however many files the
/// run has.
///
/// # Errors
/// `Invalid` for an `after` that no page said.
pub(crate) async fn page_of_files(
    cx: &Admission<'_>,
    shelf: &Shelf,
    run: &RunId,
    after: Option<&str>,
    most: usize,
) -> Result<FilePage> {
    let prefix = Owner::Run(run.clone()).prefix(shelf);
    let after = match after {
        Some(token) => Some(row_after(&prefix, token)?),
        None => None,
    };
    let mut rows = cx.page::<Artifact>(shelf, &prefix, after.as_deref(), most.saturating_add(1)).await?;
    let has_more = rows.len() > most;
    rows.truncate(most);
    // Rows lie by keyed hashes of paths, so the token names no file.
    let last = rows.last().and_then(|row| row.id.get(prefix.len()..));
    let next = last.filter(|_| has_more).map(|id| URL_SAFE_NO_PAD.encode(id));
    let mut files: Vec<(String, u64)> =
        rows.into_iter().map(|row| (row.value.path.to_string(), row.value.blob.length)).collect();
    files.sort();
    Ok(FilePage { files, next })
}

fn row_after(prefix: &[u8], token: &str) -> Result<Vec<u8>> {
    let id = URL_SAFE_NO_PAD.decode(token);
    let id = id.map_err(|_| Error::new(Kind::Invalid, "the token of the page is none that the page before it gave"))?;
    Ok([prefix, &id].concat())
}
