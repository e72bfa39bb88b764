//! A house whose workspace can be raised: jobs, agents, models and services in it, by the operations behind the doors.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::{
    compute::{AgentAddress, Assignment, FinishRun, JobStatus, NewJob, PutJob, RunState, SCRATCH_WALL, StartRun, Swap},
    diagnostics::{Entry, ListOutbox, PutCollection},
    gate::enter,
    identity::identify,
    images::{PackageModel, PutModelVersion},
    impact::{GetImpact, Impact, RaiseImpact},
    resources::{GetResource, PatchWorkspace, Precondition, Wanted, Workspace},
    scoring::{DeploymentRequest, EndpointRequest, PutDeployment, PutEndpoint, ServiceKind},
    tracking::{
        ArtifactPath, ArtifactPlace, CreateExperiment, CreateRun, DatasetInput, LogLinks, PutArtifact, RunLinks,
    },
    work::look_once,
};
use futures::{StreamExt, stream};
use kernel::{Caller, ResourceId, Result, RunCaller, RunId, Secret, Source, Who, WorkspaceId};

use crate::house::{Callers, TestHouse, Who as Knocking};

/// What no entry of the outbox may hold.
pub const KEY: &str = "hunter2hunter2";

/// The stand.
pub struct Stand {
    pub test: TestHouse,
    pub callers: Callers,
    pub owner: Caller,
    pub workspace: ResourceId,
    pub guid: WorkspaceId,
}

impl Stand {
    pub async fn new() -> Self {
        let (test, callers) = TestHouse::new().await;
        let token = callers.token(Knocking::Owner).unwrap();
        let owner = identify(&test.house, token.expose(), Source::internal()).await.unwrap();
        let workspace: ResourceId = test.workspace().parse().unwrap();
        let found = enter(&test.house, &owner, GetResource::<Workspace>::new(workspace.clone())).await.unwrap();
        let guid = WorkspaceId::from(found.value.guid);
        Self { test, callers, owner, workspace, guid }
    }

    /// From now on the target keeps scratch off the disk.
    pub fn build_wall(&self) {
        self.test.computer.walls.lock().unwrap().push(SCRATCH_WALL);
    }

    /// Somebody who may do everything in the subscription but grant.
    pub async fn contributor(&self) -> Caller {
        let token = self.callers.token(Knocking::Contributor).unwrap();
        identify(&self.test.house, token.expose(), Source::internal()).await.unwrap()
    }

    pub fn id(&self, segments: &[&str]) -> ResourceId {
        self.workspace.child(segments.iter().copied()).unwrap()
    }

    /// A model of this name with one file, and its image.
    async fn image(&self, name: &str) {
        let (house, workspace) = (&self.test.house, || self.workspace.clone());
        let op = CreateExperiment { workspace: workspace(), name: format!("e-{name}"), tags: Vec::new() };
        let experiment = enter(house, &self.owner, op).await.unwrap();
        let op =
            CreateRun { workspace: workspace(), experiment, name: String::new(), started_at: None, tags: Vec::new() };
        let run = enter(house, &self.owner, op).await.unwrap().run.id;
        let path = ArtifactPath::parse("model/model.onnx").unwrap();
        let op = PutArtifact {
            workspace: workspace(),
            place: ArtifactPlace::of_run(run.clone(), path),
            most: 1 << 20,
            body: stream::iter([Ok(Bytes::from_static(b"not parsed here"))]).boxed(),
            is_new_only: false,
            address: None,
        };
        enter(house, &self.owner, op).await.unwrap();
        let id = self.id(&["models", name, "versions", "1"]);
        let uri = format!("runs:/{run}/model");
        let op = PutModelVersion { id: id.clone(), uri, description: String::new(), tags: BTreeMap::new() };
        enter(house, &self.owner, op).await.unwrap();
        let op = PackageModel { id, image: name.to_owned(), code: None, requirements: None };
        enter(house, &self.owner, op).await.unwrap();
    }
}

pub fn job(experiment: &str) -> NewJob {
    NewJob {
        command: String::from("python train.py"),
        experiment: Some(experiment.to_owned()),
        variables: BTreeMap::from([(String::from("LR"), String::from("0.1")), (String::from("NOTE"), KEY.to_owned())]),
        ..NewJob::default()
    }
}

pub async fn submit(stand: &Stand, who: &Caller, name: &str, job: NewJob) -> Result<JobStatus> {
    enter(&stand.test.house, who, PutJob { id: stand.id(&["jobs", name]), job }).await
}

/// Starts what is queued, and lets the agent of a run say its first word.
pub async fn begin(stand: &Stand, run: &str, missing: &[&str]) -> (Caller, Assignment) {
    look_once(&stand.test.house, true).await.unwrap();
    let message: serde_json::Value = {
        let started = stand.test.computer.started.lock().unwrap();
        let mut messages = started.values().map(|spec| serde_json::from_str(spec.bootstrap.expose()).unwrap());
        messages.find(|message: &serde_json::Value| message["run"] == run).expect("the run was started")
    };
    let op = StartRun {
        run: run.parse().unwrap(),
        token: Secret::new(message["token"].as_str().unwrap().to_owned()),
        version: String::from("0"),
        missing_walls: missing.iter().map(|wall| (*wall).to_owned()).collect(),
        scratch: Some(if missing.contains(&SCRATCH_WALL) { Swap::Possible } else { Swap::Forbidden }),
    };
    let assignment = enter(&stand.test.house, &Caller::nobody(Source::internal()), op).await.unwrap();
    let who = RunCaller {
        run: run.parse().unwrap(),
        workspace: stand.guid,
        scope: assignment.scope.clone(),
        on_behalf_of: assignment.launch.submitted_by,
        only: Vec::new(),
    };
    (Caller { who: Who::Run(who), source: Source::internal() }, assignment)
}

pub async fn finish(stand: &Stand, agent: &Caller, is_scratch_cleared: bool) {
    let Who::Run(me) = &agent.who else { panic!("no agent") };
    let op = FinishRun {
        address: AgentAddress { run: me.run.clone(), scope: me.scope.clone() },
        state: RunState::Completed,
        exit_code: Some(0),
        message: None,
        missing_walls: Vec::new(),
        is_scratch_cleared,
    };
    enter(&stand.test.house, agent, op).await.unwrap();
}

pub async fn raise(stand: &Stand) -> Impact {
    enter(&stand.test.house, &stand.owner, RaiseImpact { workspace: stand.workspace.clone() }).await.unwrap()
}

pub async fn impact(stand: &Stand) -> Impact {
    enter(&stand.test.house, &stand.owner, GetImpact { workspace: stand.workspace.clone() }).await.unwrap()
}

/// The whole tenant's owner, who alone may say what is collected.
pub fn house() -> Caller {
    Caller::house()
}

pub async fn outbox(stand: &Stand) -> Vec<Entry> {
    enter(&stand.test.house, &house(), ListOutbox).await.unwrap()
}

pub async fn collect(stand: &Stand, is_on: bool) {
    let op = PutCollection { is_on, destination: None, hold_hours: None };
    enter(&stand.test.house, &house(), op).await.unwrap();
}

pub async fn patch(stand: &Stand, wanted: Wanted) -> Result<()> {
    let op = PatchWorkspace { id: stand.workspace.clone(), wanted, precondition: Precondition::default() };
    enter(&stand.test.house, &stand.owner, op).await.map(drop)
}

/// Trains, uses a data set, registers and deploys.
pub async fn cycle(stand: &Stand, number: usize) {
    submit(stand, &stand.owner, &format!("train{number}"), job("churn")).await.unwrap();
    let (agent, _) = begin(stand, &format!("train{number}"), &[]).await;
    let run: RunId = format!("train{number}").parse().unwrap();
    let dataset = DatasetInput {
        name: String::from("iris"),
        digest: format!("d{number}"),
        source_type: String::from("local"),
        source: String::from("/secret/path.csv"),
        schema: None,
        profile: None,
        tags: Vec::new(),
    };
    let more = RunLinks { datasets: vec![dataset], ..RunLinks::default() };
    enter(&stand.test.house, &agent, LogLinks { workspace: stand.workspace.clone(), run, more }).await.unwrap();
    finish(stand, &agent, true).await;
    let model = format!("model{number}");
    stand.image(&model).await;
    let endpoint = stand.id(&["onlineEndpoints", &format!("service-{number}")]);
    let request = EndpointRequest::default();
    let op = PutEndpoint { id: endpoint.clone(), request, must_exist: false, precondition: Precondition::default() };
    enter(&stand.test.house, &stand.owner, op).await.unwrap();
    let request = DeploymentRequest {
        kind: Some(ServiceKind::SingleContainer),
        image: Some(model.parse().unwrap()),
        variables: Some(BTreeMap::from([(String::from("THRESHOLD"), KEY.to_owned())])),
        ..DeploymentRequest::default()
    };
    let id = endpoint.child(["deployments", "blue"]).unwrap();
    let op = PutDeployment { id, request, is_patch: false, precondition: Precondition::default() };
    enter(&stand.test.house, &stand.owner, op).await.unwrap();
}
