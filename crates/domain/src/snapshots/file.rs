//! Contents of snapshots: which are there, how they come and go.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures::TryStreamExt;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};
use seal::hex;
use serde::{Deserialize, Serialize};

use super::{
    SnapshotFile,
    pack::{self, Packed},
    tree,
};
use crate::{
    gate::{Admission, BlobRef, ByteStream, Changes, Cx, Op, Range, Record, Row, Shelf},
    resources::workspace_shelf,
};

/// Most files asked about at once.
const MOST_ASKED: usize = 10_000;
/// Attempts when others upload the same files.
const ATTEMPTS: usize = 8;

const READ: Action = Action::new("Microsoft.MachineLearningServices/workspaces/metadata/snapshots/read", Class::Read);
const WRITE: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/metadata/snapshots/write", Class::DataWrite);

/// Where one content lies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredFile {
    pub(super) pack: BlobRef,
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl Record for StoredFile {
    const TABLE: &'static str = "snapshot-file";
}

/// The files of a snapshot, under its id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) files: Vec<SnapshotFile>,
}

impl Record for Manifest {
    const TABLE: &'static str = "snapshot";
}

fn row_id(shelf: &Shelf, sha256: &str) -> Vec<u8> {
    shelf.name_id::<StoredFile>(sha256)
}

/// Where a content lies; none when nobody brought it.
pub(super) async fn find(cx: &Admission<'_>, shelf: &Shelf, sha256: &str) -> Result<Option<StoredFile>> {
    Ok(cx.get::<StoredFile>(shelf, &row_id(shelf, sha256)).await?.map(|row| row.value))
}

/// The files of a snapshot that must exist.
pub(crate) async fn find_manifest(cx: &Admission<'_>, shelf: &Shelf, snapshot: &str) -> Result<Manifest> {
    let row = cx.get::<Manifest>(shelf, &shelf.name_id::<Manifest>(snapshot)).await?;
    row.map(|row| row.value).ok_or_else(|| Error::not_found(format_args!("the snapshot `{snapshot}`")))
}

/// Whether the files of a snapshot are those of its id; none when it is not there.
pub(crate) async fn is_snapshot_whole(cx: &Admission<'_>, shelf: &Shelf, snapshot: &str) -> Result<Option<bool>> {
    let row = cx.get::<Manifest>(shelf, &shelf.name_id::<Manifest>(snapshot)).await?;
    Ok(row.map(|row| tree::Tree::of(&row.value.files).is_ok_and(|tree| tree.id() == snapshot)))
}

/// Opens a content, with its length.
pub(crate) async fn open_file(cx: &Admission<'_>, shelf: &Shelf, sha256: &str) -> Result<(ByteStream, u64)> {
    let missing = || Error::not_found(format_args!("the file `{sha256}`"));
    let stored = find(cx, shelf, sha256).await?.ok_or_else(missing)?;
    if stored.length == 0 {
        return Ok((Box::pin(futures::stream::empty()), 0));
    }
    let range = Range { from: stored.offset, length: stored.length };
    Ok((cx.open_blob(shelf, &stored.pack, range).await?, stored.length))
}

/// Reads a small content as text. `field` names it in errors.
pub(crate) async fn read_text(
    cx: &Admission<'_>,
    shelf: &Shelf,
    file: &SnapshotFile,
    most: u64,
    field: &str,
) -> Result<String> {
    if file.length > most {
        return Err(Error::invalid(field, format_args!("`{}` is larger than {most} bytes", file.path)));
    }
    let (mut pieces, _) = open_file(cx, shelf, &file.sha256).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.try_next().await? {
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid(field, format_args!("`{}` is not UTF-8", file.path)))
}

/// A content asked about.
#[derive(Clone, Debug)]
pub struct MissingFile {
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// In bytes.
    pub length: u64,
}

/// Says which of these contents the workspace does not have yet.
#[derive(Debug)]
pub struct ListMissingFiles {
    /// The workspace.
    pub workspace: ResourceId,
    /// The contents.
    pub files: Vec<MissingFile>,
}

#[async_trait]
impl Op for ListMissingFiles {
    const ACTION: Action = READ;
    type Output = Vec<String>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<String>> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        if self.files.len() > MOST_ASKED {
            return Err(Error::new(Kind::TooLarge, format!("at most {MOST_ASKED} files can be asked about at once")));
        }
        if let Some(bad) = self.files.iter().position(|file| tree::digest(&file.sha256).is_none()) {
            return Err(Error::invalid(format!("files[{bad}].sha256"), "must be 64 lower-case hex digits"));
        }
        let mut asked = BTreeSet::new();
        let mut missing = Vec::new();
        for file in self.files {
            if asked.insert(file.sha256.clone()) && find(cx, &shelf, &file.sha256).await?.is_none() {
                missing.push(file.sha256);
            }
        }
        Ok(missing)
    }
}

/// Takes in a pack. Every content is verified; with one that is wrong, nothing is kept.
pub struct PutPack {
    /// The workspace.
    pub workspace: ResourceId,
    /// The pack.
    pub body: ByteStream,
}

#[async_trait]
impl Op for PutPack {
    const ACTION: Action = WRITE;
    /// How many contents are new.
    type Output = usize;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<usize> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let (body, unpacker) = pack::checked(self.body);
        let pack = cx.put_blob(&shelf, pack::LARGEST, body).await?;
        let unpacker = std::mem::take(&mut *unpacker.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let files = match unpacker.finish() {
            Ok(files) => files,
            Err(fault) => {
                cx.drop_blob(&pack).await;
                return Err(fault);
            }
        };
        for _ in 0..ATTEMPTS {
            match keep(cx, &shelf, &pack, &files).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(Error::new(Kind::Throttled, "too many others upload the same files at once; try again"))
    }
}

/// Names those contents of a pack that are new. Without any, the pack is not needed.
async fn keep(cx: &Admission<'_>, shelf: &Shelf, pack: &BlobRef, files: &[Packed]) -> Result<usize> {
    let mut changes = Changes::new();
    let mut seen = BTreeSet::new();
    let mut fresh: usize = 0;
    for file in files {
        let sha256 = hex(&file.sha256);
        if !seen.insert(file.sha256) || find(cx, shelf, &sha256).await?.is_some() {
            continue;
        }
        let stored = StoredFile { pack: pack.clone(), offset: file.offset, length: file.length };
        changes.put(shelf, &Row::new(row_id(shelf, &sha256), stored))?;
        fresh = fresh.saturating_add(1);
    }
    cx.note("files", fresh.to_string());
    cx.note("bytes", pack.length.to_string());
    cx.commit(changes).await?;
    if fresh == 0 {
        cx.drop_blob(pack).await;
    }
    Ok(fresh)
}

/// Reads one content, for restoring a snapshot.
#[derive(Debug)]
pub struct GetSnapshotFile {
    /// The workspace.
    pub workspace: ResourceId,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

#[async_trait]
impl Op for GetSnapshotFile {
    const ACTION: Action = READ;
    /// The bytes, and how many.
    type Output = (ByteStream, u64);

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        if tree::digest(&self.sha256).is_none() {
            return Err(Error::not_found("the file"));
        }
        cx.note("sha256", &self.sha256);
        open_file(cx, &shelf, &self.sha256).await
    }
}
