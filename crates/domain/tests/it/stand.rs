//! A founded house over memory, with a workspace, an owner, and a target that only writes down what it is asked to start.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    access::{PutRoleAssignment, READER},
    compute::{AgentAddress, FinishRun, RunState, StartRun},
    gate::{House, Parts, Settings, enter},
    identity::{ClientClaim, CreateServicePrincipal, FoundHouse, GetToken},
    images::{Image, PackageModel, PutModelVersion},
    resources::{Precondition, PutResourceGroup, PutWorkspace, WorkspaceRequest},
    scoring::{Deployed, DeploymentRequest, EndpointRequest, ListListening, Listening, PutDeployment, PutEndpoint},
    tracking::{ArtifactPath, ArtifactPlace, CreateExperiment, CreateRun, PutArtifact},
    work::look_once,
};
use futures::{StreamExt, stream};
use kernel::{
    Agreement, Caller, Capabilities, ComputeDriver, KeyProvider, LaunchSpec, Launched, Principal, PrincipalId,
    PrincipalKind, ProcessState, ResourceId, Result, RunCaller, RunId, Sealed, Sealing, Secret, Source, StoreResult,
    Who, WorkspaceId,
};
use testkit::{ToySealing, TurnableClock};

/// Wraps with a key that everybody knows.
struct RootDouble;

#[async_trait]
impl KeyProvider for RootDouble {
    async fn wrap(&self, purpose: Agreement<'_>, key: &Secret<Vec<u8>>) -> StoreResult<Sealed> {
        ToySealing.seal(&Secret::new(vec![7; 32]), purpose, key.expose())
    }
    async fn unwrap(&self, purpose: Agreement<'_>, wrapped: &Sealed) -> StoreResult<Secret<Vec<u8>>> {
        ToySealing.open(&Secret::new(vec![7; 32]), purpose, wrapped)
    }
    fn describe(&self) -> String {
        String::from("a double")
    }
}

/// Writes down what it is asked to start and stop.
#[derive(Default)]
pub struct TargetDouble {
    pub started: Mutex<Vec<LaunchSpec>>,
    stopped: Mutex<Vec<String>>,
}

#[async_trait]
impl ComputeDriver for TargetDouble {
    async fn start(&self, spec: LaunchSpec) -> StoreResult<Launched> {
        let handle = spec.name.clone();
        self.started.lock().unwrap().push(spec);
        Ok(Launched { handle })
    }
    async fn state(&self, launched: &Launched) -> StoreResult<ProcessState> {
        let is_stopped = self.stopped.lock().unwrap().contains(&launched.handle);
        Ok(if is_stopped { ProcessState::Gone } else { ProcessState::Alive })
    }
    async fn stop(&self, launched: &Launched) -> StoreResult<()> {
        self.stopped.lock().unwrap().push(launched.handle.clone());
        Ok(())
    }
    fn capabilities(&self) -> Arc<Capabilities> {
        Arc::default()
    }
}

/// The stand.
pub struct Stand {
    pub house: Arc<House>,
    pub clock: Arc<TurnableClock>,
    pub target: Arc<TargetDouble>,
    pub owner: Caller,
    pub workspace: ResourceId,
    pub guid: WorkspaceId,
    app: String,
    secret: Secret<String>,
}

impl Stand {
    pub async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let clock = Arc::new(TurnableClock::default());
        let target = Arc::new(TargetDouble::default());
        let parts = Parts {
            meta: Arc::new(store::meta::Memory::new(Arc::new(seal::Sha256Chain))),
            blobs: Arc::new(store::blob::Memory::new()),
            root: Arc::new(RootDouble),
            compute: target.clone(),
            web: Arc::new(kernel::NoWeb),
            clock: clock.clone(),
            settings,
            actions: Vec::new(),
        };
        let house = Arc::new(House::open(parts).await.unwrap());
        let found = FoundHouse {
            admin: String::from("admin"),
            password: Secret::new(String::from("correct horse")),
            charter: domain::identity::Charter::draw().unwrap(),
        };
        let founded = enter(&house, &Caller::house(), found).await.unwrap();
        let owner = caller(&house, founded.principal, "owner");
        let group = ResourceId::subscription(founded.subscription).child(["resourceGroups", "rg"]).unwrap();
        let op = PutResourceGroup { id: group.clone(), location: String::from("local"), tags: BTreeMap::new() };
        enter(&house, &owner, op).await.unwrap();
        let workspace = group.child(["providers", "Microsoft.MachineLearningServices", "workspaces", "ws1"]).unwrap();
        let op = PutWorkspace {
            id: workspace.clone(),
            location: String::new(),
            tags: BTreeMap::new(),
            request: WorkspaceRequest::default(),
            precondition: Precondition::default(),
        };
        let made = enter(&house, &owner, op).await.unwrap();
        let guid = WorkspaceId::from(made.row.value.guid);
        let (app, secret) = (founded.app.to_string(), founded.client_secret);
        Self { house, clock, target, owner, workspace, guid, app, secret }
    }

    /// An access token of the owner.
    pub async fn bearer(&self) -> String {
        let op = GetToken {
            client: ClientClaim::with_secret("organizations", self.app.clone(), self.secret.clone()),
            scope: String::from("https://management.azure.com/.default"),
            claims: None,
        };
        let token = enter(&self.house, &Caller::nobody(Source::internal()), op).await.unwrap().unwrap();
        token.token.expose().clone()
    }

    pub fn id(&self, segments: &[&str]) -> ResourceId {
        self.workspace.child(segments.iter().copied()).unwrap()
    }

    /// A principal that may only read the workspace.
    pub async fn reader(&self) -> Caller {
        let made =
            enter(&self.house, &self.owner, CreateServicePrincipal { name: String::from("reader") }).await.unwrap();
        let assignment = PutRoleAssignment {
            name: uuid::Uuid::new_v4(),
            scope: self.workspace.clone(),
            role: READER,
            principal: made.principal.id,
        };
        enter(&self.house, &self.owner, assignment).await.unwrap();
        caller(&self.house, made.principal.id, "reader")
    }

    /// A run with these files below `model`.
    pub async fn run_with(&self, files: &[(&str, &[u8])]) -> RunId {
        let experiment = CreateExperiment {
            workspace: self.workspace.clone(),
            name: format!("e{}", uuid::Uuid::new_v4()),
            tags: Vec::new(),
        };
        let experiment = enter(&self.house, &self.owner, experiment).await.unwrap();
        let run = CreateRun {
            workspace: self.workspace.clone(),
            experiment,
            name: String::new(),
            started_at: None,
            tags: Vec::new(),
        };
        let run = enter(&self.house, &self.owner, run).await.unwrap().run.id;
        for (path, content) in files {
            let path = ArtifactPath::parse(&format!("model/{path}")).unwrap();
            let content = Bytes::copy_from_slice(content);
            let op = PutArtifact {
                workspace: self.workspace.clone(),
                place: ArtifactPlace::of_run(run.clone(), path),
                most: 1 << 30,
                body: stream::iter([Ok(content)]).boxed(),
                is_new_only: false,
                address: None,
            };
            enter(&self.house, &self.owner, op).await.unwrap();
        }
        run
    }

    /// Registers these files as the next version of a model.
    pub async fn register(&self, name: &str, version: &str, files: &[(&str, &[u8])]) -> Result<()> {
        let run = self.run_with(files).await;
        let op = PutModelVersion {
            id: self.id(&["models", name, "versions", version]),
            uri: format!("runs:/{run}/model"),
            description: String::new(),
            tags: BTreeMap::new(),
        };
        enter(&self.house, &self.owner, op).await.map(drop)
    }

    /// Builds an image of a model version.
    pub async fn package(&self, model: &str, version: &str, image: &str) -> Result<Image> {
        let op = PackageModel {
            id: self.id(&["models", model, "versions", version]),
            image: image.to_owned(),
            code: None,
            requirements: None,
        };
        enter(&self.house, &self.owner, op).await
    }

    /// A model with one ONNX file, and its image `iris`.
    pub async fn iris(&self) -> Image {
        self.register("iris", "1", &[("model.onnx", b"not parsed here")]).await.unwrap();
        self.package("iris", "1", "iris").await.unwrap()
    }

    pub async fn endpoint(&self, name: &str, request: EndpointRequest) -> Result<domain::scoring::EndpointView> {
        let id = self.id(&["onlineEndpoints", name]);
        let op = PutEndpoint { id, request, must_exist: false, precondition: Precondition::default() };
        enter(&self.house, &self.owner, op).await
    }

    pub async fn deploy(&self, endpoint: &str, request: DeploymentRequest) -> Result<Deployed> {
        self.deploy_as(endpoint, "blue", request).await
    }

    pub async fn deploy_as(&self, endpoint: &str, name: &str, request: DeploymentRequest) -> Result<Deployed> {
        let id = self.id(&["onlineEndpoints", endpoint, "deployments", name]);
        let op = PutDeployment { id, request, is_patch: false, precondition: Precondition::default() };
        enter(&self.house, &self.owner, op).await
    }

    /// The replicas that are, or will be, listening.
    pub async fn listening(&self) -> Vec<Listening> {
        enter(&self.house, &Caller::house(), ListListening).await.unwrap()
    }

    /// Lets the scheduler start what is queued, and has each agent that was started say its first word. Gives back the
    /// callers that the new agents are.
    pub async fn begin_launches(&self) -> Vec<Caller> {
        look_once(&self.house, true).await.unwrap();
        let started = std::mem::take(&mut *self.target.started.lock().unwrap());
        let mut agents = Vec::new();
        for spec in started {
            let message: serde_json::Value = serde_json::from_str(spec.bootstrap.expose()).unwrap();
            let run: RunId = message["run"].as_str().unwrap().parse().unwrap();
            let op = StartRun {
                run: run.clone(),
                token: Secret::new(message["token"].as_str().unwrap().to_owned()),
                version: String::from("0"),
                missing_walls: Vec::new(),
                scratch: None,
            };
            let assignment = enter(&self.house, &Caller::nobody(Source::internal()), op).await.unwrap();
            let who = RunCaller {
                run,
                workspace: self.guid,
                scope: assignment.scope.clone(),
                on_behalf_of: assignment.launch.submitted_by,
                only: Vec::new(),
            };
            agents.push(Caller { who: Who::Run(who), source: Source::internal() });
        }
        agents
    }

    /// An agent's last word.
    pub async fn finish(&self, agent: &Caller, message: &str) {
        let address = agent_address(agent);
        let op = FinishRun {
            address,
            state: RunState::Failed,
            exit_code: Some(4),
            message: Some(message.to_owned()),
            missing_walls: Vec::new(),
            is_scratch_cleared: true,
        };
        enter(&self.house, agent, op).await.unwrap();
    }
}

pub fn agent_address(agent: &Caller) -> AgentAddress {
    let Who::Run(who) = &agent.who else { panic!("not an agent") };
    AgentAddress { run: who.run.clone(), scope: who.scope.clone() }
}

fn caller(house: &House, id: PrincipalId, name: &str) -> Caller {
    let tenant = house.tenant().unwrap();
    let principal = Principal {
        id,
        tenant,
        kind: PrincipalKind::ServicePrincipal,
        app: None,
        name: name.to_owned(),
        proof: kernel::Proof::default(),
    };
    Caller { who: Who::Principal(principal), source: Source::internal() }
}
