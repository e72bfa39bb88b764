//! The tracking room over stores in memory.

mod history;
mod paging;
mod reach;
mod recall;
mod versions;

use kernel::{Kind, Result, RunId};

use super::{
    ArtifactPath, ArtifactPlace, CreateLoggedModel, CreateModelVersion, CreateRegisteredModel, CreateRun, GetRun,
    LogBatch, Metric, Owner, Point, PutArtifact,
};
use crate::{
    compute::tests::stand::{Agent, Stand, body},
    gate::{Op, enter},
};

/// Who asks: the workspace's owner, or the code of a run.
#[derive(Clone, Copy)]
enum By<'a> {
    Owner,
    Code(&'a Agent),
}

async fn ask<O: Op>(stand: &Stand, by: By<'_>, op: O) -> Result<O::Output> {
    match by {
        By::Owner => stand.ask(op).await,
        By::Code(agent) => enter(&stand.house, &agent.caller, op).await,
    }
}

/// The kind of a refusal.
async fn kind<O: Op>(stand: &Stand, by: By<'_>, op: O) -> Kind {
    ask(stand, by, op).await.err().unwrap().kind()
}

fn own_run(agent: &Agent) -> RunId {
    agent.address.run.clone()
}

/// The experiment of a run.
async fn home(stand: &Stand, agent: &Agent) -> String {
    let get = GetRun { workspace: stand.workspace.clone(), run: own_run(agent) };
    stand.ask(get).await.unwrap().run.experiment
}

fn new_run(stand: &Stand, experiment: &str, parent: Option<&RunId>) -> CreateRun {
    CreateRun {
        workspace: stand.workspace.clone(),
        experiment: experiment.to_owned(),
        name: String::new(),
        started_at: None,
        tags: parent.map(|run| (String::from("mlflow.parentRunId"), run.to_string())).into_iter().collect(),
    }
}

async fn run_of_owner(stand: &Stand, experiment: &str) -> RunId {
    stand.ask(new_run(stand, experiment, None)).await.unwrap().run.id
}

fn points(stand: &Stand, run: &RunId, key: &str, points: impl Iterator<Item = Point>) -> LogBatch {
    let metric = |point| Metric {
        key: key.to_owned(),
        point,
        model: None,
        dataset_name: String::new(),
        dataset_digest: String::new(),
    };
    LogBatch {
        workspace: stand.workspace.clone(),
        run: run.clone(),
        metrics: points.map(metric).collect(),
        params: Vec::new(),
        tags: Vec::new(),
    }
}

fn new_logged_model(stand: &Stand, experiment: &str, source: Option<&RunId>) -> CreateLoggedModel {
    CreateLoggedModel {
        workspace: stand.workspace.clone(),
        experiment: experiment.to_owned(),
        name: String::from("m"),
        model_type: String::new(),
        source_run: source.cloned(),
        params: Vec::new(),
        tags: Vec::new(),
    }
}

fn file(stand: &Stand, owner: Owner, path: &str) -> PutArtifact {
    let path = ArtifactPath::parse(path).unwrap();
    let place = match owner {
        Owner::Run(run) => ArtifactPlace::of_run(run, path),
        Owner::LoggedModel(id) => ArtifactPlace::of_logged_model(id, path),
        Owner::Version { .. } => panic!("nobody writes there"),
    };
    let (workspace, body) = (stand.workspace.clone(), body(b"content".to_vec()));
    PutArtifact { workspace, place, most: 1000, body, is_new_only: false, address: None }
}

fn name(stand: &Stand, name: &str) -> CreateRegisteredModel {
    CreateRegisteredModel {
        workspace: stand.workspace.clone(),
        name: name.to_owned(),
        description: String::new(),
        tags: Vec::new(),
    }
}

fn version(stand: &Stand, name: &str, source: &str) -> CreateModelVersion {
    CreateModelVersion {
        workspace: stand.workspace.clone(),
        name: name.to_owned(),
        source: source.to_owned(),
        run: None,
        description: String::new(),
        run_link: String::new(),
        tags: Vec::new(),
    }
}
