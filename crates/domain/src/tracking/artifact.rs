//! Files of runs, logged models and model versions: a sealed blob each, and a row that names it.

use kernel::{Result, RunId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ArtifactPath, run};
use crate::gate::{Admission, BlobRef, Changes, Record, Row, Shelf};

/// Whose file it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// A run.
    Run(RunId),
    /// A logged model.
    LoggedModel(String),
    /// A registered version of a model.
    Version {
        /// The registered model's own id.
        model: Uuid,
        /// Its number.
        version: u64,
    },
}

impl Owner {
    /// The prefix of its rows.
    pub(super) fn prefix(&self, shelf: &Shelf) -> Vec<u8> {
        let name = match self {
            Self::Run(run) => format!("run|{run}"),
            Self::LoggedModel(id) => format!("model|{id}"),
            Self::Version { model, version } => format!("version|{model}|{version}"),
        };
        shelf.name_id::<Artifact>(&name)
    }

    pub(super) fn row_id(&self, shelf: &Shelf, path: &ArtifactPath) -> Vec<u8> {
        let mut id = self.prefix(shelf);
        id.extend(shelf.name_id::<Artifact>(&format!("path|{path}")));
        id
    }
}

/// One file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Artifact {
    /// Where it lies below its owner.
    pub path: ArtifactPath,
    /// Its content.
    pub blob: BlobRef,
}

impl Record for Artifact {
    const TABLE: &'static str = "artifact";
}

/// Where the files of a new model version come from.
#[derive(Clone, Debug)]
pub enum ModelSource {
    /// A logged model of the workspace.
    LoggedModel(String),
    /// What lies below a path of a run's files (the empty path: all of them), or that file itself.
    Run {
        /// The run.
        run: RunId,
        /// The directory or file.
        path: String,
    },
    /// The files of another version.
    Version {
        /// Its model's name.
        name: String,
        /// Its number.
        version: u64,
    },
    /// These files: relative path and content.
    Files(Vec<(String, BlobRef)>),
    /// No files: the version is all in its tags (MLflow's prompts).
    Nothing,
}

/// Adds a file to a run, or replaces the one at the same path. The run must exist. One call per path and commit.
///
/// # Errors
/// `Invalid` for a bad path, `NotFound` for an unknown run.
pub async fn add_artifact(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    run: &RunId,
    path: &str,
    blob: BlobRef,
) -> Result<()> {
    run::find(cx, shelf, run).await?;
    put_file(cx, shelf, changes, &Owner::Run(run.clone()), path, blob).await
}

pub(super) async fn put_file(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    owner: &Owner,
    path: &str,
    blob: BlobRef,
) -> Result<()> {
    let path = ArtifactPath::parse(path)?;
    if path.is_root() {
        return Err(kernel::Error::new(kernel::Kind::Invalid, "Invalid path"));
    }
    let id = owner.row_id(shelf, &path);
    let row = match cx.get::<Artifact>(shelf, &id).await? {
        // The old content is left to the sweep: a registered version may still name it.
        Some(mut row) => {
            row.value.blob = blob;
            row
        }
        None => Row::new(id, Artifact { path, blob }),
    };
    changes.put(shelf, &row)?;
    Ok(())
}

/// The files of a run at or below a path, sorted by path, for whoever was admitted to them.
///
/// # Errors
/// `NotFound` for an unknown run.
pub(crate) async fn files_of_run(
    cx: &Admission<'_>,
    shelf: &Shelf,
    run: &RunId,
    path: &ArtifactPath,
) -> Result<Vec<Artifact>> {
    run::find(cx, shelf, run).await?;
    files_below(cx, shelf, &Owner::Run(run.clone()), path).await
}

/// The files of an owner at or below a path, sorted by path.
pub(super) async fn files_below(
    cx: &Admission<'_>,
    shelf: &Shelf,
    owner: &Owner,
    path: &ArtifactPath,
) -> Result<Vec<Artifact>> {
    let rows = cx.all::<Artifact>(shelf, &owner.prefix(shelf)).await?;
    let mut files: Vec<Artifact> = rows.into_iter().map(|row| row.value).collect();
    files.retain(|file| file.path == *path || file.path.below(path).is_some());
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
