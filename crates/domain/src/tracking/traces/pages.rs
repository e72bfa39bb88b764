//! Pages of spans: what one export brought of one trace. The heads lie in a row that searches read; all that was sent lies beside it,
//! in another row or, when it is large, in a blob.
//!
//! A page is found by what is on it, so that an export that is sent again finds its page there. What a span says is what its
//! latest page says.

use std::collections::HashMap;

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use kernel::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Trace,
    log_spans::must_fit,
    span::{NewSpan, SpanHead},
};
use crate::gate::{Admission, BlobRef, Changes, Range, Record, Row, Shelf};

/// Spans of one page.
pub(super) const MOST_ON_PAGE: usize = 1000;
/// Bytes of bodies that still lie in a row.
const INLINE: usize = 128 << 10;
/// Bytes of bodies after which another page begins.
const MOST_PAGE: usize = 16 << 20;
/// Pages read at a time.
const STRIDE: usize = 64;

/// Heads, and where the bodies lie.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SpanPage {
    /// Its number among the pages of the trace.
    pub(super) order: u32,
    /// The heads, in the order of the bodies.
    pub(super) heads: Vec<SpanHead>,
    /// Bytes of the bodies.
    pub(super) bytes: usize,
    /// Where the bodies lie when there is no row for them.
    pub(super) blob: Option<BlobRef>,
}

impl Record for SpanPage {
    const TABLE: &'static str = "trace-spans";
}

/// Bodies, under the id of their page.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SpanBodies {
    pub(super) bodies: Vec<Box<RawValue>>,
}

impl Record for SpanBodies {
    const TABLE: &'static str = "trace-span-bodies";
}

/// A page to be written.
pub(super) struct NewPage {
    pub(super) id: Vec<u8>,
    heads: Vec<SpanHead>,
    bodies: Vec<Box<RawValue>>,
    bytes: usize,
    blob: Option<BlobRef>,
}

impl NewPage {
    /// The blob that its commit makes real.
    pub(super) fn blob(&self) -> Option<&BlobRef> {
        self.blob.as_ref()
    }

    /// The blob that nobody needs when this page is there already. When it was written by a commit whose outcome was not known, that
    /// blob is the page's.
    pub(super) fn needless(&self, known: &SpanPage) -> Option<&BlobRef> {
        let kept = known.blob.as_ref().map(BlobRef::id);
        self.blob.as_ref().filter(|blob| Some(blob.id()) != kept)
    }

    /// Adds it to a trace.
    pub(super) fn put(&self, shelf: &Shelf, changes: &mut Changes, trace: &mut Trace) -> Result<()> {
        let order = trace.pages;
        grow(trace, self.heads.len(), self.bytes)?;
        let page = SpanPage { order, heads: self.heads.clone(), bytes: self.bytes, blob: self.blob.clone() };
        changes.put(shelf, &Row::new(self.id.clone(), page))?;
        if self.blob.is_none() {
            changes.put(shelf, &Row::new(self.id.clone(), SpanBodies { bodies: self.bodies.clone() }))?;
        }
        Ok(())
    }
}

/// Counts a page of a trace; one that does not fit is refused.
fn grow(trace: &mut Trace, spans: usize, bytes: usize) -> Result<()> {
    trace.pages = trace.pages.saturating_add(1);
    trace.spans = trace.spans.saturating_add(spans);
    trace.bytes = trace.bytes.saturating_add(bytes);
    must_fit(trace)
}

/// The page that is there under the id of another.
pub(super) async fn known(at: &Admission<'_>, shelf: &Shelf, page: &NewPage) -> Result<Option<Row<SpanPage>>> {
    at.get::<SpanPage>(shelf, &page.id).await
}

/// What the ids of a trace's pages begin with.
fn prefix(shelf: &Shelf, trace: &str) -> Vec<u8> {
    shelf.name_id::<SpanPage>(trace)
}

/// Cuts what an export brought of one trace into pages, leaves out those that are there already, and stores what is too large for a row.
/// `trace` is counted up as it will be. What was cut until something went wrong is in `pages` too: its blobs are there.
pub(super) async fn cut(
    at: &Admission<'_>,
    shelf: &Shelf,
    trace: &mut Trace,
    spans: &[NewSpan],
    pages: &mut Vec<NewPage>,
) -> Result<()> {
    for part in parts(spans) {
        let packed = {
            let bodies: Vec<&RawValue> = part.iter().map(|span| &*span.body).collect();
            serde_json::to_vec(&bodies).map_err(Error::internal)?
        };
        let mut id = prefix(shelf, &trace.id);
        id.extend(shelf.name_id::<SpanPage>(&format!("page|{}", seal::sha256_hex(&packed))));
        let is_repeated = pages.iter().any(|page| page.id == id);
        if is_repeated || at.get::<SpanPage>(shelf, &id).await?.is_some() {
            continue;
        }
        let most = u64::try_from(packed.len()).unwrap_or(u64::MAX);
        let bytes = part.iter().map(|span| span.head.size()).fold(packed.len(), usize::saturating_add);
        grow(trace, part.len(), bytes)?;
        let blob = match packed.len() > INLINE {
            true => Some(at.put_blob(shelf, most, stream::iter([Ok(Bytes::from(packed))])).await?),
            false => None,
        };
        let heads = part.iter().map(|span| span.head.clone()).collect();
        let bodies = match &blob {
            Some(_) => Vec::new(),
            None => part.iter().map(|span| span.body.clone()).collect(),
        };
        pages.push(NewPage { id, heads, bodies, bytes, blob });
    }
    Ok(())
}

fn parts(spans: &[NewSpan]) -> Vec<&[NewSpan]> {
    let mut parts = Vec::new();
    let mut rest = spans;
    while !rest.is_empty() {
        let mut bytes: usize = 0;
        let fits = rest.iter().take(MOST_ON_PAGE).take_while(|span| {
            bytes = bytes.saturating_add(span.body.get().len());
            bytes <= MOST_PAGE
        });
        let count = fits.count().max(1);
        let (part, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        parts.push(part);
        rest = later;
    }
    parts
}

/// All pages of a trace, in the order in which they came.
pub(super) async fn of_trace(at: &Admission<'_>, shelf: &Shelf, trace: &str) -> Result<Vec<Row<SpanPage>>> {
    let prefix = prefix(shelf, trace);
    let mut pages: Vec<Row<SpanPage>> = Vec::new();
    loop {
        let after = pages.last().map(|row| row.id.clone());
        let more = at.page::<SpanPage>(shelf, &prefix, after.as_deref(), STRIDE).await?;
        let was_last = more.len() < STRIDE;
        pages.extend(more);
        if was_last {
            break;
        }
    }
    pages.sort_by_key(|row| row.value.order);
    Ok(pages)
}

/// The heads of a trace's spans, each as it was said last.
pub(super) async fn heads(at: &Admission<'_>, shelf: &Shelf, trace: &str) -> Result<Vec<SpanHead>> {
    let mut latest: HashMap<String, SpanHead> = HashMap::new();
    for page in of_trace(at, shelf, trace).await? {
        latest.extend(page.value.heads.into_iter().map(|head| (head.id.clone(), head)));
    }
    let mut heads: Vec<SpanHead> = latest.into_values().collect();
    heads.sort_by(|a, b| by_rank(a).cmp(&by_rank(b)));
    Ok(heads)
}

/// The spans of a trace, each as it was said last: the first ones come first, then by when they began.
pub(super) async fn spans(at: &Admission<'_>, shelf: &Shelf, trace: &str) -> Result<Vec<(SpanHead, Box<RawValue>)>> {
    let mut latest: HashMap<String, (SpanHead, Box<RawValue>)> = HashMap::new();
    for page in of_trace(at, shelf, trace).await? {
        let bodies = bodies(at, shelf, &page).await?;
        latest.extend(page.value.heads.into_iter().zip(bodies).map(|(head, body)| (head.id.clone(), (head, body))));
    }
    let mut spans: Vec<(SpanHead, Box<RawValue>)> = latest.into_values().collect();
    spans.sort_by(|(a, _), (b, _)| by_rank(a).cmp(&by_rank(b)));
    Ok(spans)
}

fn by_rank(head: &SpanHead) -> (bool, u64, &str) {
    (!head.is_root(), head.started_at, &head.id)
}

async fn bodies(at: &Admission<'_>, shelf: &Shelf, page: &Row<SpanPage>) -> Result<Vec<Box<RawValue>>> {
    let Some(blob) = &page.value.blob else {
        let row = at.get::<SpanBodies>(shelf, &page.id).await?;
        return Ok(row.map(|row| row.value.bodies).unwrap_or_default());
    };
    let mut packed = Vec::with_capacity(page.value.bytes.min(MOST_PAGE));
    let mut pieces = at.open_blob(shelf, blob, Range::ALL).await?;
    while let Some(piece) = pieces.try_next().await? {
        packed.extend_from_slice(&piece);
    }
    serde_json::from_slice(&packed).map_err(Error::internal)
}

/// Removes all pages of a trace. Their blobs, to be removed after the commit.
pub(super) async fn remove(
    at: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    trace: &str,
) -> Result<Vec<BlobRef>> {
    let (prefix, mut blobs, mut after) = (prefix(shelf, trace), Vec::new(), None::<Vec<u8>>);
    loop {
        let pages = at.page::<SpanPage>(shelf, &prefix, after.as_deref(), STRIDE).await?;
        let was_last = pages.len() < STRIDE;
        for page in pages {
            if let Some(bodies) = at.get::<SpanBodies>(shelf, &page.id).await? {
                changes.delete(shelf, &bodies);
            }
            changes.delete(shelf, &page);
            blobs.extend(page.value.blob);
            after = Some(page.id);
        }
        if was_last {
            return Ok(blobs);
        }
    }
}

/// The error for a trace that would hold more than one may.
pub(super) fn full(trace: &str, why: &str) -> Error {
    Error::new(Kind::TooLarge, format!("the trace `{trace}` is full: {why}"))
}
