//! Reading files of runs, logged models and model versions: whole, a range, or what is said of them.

use async_trait::async_trait;
use futures::{StreamExt, stream};
use kernel::{Action, ResourceId, Result};

use super::{ArtifactPath, ArtifactPlace, action::READ_ARTIFACTS, artifact::Artifact};
use crate::{
    gate::{BlobRef, ByteStream, Cx, Op, Range},
    resources::workspace_shelf,
};

/// Which bytes of a file are asked for (RFC 9110, section 14.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileRange {
    /// All.
    #[default]
    All,
    /// From the first one, counted from zero, to the last one; to the end without one.
    From(u64, Option<u64>),
    /// So many at the end.
    Last(u64),
}

impl FileRange {
    /// What of a file of `length` bytes that is.
    fn of(self, length: u64) -> Served {
        let (from, end) = match self {
            Self::All => return Served::Whole,
            Self::From(first, last) => (first, last.map_or(length, |last| last.saturating_add(1).min(length))),
            Self::Last(count) => (length.saturating_sub(count), length),
        };
        match end.saturating_sub(from) {
            0 => Served::Beyond,
            length => Served::Part { from, length },
        }
    }
}

/// What of a file is wanted, and under which conditions.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Which bytes.
    pub range: FileRange,
    /// Only what is said of it, and no bytes.
    pub is_head: bool,
    /// The range counts only while the file has this tag (`If-Range`); else all is sent.
    pub if_range: Option<String>,
    /// No bytes while the file has one of these tags (`If-None-Match`).
    pub unless: Vec<String>,
}

/// What of a file is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// All of it.
    Whole,
    /// These bytes.
    Part {
        /// The first.
        from: u64,
        /// How many.
        length: u64,
    },
    /// Nothing: the range begins behind its end.
    Beyond,
    /// Nothing: the client has it.
    Unchanged,
}

/// A file's content.
pub struct OpenedArtifact {
    /// Where it lies.
    pub path: ArtifactPath,
    /// Bytes of the whole.
    pub length: u64,
    /// What changes with its content, in quotes (RFC 9110, section 8.8.3).
    pub etag: String,
    /// What of it `body` is.
    pub served: Served,
    /// The content.
    pub body: ByteStream,
}

/// The tag of a content.
pub(super) fn etag(blob: &BlobRef) -> String {
    format!("\"{}\"", blob.sha256)
}

/// Reads a file.
#[derive(Debug)]
pub struct GetArtifact {
    /// The workspace.
    pub workspace: ResourceId,
    /// The file.
    pub place: ArtifactPlace,
    /// What of it; all by default.
    pub wanted: Wanted,
}

#[async_trait]
impl Op for GetArtifact {
    const ACTION: Action = READ_ARTIFACTS;
    type Output = OpenedArtifact;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        self.place.must_exist(cx, &shelf).await?;
        self.place.note(cx);
        let row = cx.get::<Artifact>(&shelf, &self.place.owner.row_id(&shelf, &self.place.path)).await?;
        let file = row.ok_or_else(|| self.place.missing())?.value;
        let (length, etag) = (file.blob.length, etag(&file.blob));
        let wanted = &self.wanted;
        let is_same = wanted.if_range.as_ref().is_none_or(|known| *known == etag);
        let served = match wanted.range {
            _ if wanted.unless.iter().any(|known| *known == etag || known == "*") => Served::Unchanged,
            range if is_same => range.of(length),
            _ => Served::Whole,
        };
        let range = match served {
            _ if wanted.is_head || length == 0 => None,
            Served::Whole => Some(Range::ALL),
            Served::Part { from, length } => Some(Range { from, length }),
            Served::Beyond | Served::Unchanged => None,
        };
        let body = match range {
            Some(range) => cx.open_blob(&shelf, &file.blob, range).await?,
            None => stream::empty().boxed(),
        };
        Ok(OpenedArtifact { path: file.path, length, etag, served, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_end_and_refused_behind_it() {
        let part = |from, length| Served::Part { from, length };
        let cases = [
            (FileRange::All, 10, Served::Whole),
            (FileRange::All, 0, Served::Whole),
            (FileRange::From(0, Some(0)), 10, part(0, 1)),
            (FileRange::From(0, None), 10, part(0, 10)),
            (FileRange::From(9, Some(u64::MAX)), 10, part(9, 1)),
            (FileRange::From(10, None), 10, Served::Beyond),
            (FileRange::From(10, Some(20)), 10, Served::Beyond),
            (FileRange::From(0, None), 0, Served::Beyond),
            (FileRange::Last(3), 10, part(7, 3)),
            (FileRange::Last(99), 10, part(0, 10)),
            (FileRange::Last(0), 10, Served::Beyond),
            (FileRange::Last(5), 0, Served::Beyond),
        ];
        for (asked, length, served) in cases {
            assert_eq!(asked.of(length), served, "{asked:?} of {length}");
        }
    }
}
