//! Operations on files of runs, logged models and model versions.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId, Who};
use uuid::Uuid;

use super::{
    ArtifactPath,
    action::{DELETE_ANY_ARTIFACT, DELETE_ARTIFACTS, READ_ARTIFACTS, WRITE_ANY_ARTIFACT, WRITE_ARTIFACTS},
    artifact::{Artifact, Owner, files_below, put_file},
    attempt::{self, Attempt, settle},
    azure::AddressProof,
    logged_model, ownership, run, text,
};
use crate::{
    compute,
    gate::{Admission, BlobRef, ByteStream, Changes, Cx, Op, Shelf},
    resources::workspace_shelf,
};

/// The address of a file or directory: whose it is, and where below it.
#[derive(Clone, Debug)]
pub struct ArtifactPlace {
    /// Whose.
    pub owner: Owner,
    /// The experiment that the address names; it must be the owner's.
    pub(super) experiment: Option<String>,
    /// Where.
    pub path: ArtifactPath,
}

impl ArtifactPlace {
    /// Below a run.
    pub fn of_run(run: RunId, path: ArtifactPath) -> Self {
        Self { owner: Owner::Run(run), experiment: None, path }
    }

    /// Below a logged model.
    pub fn of_logged_model(id: String, path: ArtifactPath) -> Self {
        Self { owner: Owner::LoggedModel(id), experiment: None, path }
    }

    /// Reads `{experiment}/{run}/artifacts/…`, `{experiment}/models/{model}/artifacts/…` or
    /// `registry/{model}/{version}/artifacts/…`: what stands behind `mlflow-artifacts:/`. None when it is no such address.
    ///
    /// # Errors
    /// `Invalid` for a hostile path.
    pub fn parse(address: &str) -> Result<Option<Self>> {
        let whole = ArtifactPath::parse(address)?;
        let segments: Vec<&str> = whole.as_str().split('/').collect();
        let (owner, experiment, rest) = match segments.as_slice() {
            ["registry", model, version, "artifacts", rest @ ..] => match (Uuid::try_parse(model), version.parse()) {
                (Ok(model), Ok(version)) => (Owner::Version { model, version }, None, rest),
                _ => return Ok(None),
            },
            [experiment, "models", model, "artifacts", rest @ ..] => {
                (Owner::LoggedModel((*model).to_owned()), Some((*experiment).to_owned()), rest)
            }
            [experiment, run, "artifacts", rest @ ..] => match run.parse() {
                Ok(run) => (Owner::Run(run), Some((*experiment).to_owned()), rest),
                Err(_) => return Ok(None),
            },
            _ => return Ok(None),
        };
        let path = ArtifactPath::parse(&rest.join("/"))?;
        Ok(Some(Self { owner, experiment, path }))
    }

    pub(super) fn missing(&self) -> Error {
        Error::new(Kind::NotFound, format!("No such artifact: '{}'", text::echo(self.path.as_str())))
    }

    /// The address of the owner's root. Refuses what is not there, or not under the experiment that the address names.
    pub(super) async fn must_exist(&self, cx: &Admission<'_>, shelf: &Shelf) -> Result<String> {
        let (home, root) = match &self.owner {
            Owner::Run(id) => {
                let run = run::find(cx, shelf, id).await?.value;
                (run.experiment.clone(), run.artifact_uri())
            }
            Owner::LoggedModel(id) => {
                let model = logged_model::find(cx, shelf, id).await?.value;
                (model.experiment.clone(), model.artifact_uri())
            }
            Owner::Version { model, version } => {
                return Ok(format!("mlflow-artifacts:/registry/{model}/{version}/artifacts"));
            }
        };
        match &self.experiment {
            Some(named) if *named != home => Err(self.missing()),
            _ => Ok(root),
        }
    }

    /// Refuses who may not write there.
    pub(super) async fn must_be_writable(&self, cx: &Admission<'_>, shelf: &Shelf, action: &Action) -> Result<()> {
        self.must_exist(cx, shelf).await?;
        match &self.owner {
            Owner::Run(id) => {
                let run = run::find(cx, shelf, id).await?.value;
                ownership::of_run(cx, &run, action).await?;
                run::must_be_active(cx, shelf, &run).await
            }
            Owner::LoggedModel(id) => {
                let model = logged_model::find(cx, shelf, id).await?.value;
                ownership::of_logged_model(cx, &model, action).await
            }
            Owner::Version { .. } => {
                Err(Error::new(Kind::Invalid, "the files of a registered model version cannot be changed"))
            }
        }
    }

    pub(super) fn note(&self, cx: &Admission<'_>) {
        match &self.owner {
            Owner::Run(id) => cx.note("run", id.to_string()),
            Owner::LoggedModel(id) => cx.note("loggedModel", id.clone()),
            Owner::Version { model, version } => cx.note("modelVersion", format!("{model}/{version}")),
        }
    }
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path below the owner.
    pub path: String,
    /// Its size in bytes; none for a directory.
    pub size: Option<u64>,
}

/// A directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The address of its owner's root.
    pub root: String,
    /// Its entries, by name.
    pub entries: Vec<Entry>,
}

/// Lists a directory. A file has no entries, and neither has what is not there.
#[derive(Debug)]
pub struct ListArtifacts {
    /// The workspace.
    pub workspace: ResourceId,
    /// The directory; none for an address that can hold nothing.
    pub place: Option<ArtifactPlace>,
}

#[async_trait]
impl Op for ListArtifacts {
    const ACTION: Action = READ_ARTIFACTS;
    type Output = Listing;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let Some(place) = self.place else { return Ok(Listing::default()) };
        let root = place.must_exist(cx, &shelf).await?;
        let directory = &place.path;
        let mut entries: BTreeMap<String, Option<u64>> = BTreeMap::new();
        for file in files_below(cx, &shelf, &place.owner, directory).await? {
            let Some(rest) = file.path.below(directory) else { continue };
            let base = if directory.is_root() { String::new() } else { format!("{directory}/") };
            match rest.split_once('/') {
                Some((name, _)) => entries.insert(format!("{base}{name}"), None),
                None => entries.insert(format!("{base}{rest}"), Some(file.blob.length)),
            };
        }
        Ok(Listing { root, entries: entries.into_iter().map(|(path, size)| Entry { path, size }).collect() })
    }
}

/// Writes a file, or replaces it.
pub struct PutArtifact {
    /// The workspace.
    pub workspace: ResourceId,
    /// The file.
    pub place: ArtifactPlace,
    /// Most bytes.
    pub most: u64,
    /// Its content.
    pub body: ByteStream,
    /// Whether a file that is there stays as it is, and this one is refused.
    pub is_new_only: bool,
    /// The address that it came with, if it came with one.
    pub address: Option<AddressProof>,
}

#[async_trait]
impl Op for PutArtifact {
    const ACTION: Action = WRITE_ARTIFACTS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let Self { place, most, body, is_new_only, address, .. } = self;
        if place.path.is_root() {
            return Err(Error::new(Kind::Invalid, "Invalid path"));
        }
        place.must_be_writable(cx, &shelf, &WRITE_ANY_ARTIFACT).await?;
        // Said before the body comes, and asked again when it counts.
        if is_new_only {
            must_be_free(cx, &shelf, &place).await?;
        }
        // What a run's code sends counts as what its agent brings, wherever it is put.
        let charged = ownership::own_run(cx);
        let blob = match &charged {
            Some(me) => compute::take_file(cx, &shelf, me, most, body).await?,
            None => cx.put_blob(&shelf, most, body).await?,
        };
        // All that one run sends changes the same count.
        let _turn = match &charged {
            Some(me) => Some(attempt::turn(&format!("{}|files of {me}", cx.scope())).await),
            None => None,
        };
        place.note(cx);
        let terms = (is_new_only, address.as_ref());
        for _ in 0..attempt::MOST {
            let changes = match kept(cx, &shelf, &place, terms, charged.as_ref(), &blob).await {
                Ok(changes) => changes,
                Err(fault) => {
                    cx.drop_blob(&blob).await;
                    return Err(fault);
                }
            };
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        cx.drop_blob(&blob).await;
        Err(attempt::too_busy())
    }
}

/// What makes a file real. Its body may have been long in coming: what held when it began must still hold when it counts.
async fn kept(
    cx: &Cx<'_, PutArtifact>,
    shelf: &Shelf,
    place: &ArtifactPlace,
    (is_new_only, address): (bool, Option<&AddressProof>),
    charged: Option<&RunId>,
    blob: &BlobRef,
) -> Result<Changes> {
    still_allowed(cx, shelf, place, address).await?;
    if is_new_only {
        must_be_free(cx, shelf, place).await?;
    }
    let mut changes = Changes::new();
    if let Some(me) = charged {
        compute::charge_file(cx, shelf, &mut changes, me, blob).await?;
    }
    put_file(cx, shelf, &mut changes, &place.owner, place.path.as_str(), blob.clone()).await?;
    Ok(changes)
}

/// Refuses a file where there is one. Of two that come at once the later one finds the row changed, and is asked again.
async fn must_be_free(cx: &Cx<'_, PutArtifact>, shelf: &Shelf, place: &ArtifactPlace) -> Result<()> {
    if cx.get::<Artifact>(shelf, &place.owner.row_id(shelf, &place.path)).await?.is_none() {
        return Ok(());
    }
    let taken = Error::new(Kind::Exists, "the run has a file of this name already; use another name");
    Err(taken.coded("BlobAlreadyExists"))
}

/// Whether the caller may still write here: the role is still held, the run still lives, what an address hangs on still stands, its
/// place still takes files.
async fn still_allowed(
    cx: &Cx<'_, PutArtifact>,
    shelf: &Shelf,
    place: &ArtifactPlace,
    address: Option<&AddressProof>,
) -> Result<()> {
    cx.require(&PutArtifact::ACTION, cx.scope()).await?;
    if let Who::Run(run) = &cx.caller().who
        && compute::has_ended(cx.house(), run).await?
    {
        return Err(Error::new(Kind::Unauthenticated, "the run has ended, and its token with it"));
    }
    if matches!(cx.caller().who, Who::Keyed(_)) {
        let proof = address.ok_or_else(|| Error::new(Kind::Denied, "the key is none for the files of a run"))?;
        proof.must_hold(cx.house()).await?;
    }
    place.must_be_writable(cx, shelf, &WRITE_ANY_ARTIFACT).await
}

/// Deletes a file, or a directory with all that lies below it. What is not there is `NotFound`.
#[derive(Debug)]
pub struct DeleteArtifact {
    /// The workspace.
    pub workspace: ResourceId,
    /// The file or directory.
    pub place: ArtifactPlace,
}

#[async_trait]
impl Op for DeleteArtifact {
    const ACTION: Action = DELETE_ARTIFACTS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for DeleteArtifact {
    fn contends_for(&self) -> String {
        format!("files|{:?}", self.place.owner)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        self.place.must_be_writable(cx, &shelf, &DELETE_ANY_ARTIFACT).await?;
        self.place.note(cx);
        let mut changes = Changes::new();
        // The contents are left to the sweep: a registered version may still name them.
        for row in cx.all::<Artifact>(&shelf, &self.place.owner.prefix(&shelf)).await? {
            if row.value.path == self.place.path || row.value.path.below(&self.place.path).is_some() {
                changes.delete(&shelf, &row);
            }
        }
        if changes.is_empty() {
            return Err(self.place.missing());
        }
        cx.commit(changes).await
    }
}
