//! Single files of runs, as Azure's clients read them: in parts, and listed however deep they lie.

use async_trait::async_trait;
use futures::stream;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId};

use crate::{
    gate::{ByteStream, Cx, Op, Range},
    resources::workspace_shelf,
    tracking::{
        ArtifactPath, FilePage, Owner,
        action::READ_ARTIFACTS,
        artifact::{Artifact, files_below},
        page_of_files, run, text,
    },
};

/// Most files of a page.
const PAGE: usize = 1000;

/// A file, or the part of it that was asked for.
pub struct FilePart {
    /// Bytes of the whole file.
    pub whole: u64,
    /// The first byte that is there.
    pub from: u64,
    /// How many are.
    pub length: u64,
    /// What tells this content from another one under the same path.
    pub etag: String,
    /// The bytes.
    pub body: ByteStream,
}

/// Reads a file of a run.
#[derive(Debug)]
pub struct GetFilePart {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
    /// The file.
    pub path: ArtifactPath,
    /// First and last byte; the last one none up to the end. What lies beyond the end is left out.
    pub range: Option<(u64, Option<u64>)>,
    /// Whether the bytes themselves are wanted.
    pub wants_body: bool,
}

#[async_trait]
impl Op for GetFilePart {
    const ACTION: Action = READ_ARTIFACTS;
    type Output = FilePart;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        run::find(cx, &shelf, &self.run).await?;
        cx.note("run", self.run.to_string());
        let id = Owner::Run(self.run.clone()).row_id(&shelf, &self.path);
        let missing = || {
            let words = format!("the run has no file `{}`", text::echo(self.path.as_str()));
            Error::new(Kind::NotFound, words).coded("BlobNotFound")
        };
        let row = cx.get::<Artifact>(&shelf, &id).await?.ok_or_else(missing)?;
        let (blob, whole) = (&row.value.blob, row.value.blob.length);
        let (from, length) = part(self.range, whole)?;
        let body: ByteStream = match length {
            _ if !self.wants_body => Box::pin(stream::empty()),
            0 => Box::pin(stream::empty()),
            _ => cx.open_blob(&shelf, blob, Range { from, length }).await?,
        };
        Ok(FilePart { whole, from, length, etag: format!("\"0x{:X}\"", row.version), body })
    }
}

/// First byte and length of what is asked for.
fn part(range: Option<(u64, Option<u64>)>, whole: u64) -> Result<(u64, u64)> {
    let Some((from, last)) = range else { return Ok((0, whole)) };
    if from >= whole || last.is_some_and(|last| last < from) {
        let words = "the range that was asked for is not within the file";
        return Err(Error::new(Kind::Invalid, words).coded("InvalidRange"));
    }
    let end = last.map_or(whole, |last| last.saturating_add(1)).min(whole);
    Ok((from, end.saturating_sub(from)))
}

/// Lists files of a run: all of them, or those at and below a path.
#[derive(Debug)]
pub struct ListRunFiles {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
    /// Where.
    pub below: ArtifactPath,
    /// Where the last page ended.
    pub after: Option<String>,
}

#[async_trait]
impl Op for ListRunFiles {
    const ACTION: Action = READ_ARTIFACTS;
    type Output = FilePage;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        run::find(cx, &shelf, &self.run).await?;
        if self.below.is_root() {
            return page_of_files(cx, &shelf, &self.run, self.after.as_deref(), PAGE).await;
        }
        let files = files_below(cx, &shelf, &Owner::Run(self.run.clone()), &self.below).await?;
        let files = files.into_iter().map(|file| (file.path.to_string(), file.blob.length)).collect();
        Ok(FilePage { files, next: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_lies_within_the_file() {
        assert_eq!(part(None, 10).unwrap(), (0, 10));
        assert_eq!(part(Some((0, Some(3))), 10).unwrap(), (0, 4));
        assert_eq!(part(Some((4, None)), 10).unwrap(), (4, 6));
        assert_eq!(part(Some((4, Some(u64::MAX))), 10).unwrap(), (4, 6));
        for bad in [(10, None), (0, None), (5, Some(4))] {
            assert!(part(Some(bad), if bad.0 == 0 { 0 } else { 10 }).is_err(), "{bad:?}");
        }
    }
}
