//! Making and replacing blobs, and reading them.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};

use super::{
    blob::{
        Blob, BlobKind, ContentHeaders, Copied, DeletedBlob, Deletion, Guard, InContainer, check_metadata, check_tags,
        family, row_id,
    },
    body::Body,
    condition::Tag,
    container::{ATTEMPTS, Container},
    content::{Content, Loose, release},
    etag, fault, lease,
    service::ServiceSettings,
    time::steps,
    version::{Moment, fresh_version, keep_version},
};
use crate::gate::{Admission, BlobRef, ByteStream, Changes, Cx, Op, Range, Row};

/// Permission to read blobs and lists of them.
pub const READ: Action =
    Action::data("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read", Class::Read);
/// Permission to write them.
pub const WRITE: Action =
    Action::data("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write", Class::DataWrite);
/// Permission to add to them, and to make what is not there.
pub const ADD: Action =
    Action::data("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action", Class::DataWrite);
/// Permission to delete them.
pub const DELETE: Action =
    Action::data("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete", Class::DataWrite);

/// A write that can also be asked for by whoever may add, as long as nothing is replaced.
pub trait Addition: Send + Sized {
    /// What it gives back.
    type Output: Send;

    /// Where permission is looked up.
    fn place(&self) -> ResourceId;

    /// What it means. `is_adding` says that nothing may be replaced.
    fn write(self, cx: &Admission<'_>, is_adding: bool) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// A write by whoever may replace too.
#[derive(Debug)]
pub struct Writing<W>(pub W);

#[async_trait]
impl<W: Addition> Op for Writing<W> {
    const ACTION: Action = WRITE;
    type Output = W::Output;

    fn scope(&self) -> ResourceId {
        self.0.place()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        self.0.write(cx, false).await
    }
}

/// A write by whoever may add only.
#[derive(Debug)]
pub struct Adding<W>(pub W);

#[async_trait]
impl<W: Addition> Op for Adding<W> {
    const ACTION: Action = ADD;
    type Output = W::Output;

    fn scope(&self) -> ResourceId {
        self.0.place()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        self.0.write(cx, true).await
    }
}

/// What a blob is labelled with when it is made.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// What downloads are labelled with.
    pub headers: ContentHeaders,
    /// Free labels.
    pub metadata: BTreeMap<String, String>,
    /// Free labels that can be asked for apart.
    pub tags: BTreeMap<String, String>,
}

impl Labels {
    pub(super) fn check(&self) -> Result<()> {
        check_metadata(&self.metadata)?;
        check_tags(&self.tags)
    }
}

/// Makes or replaces a blob, whole.
#[derive(Debug)]
pub struct PutBlob {
    /// Which.
    pub at: InContainer,
    /// What it is.
    pub kind: BlobKind,
    /// Its bytes; an append blob begins with none.
    pub body: Option<Body>,
    /// Its labels.
    pub labels: Labels,
    /// What must hold.
    pub guard: Guard,
    /// Where it is copied from.
    pub copied: Option<Copied>,
}

impl Addition for PutBlob {
    type Output = Blob;

    fn place(&self) -> ResourceId {
        self.at.scope()
    }

    async fn write(self, cx: &Admission<'_>, is_adding: bool) -> Result<Blob> {
        let Self { at, kind, body, mut labels, guard, copied } = self;
        labels.check()?;
        let container = at.container(cx).await?;
        // Before the body: whoever is refused need not send it.
        may_replace(at.look(cx, &container).await?.as_ref(), &guard, is_adding, cx)?;
        let mut content = Content::Nothing;
        let mut length = 0;
        let mut stored = None;
        if let Some(body) = body {
            let (blob, md5) = body.store(cx, at.shelf()).await?;
            length = blob.length;
            content = Content::One(blob.clone());
            stored = Some(blob);
            labels.headers.md5 = labels.headers.md5.or(md5);
        }
        cx.note("bytes", length.to_string());
        let made = Made { kind, content, length, labels, copied, kept: stored.iter().cloned().collect() };
        let done = put(cx, &at, &container, &guard, is_adding, &made).await;
        if let (Err(_), Some(blob)) = (&done, &stored) {
            cx.drop_blob(blob).await;
        }
        done
    }
}

async fn put(
    cx: &Admission<'_>,
    at: &InContainer,
    container: &Container,
    guard: &Guard,
    is_adding: bool,
    made: &Made,
) -> Result<Blob> {
    for _ in 0..ATTEMPTS {
        let present = at.look(cx, container).await?;
        may_replace(present.as_ref(), guard, is_adding, cx)?;
        if let Some(blob) = replace(cx, at, container, present, made, Changes::new()).await? {
            return Ok(blob);
        }
    }
    Err(fault::too_fast())
}

/// What takes the place of a blob.
pub(super) struct Made {
    pub kind: BlobKind,
    pub content: Content,
    pub length: u64,
    pub labels: Labels,
    pub copied: Option<Copied>,
    /// The objects of its content.
    pub kept: Vec<BlobRef>,
}

pub(super) fn may_replace(
    present: Option<&Row<Blob>>,
    guard: &Guard,
    is_adding: bool,
    cx: &Admission<'_>,
) -> Result<()> {
    if is_adding && present.is_some() && guard.conditions.matches_not != Some(Tag::Any) {
        let why = "This request is not authorized to perform blob overwrites.";
        return Err(fault::not_for_this("UnauthorizedBlobOverwrite", why));
    }
    guard.hold_for_put(present.map(|row| &row.value), cx.now())
}

/// Puts a blob in the place of what is there, with `changes`. None when somebody else wrote meanwhile.
pub(super) async fn replace(
    cx: &Admission<'_>,
    at: &InContainer,
    container: &Container,
    present: Option<Row<Blob>>,
    made: &Made,
    mut changes: Changes,
) -> Result<Option<Blob>> {
    let shelf = at.shelf();
    let mark = etag::fresh(cx.now())?;
    let settings = ServiceSettings::of(cx, &at.account).await?;
    let lease = present.as_ref().and_then(|row| row.value.lease.clone());
    let created_at = present.as_ref().map_or(cx.now(), |row| row.value.created_at);
    let stored = present.as_ref().map_or(0, |row| row.version);
    let (mut loose, mut last) = (Loose::default(), None);
    match present {
        Some(present) if settings.versioning => {
            last = Some(keep_version(cx, at, container, present.value, &mut changes).await?);
        }
        Some(present) => {
            loose = put_away(cx, at, container, present, &made.kept, settings.retention(), &mut changes).await?;
        }
        None => {}
    }
    let version = if settings.versioning { Some(fresh_version(cx, at, container, last).await?) } else { None };
    let blob = Blob {
        name: at.blob.as_str().to_owned(),
        snapshot: None,
        version,
        is_past: false,
        kind: made.kind,
        content: made.content.clone(),
        length: made.length,
        etag: mark.etag,
        created_at,
        modified_at: mark.modified_at,
        headers: made.labels.headers.clone(),
        metadata: made.labels.metadata.clone(),
        tags: made.labels.tags.clone(),
        lease: lease.filter(|lease| lease::state(Some(lease), cx.now()).is_locked()),
        copied: made.copied.clone(),
        deletion: None,
    };
    let mut row = Row::new(row_id(shelf, container, &blob.name, None), blob);
    row.version = stored;
    changes.put(shelf, &row)?;
    match cx.commit(changes).await {
        Err(fault) if fault.kind() == Kind::Stale => Ok(None),
        Err(fault) => Err(fault),
        Ok(()) => {
            loose.drop(cx).await;
            Ok(Some(row.value))
        }
    }
}

/// What was in a blob's place: kept as a deleted snapshot while deleted blobs are, or let go.
async fn put_away(
    cx: &Admission<'_>,
    at: &InContainer,
    container: &Container,
    present: Row<Blob>,
    kept: &[BlobRef],
    retention: Option<Duration>,
    changes: &mut Changes,
) -> Result<Loose> {
    let shelf = at.shelf();
    let Some(days) = retention else {
        let place = family(shelf, container, &present.value.name);
        return release(cx, shelf, &place, &[&present.value], kept, changes).await;
    };
    let mut old = present.value;
    let mut time = steps(cx.now());
    while cx.get::<DeletedBlob>(shelf, &row_id(shelf, container, &old.name, Some(time))).await?.is_some() {
        time = time.saturating_add(1);
    }
    old.snapshot = Some(time);
    old.lease = None;
    old.deletion = Some(Deletion { at: cx.now(), until: cx.now().plus(days) });
    changes.put(shelf, &Row::new(row_id(shelf, container, &old.name, Some(time)), DeletedBlob(old)))?;
    Ok(Loose::default())
}

/// A blob on its way out.
pub struct Opened {
    /// What it is.
    pub blob: Blob,
    /// First and number of the bytes that follow.
    pub range: Range,
    /// The bytes; none when only the properties were asked for.
    pub bytes: Option<ByteStream>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Opened({:?})", self.range)
    }
}

/// Which bytes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// None: the properties alone.
    Properties,
    /// All.
    Whole,
    /// From the first to the last, both counted; to the end when no last is said.
    Range(u64, Option<u64>),
}

/// Reads a blob, a snapshot or a version.
#[derive(Debug)]
pub struct GetBlob {
    /// Which.
    pub at: InContainer,
    /// Of which moment.
    pub moment: Moment,
    /// Which bytes.
    pub wanted: Wanted,
    /// What must hold.
    pub guard: Guard,
}

#[async_trait]
impl Op for GetBlob {
    const ACTION: Action = READ;
    type Output = Opened;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Opened> {
        let container = self.at.container(cx).await?;
        let mut blob = self.at.read(cx, &container, self.moment).await?;
        for _ in 0..ATTEMPTS {
            self.guard.hold_for_read(&blob, cx.now())?;
            let range = self.range(blob.length)?;
            if self.wanted == Wanted::Properties {
                return Ok(Opened { blob, range, bytes: None });
            }
            let missing = match blob.content.open(cx, self.at.shelf(), blob.length, range).await {
                Ok(bytes) => return Ok(Opened { blob, range, bytes: Some(bytes) }),
                Err(fault) if fault.kind() == Kind::NotFound => fault,
                Err(fault) => return Err(fault),
            };
            // Who replaces a blob removes the old bytes, and a client that is told 404 takes a blob as gone that is always there.
            let now = self.at.read(cx, &container, self.moment).await?;
            if now.etag == blob.etag {
                return Err(Error::internal("the bytes of a blob are missing").because(missing));
            }
            blob = now;
        }
        Err(fault::too_fast())
    }
}

impl GetBlob {
    /// Which bytes are wanted of so many.
    fn range(&self, length: u64) -> Result<Range> {
        match self.wanted {
            Wanted::Properties | Wanted::Whole => Ok(Range { from: 0, length }),
            Wanted::Range(from, _) if from >= length => {
                let why = "The range specified is invalid for the current size of the resource.";
                Err(fault::invalid("InvalidRange", why))
            }
            Wanted::Range(from, last) => {
                let end = last.map_or(length, |last| last.saturating_add(1).min(length));
                Ok(Range { from, length: end.saturating_sub(from) })
            }
        }
    }
}
