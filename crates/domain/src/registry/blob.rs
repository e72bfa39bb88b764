//! Blobs of a repository: reading, mounting from another repository, deleting.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result};

use super::{
    Digest, InRepository, RepositoryName,
    content::{Link, content_of, give, link_of, take},
    fault,
    repository::{ATTEMPTS, DELETE, PULL, PUSH},
};
use crate::gate::{Admission, ByteStream, Changes, Cx, Op, Range, Row};

/// Content that no manifest uses is kept for so long after it was touched last: a push may be on its way to its manifest.
pub(super) const UNUSED: Duration = Duration::from_secs(24 * 3600);
/// Whoever asks whether it is there does so because they will not send it again; not noted more often than this.
const NOTED: Duration = Duration::from_secs(6 * 3600);

/// A blob's bytes.
pub struct OpenedBlob {
    /// Bytes of the whole.
    pub length: u64,
    /// Which of them.
    pub range: Range,
    /// They; none when only asked about.
    pub bytes: Option<ByteStream>,
}

impl std::fmt::Debug for OpenedBlob {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "OpenedBlob({} bytes, {:?})", self.length, self.range)
    }
}

/// What of a blob is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobPart {
    /// Whether it is there, and how long it is.
    Nothing,
    /// All of it.
    Whole,
    /// From a byte up to another, or to the end.
    From(u64, Option<u64>),
    /// The last bytes.
    Last(u64),
}

/// Reads a blob.
#[derive(Debug)]
pub struct GetRegistryBlob {
    /// Of which repository.
    pub at: InRepository,
    /// Which.
    pub digest: Digest,
    /// What of it.
    pub part: BlobPart,
}

#[async_trait]
impl Op for GetRegistryBlob {
    const ACTION: Action = PULL;
    type Output = OpenedBlob;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<OpenedBlob> {
        let Self { at, digest, part } = self;
        cx.note("digest", digest.as_str());
        let repository = at.look(cx).await?.ok_or_else(fault::no_blob)?;
        let link = link_of(cx, at.shelf(), &repository, &digest).await?.ok_or_else(fault::no_blob)?;
        let length = link.value.length;
        if part == BlobPart::Nothing {
            note(cx, &at, link).await;
            return Ok(OpenedBlob { length, range: Range { from: 0, length }, bytes: None });
        }
        let range = part.within(length)?;
        let content = content_of(cx, at.shelf(), &digest).await?.ok_or_else(fault::no_blob)?;
        let bytes = content.value.stored.open(cx, at.shelf(), range).await?;
        Ok(OpenedBlob { length, range, bytes: Some(bytes) })
    }
}

/// Notes that somebody counts on what nothing uses yet.
async fn note(cx: &Admission<'_>, at: &InRepository, mut link: Row<Link>) {
    if link.value.uses > 0 || link.value.touched_at.plus(NOTED) > cx.now() {
        return;
    }
    link.value.touched_at = cx.now();
    let mut changes = Changes::new();
    if changes.put(at.shelf(), &link).is_ok()
        && let Err(fault) = cx.keep(changes).await
        && fault.kind() != Kind::Stale
    {
        tracing::warn!(?fault, "that a blob is counted on could not be noted");
    }
}

impl BlobPart {
    /// The range of a blob of so many bytes.
    fn within(self, length: u64) -> Result<Range> {
        let beyond = || fault::invalid("RANGE_INVALID", "the range lies beyond the blob's end");
        match self {
            Self::Nothing | Self::Whole => Ok(Range { from: 0, length }),
            Self::From(first, last) => {
                let last = last.unwrap_or(u64::MAX).min(length.saturating_sub(1));
                if first >= length || last < first {
                    return Err(beyond());
                }
                Ok(Range { from: first, length: last.saturating_sub(first).saturating_add(1) })
            }
            Self::Last(0) => Err(beyond()),
            Self::Last(_) if length == 0 => Err(beyond()),
            Self::Last(count) => {
                let count = count.min(length);
                Ok(Range { from: length.saturating_sub(count), length: count })
            }
        }
    }
}

/// Gives a repository a blob that another one of the registry has, without sending it.
#[derive(Debug)]
pub struct MountBlob {
    /// To which repository.
    pub at: InRepository,
    /// From which; any of the registry when nothing is said.
    pub from: Option<RepositoryName>,
    /// Which blob.
    pub digest: Digest,
}

#[async_trait]
impl Op for MountBlob {
    const ACTION: Action = PUSH;
    /// Whether it is there now: it is not when the source does not have it, or is not the caller's to pull from.
    type Output = bool;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<bool> {
        let Self { at, from, digest } = self;
        cx.note("digest", digest.as_str());
        // Whoever may push and not pull would read by this what they may not.
        if !cx.may(&PULL, &at.registry.id) {
            return Ok(false);
        }
        let shelf = at.shelf();
        for _ in 0..ATTEMPTS {
            if let Some(from) = &from {
                cx.note("from", from.as_str());
                let source = InRepository { registry: at.registry.clone(), name: from.clone() };
                let Some(source) = source.look(cx).await? else { return Ok(false) };
                if link_of(cx, shelf, &source, &digest).await?.is_none() {
                    return Ok(false);
                }
            }
            let Some(content) = content_of(cx, shelf, &digest).await? else { return Ok(false) };
            let (length, stored) = (content.value.length, content.value.stored);
            let mut changes = Changes::new();
            let repository = at.ensure(cx, &mut changes).await?;
            give(cx, shelf, &repository, (&digest, length), &stored, &mut changes).await?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done.map(|()| true),
            }
        }
        Err(fault::too_fast())
    }
}

/// Takes a blob from a repository. Refused while a manifest of the repository names it.
#[derive(Debug)]
pub struct DeleteRegistryBlob {
    /// From which.
    pub at: InRepository,
    /// Which.
    pub digest: Digest,
}

#[async_trait]
impl Op for DeleteRegistryBlob {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let Self { at, digest } = self;
        cx.note("digest", digest.as_str());
        let repository = at.look(cx).await?.ok_or_else(fault::no_blob)?;
        for _ in 0..ATTEMPTS {
            let link = link_of(cx, at.shelf(), &repository, &digest).await?.ok_or_else(fault::no_blob)?;
            if link.value.uses > 0 {
                let why = "a manifest of the repository names this blob; delete the manifest first";
                return Err(Error::new(Kind::Conflict, why).coded("DENIED"));
            }
            let mut changes = Changes::new();
            let loose = take(cx, at.shelf(), &link, &mut changes).await?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                Err(fault) => return Err(fault),
                Ok(()) => {
                    for blob in &loose {
                        cx.drop_blob(blob).await;
                    }
                    return Ok(());
                }
            }
        }
        Err(fault::too_fast())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_end_and_refused_beyond_it() {
        let of = |part: BlobPart| part.within(2048).map(|range| (range.from, range.length)).ok();
        assert_eq!(of(BlobPart::Whole), Some((0, 2048)));
        assert_eq!(of(BlobPart::From(500, Some(1499))), Some((500, 1000)));
        assert_eq!(of(BlobPart::From(500, None)), Some((500, 1548)));
        assert_eq!(of(BlobPart::From(2000, Some(5000))), Some((2000, 48)));
        assert_eq!(of(BlobPart::Last(500)), Some((1548, 500)));
        assert_eq!(of(BlobPart::Last(9000)), Some((0, 2048)));
        for beyond in [
            BlobPart::From(5000, Some(10_000)),
            BlobPart::From(500, Some(0)),
            BlobPart::From(2048, None),
            BlobPart::Last(0),
        ] {
            assert_eq!(of(beyond), None, "{beyond:?}");
        }
        assert!(BlobPart::Whole.within(0).is_ok() && BlobPart::Last(1).within(0).is_err());
    }
}
