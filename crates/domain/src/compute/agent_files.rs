//! Bytes that agents fetch and bring.

use std::sync::Arc;

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, RunId, WorkspaceId};

use super::{
    Work,
    agent::{AgentAddress, launch, live_state, missing, snapshot_of},
    brought::{charge_file, take_file},
    pulse::Contents,
};
use crate::{
    data_assets::open_input,
    gate::{Admission, BlobRef, ByteStream, Changes, Cx, Op, Range, Shelf},
    provenance::require_layer,
    registry::objects_of,
    snapshots::{find_manifest, open_file},
    tracking::{ArtifactPath, add_artifact},
};

/// Uploads of one run travel together and write the same count.
const ATTEMPTS: usize = 64;

const READ: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/metadata/snapshots/read", Class::Read).open_to_runs();
const WRITE: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/metadata/artifacts/write", Class::DataWrite)
        .open_to_runs();

/// Opens a file of the run's own snapshot.
#[derive(Debug)]
pub struct GetRunFile {
    /// Whose.
    pub address: AgentAddress,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

#[async_trait]
impl Op for GetRunFile {
    const ACTION: Action = READ;
    /// The bytes, and how many.
    type Output = (ByteStream, u64);

    fn scope(&self) -> ResourceId {
        self.address.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, me) = self.address.enter(cx).await?;
        if !self.contents(cx, &shelf, me.workspace).await?.contains(&self.sha256) {
            return Err(Error::not_found("the file"));
        }
        cx.note("run", me.run.as_str());
        cx.note("sha256", &self.sha256);
        open_file(cx, &shelf, &self.sha256).await
    }
}

impl GetRunFile {
    async fn contents(&self, cx: &Cx<'_, Self>, shelf: &Shelf, workspace: WorkspaceId) -> Result<Contents> {
        let pulses = &cx.house().pulses;
        if let Some(contents) = pulses.contents(workspace, &self.address.run) {
            return Ok(contents);
        }
        let launch = launch(cx, shelf, &self.address.run).await?;
        let files = match snapshot_of(&launch) {
            Some(snapshot) => find_manifest(cx, shelf, snapshot).await?.files,
            None => Vec::new(),
        };
        let contents: Contents = Arc::new(files.into_iter().map(|file| file.sha256).collect());
        pulses.keep_contents(workspace, &self.address.run, &contents);
        Ok(contents)
    }
}

/// Opens a file of one of the run's own inputs.
#[derive(Debug)]
pub struct GetRunInput {
    /// Whose.
    pub address: AgentAddress,
    /// The input's name.
    pub name: String,
    /// The file's place among those of the assignment.
    pub index: usize,
}

#[async_trait]
impl Op for GetRunInput {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/data/versions/read", Class::Read).open_to_runs();
    /// The bytes, and how many.
    type Output = (ByteStream, u64);

    fn scope(&self) -> ResourceId {
        self.address.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, me) = self.address.enter(cx).await?;
        cx.note("run", me.run.as_str());
        cx.note("input", self.name.as_str());
        open_input(cx, (&shelf, &me.scope), &me.run, (&self.name, self.index)).await
    }
}

/// Opens a layer of the run's own image.
#[derive(Debug)]
pub struct GetRunLayer {
    /// Whose.
    pub address: AgentAddress,
    /// `sha256:…`.
    pub digest: String,
}

#[async_trait]
impl Op for GetRunLayer {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/images/read", Class::Read).open_to_runs();
    /// The bytes, and how many.
    type Output = (ByteStream, u64);

    fn scope(&self) -> ResourceId {
        self.address.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, me) = self.address.enter(cx).await?;
        let launch = launch(cx, &shelf, &me.run).await?;
        let Work::Service { layers, image, .. } = &launch.work else { return Err(Error::not_found("the layer")) };
        let layer = layers.iter().find(|layer| layer.digest == self.digest);
        let layer = layer.ok_or_else(|| Error::not_found("the layer"))?;
        cx.note("run", me.run.as_str());
        cx.note("digest", &layer.digest);
        let (name, digest) = image.as_ref().ok_or_else(|| Error::not_found("the layer"))?;
        require_layer(cx, &shelf, (name, digest), &layer.digest).await?;
        match (&layer.blob, &layer.registry) {
            (Some(blob), _) => Ok((cx.open_blob(&shelf, blob, Range::ALL).await?, blob.length)),
            (None, Some((registry, repository))) => {
                let (shelf, objects) = objects_of(cx, *registry, repository, &layer.digest).await?;
                Ok((cx.open_blobs(&shelf, objects).await?, layer.size))
            }
            (None, None) => Err(Error::not_found("the layer")),
        }
    }
}

/// Takes in a file that the run left behind.
pub struct PutRunArtifact {
    /// Whose.
    pub address: AgentAddress,
    /// `outputs/…` or `logs/…`.
    pub path: String,
    /// The content.
    pub body: ByteStream,
}

#[async_trait]
impl Op for PutRunArtifact {
    const ACTION: Action = WRITE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.address.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, me) = self.address.enter(cx).await?;
        live_state(cx, &shelf, &me.run).await?;
        ArtifactPath::parse(&self.path)?;
        let root = self.path.split_once('/').map(|(root, _)| root);
        if !matches!(root, Some("outputs" | "logs" | "user_logs")) {
            return Err(Error::invalid("path", "a run's files lie below `outputs`, `logs` or `user_logs`"));
        }
        let (run, path) = (&me.run, self.path.as_str());
        let blob = take_file(cx, &shelf, run, u64::MAX, self.body).await?;
        cx.note("run", run.as_str());
        cx.note("bytes", blob.length.to_string());
        for _ in 0..ATTEMPTS {
            let changes = match kept(cx, &shelf, run, path, &blob).await {
                Ok(changes) => changes,
                Err(fault) => {
                    cx.drop_blob(&blob).await;
                    return Err(fault);
                }
            };
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => tokio::task::yield_now().await,
                done => return done,
            }
        }
        cx.drop_blob(&blob).await;
        Err(Error::new(Kind::Throttled, "too many uploads at once; try again"))
    }
}

/// What makes a file real.
async fn kept(cx: &Admission<'_>, shelf: &Shelf, run: &RunId, path: &str, blob: &BlobRef) -> Result<Changes> {
    live_state(cx, shelf, run).await.map_err(|_| missing())?;
    let mut changes = Changes::new();
    charge_file(cx, shelf, &mut changes, run, blob).await?;
    add_artifact(cx, shelf, &mut changes, run, path, blob.clone()).await?;
    Ok(changes)
}
