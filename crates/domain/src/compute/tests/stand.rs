//! What the scenarios stand on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use kernel::{
    Agreement, BlobStore, Caller, Capabilities, ComputeDriver, Error, KeyProvider, Kind, LaunchSpec, Launched,
    MetaStore, Principal, PrincipalKind, ProcessState, ResourceId, Result, RunId, Sealed, Sealing, Secret, Source,
    StoreError, StoreResult, Wall, Who,
};
use testkit::{ToySealing, TurnableClock};

use crate::{
    compute::{AgentAddress, Assignment, FinishRun, GetJob, JobStatus, NewJob, PutJob, RunState, StartRun, Swap},
    gate::{ByteStream, House, Op, Parts, Settings, enter},
    identity::{FoundHouse, identify},
    resources::{Precondition, PutResourceGroup, PutWorkspace, WorkspaceRequest},
    snapshots::{NewCode, PutCode, PutPack, SnapshotFile},
    work::look_once,
};

/// A target that starts nothing and remembers everything.
#[derive(Default)]
pub struct Pretender {
    pub started: Mutex<Vec<LaunchSpec>>,
    pub alive: Mutex<BTreeSet<String>>,
    pub refusals: AtomicUsize,
}

impl Pretender {
    pub fn starts(&self) -> usize {
        self.started.lock().unwrap().len()
    }

    /// All its processes end.
    pub fn kill_all(&self) {
        self.alive.lock().unwrap().clear();
    }
}

#[async_trait]
impl ComputeDriver for Pretender {
    async fn start(&self, spec: LaunchSpec) -> StoreResult<Launched> {
        if self.refusals.load(Ordering::SeqCst) > 0 {
            self.refusals.fetch_sub(1, Ordering::SeqCst);
            return Err(StoreError::Failed("no room".into()));
        }
        let mut started = self.started.lock().unwrap();
        let handle = format!("process-{}", started.len());
        self.alive.lock().unwrap().insert(handle.clone());
        started.push(spec);
        Ok(Launched { handle })
    }

    async fn state(&self, launched: &Launched) -> StoreResult<ProcessState> {
        let is_alive = self.alive.lock().unwrap().contains(&launched.handle);
        Ok(if is_alive { ProcessState::Alive } else { ProcessState::Gone })
    }

    async fn stop(&self, launched: &Launched) -> StoreResult<()> {
        self.alive.lock().unwrap().remove(&launched.handle);
        Ok(())
    }

    fn capabilities(&self) -> Arc<Capabilities> {
        let wall = |name: &str, stands: bool| Wall { name: name.to_owned(), stands, note: String::new() };
        Arc::new(Capabilities { walls: vec![wall("seccomp", true), wall("own-uid-range", false)], cores: 4 })
    }
}

struct Root;

#[async_trait]
impl KeyProvider for Root {
    async fn wrap(&self, purpose: Agreement<'_>, key: &Secret<Vec<u8>>) -> StoreResult<Sealed> {
        ToySealing.seal(&Secret::new(vec![7; 32]), purpose, key.expose())
    }
    async fn unwrap(&self, purpose: Agreement<'_>, wrapped: &Sealed) -> StoreResult<Secret<Vec<u8>>> {
        ToySealing.open(&Secret::new(vec![7; 32]), purpose, wrapped)
    }
    fn describe(&self) -> String {
        String::from("a test's root key")
    }
}

/// A house with a workspace and its owner.
pub struct Stand {
    pub house: Arc<House>,
    pub clock: Arc<TurnableClock>,
    pub target: Arc<Pretender>,
    pub owner: Caller,
    pub workspace: ResourceId,
    meta: Arc<dyn MetaStore>,
    blobs: Arc<dyn BlobStore>,
}

/// An agent that began its run.
pub struct Agent {
    pub caller: Caller,
    pub address: AgentAddress,
    pub assignment: Assignment,
}

async fn open(
    meta: &Arc<dyn MetaStore>,
    blobs: &Arc<dyn BlobStore>,
    clock: &Arc<TurnableClock>,
    target: &Arc<Pretender>,
) -> Arc<House> {
    let (driver, turned): (Arc<dyn ComputeDriver>, Arc<dyn kernel::Clock>) = (target.clone(), clock.clone());
    let parts = Parts {
        meta: Arc::clone(meta),
        blobs: Arc::clone(blobs),
        root: Arc::new(Root),
        compute: driver,
        web: Arc::new(kernel::NoWeb),
        clock: turned,
        settings: Settings { cache_dir: String::from("/cache"), ..Settings::default() },
        actions: Vec::new(),
    };
    Arc::new(House::open(parts).await.unwrap())
}

impl Stand {
    pub async fn new() -> Self {
        let meta: Arc<dyn MetaStore> = Arc::new(store::meta::Memory::new(Arc::new(seal::Sha256Chain)));
        let blobs: Arc<dyn BlobStore> = Arc::new(store::blob::Memory::new());
        let (clock, target) = (Arc::new(TurnableClock::default()), Arc::new(Pretender::default()));
        let house = open(&meta, &blobs, &clock, &target).await;
        let found = FoundHouse {
            admin: String::from("admin"),
            password: Secret::new(String::from("correct horse battery")),
            charter: crate::identity::Charter::draw().unwrap(),
        };
        let founded = enter(&house, &Caller::house(), found).await.unwrap();
        let principal = Principal {
            id: founded.principal,
            tenant: founded.tenant,
            kind: PrincipalKind::ServicePrincipal,
            app: Some(founded.app),
            name: String::from("owner"),
            proof: kernel::Proof::default(),
        };
        let owner = Caller { who: Who::Principal(principal), source: Source::internal() };
        let group = ResourceId::subscription(founded.subscription).child(["resourceGroups", "g"]).unwrap();
        let put = PutResourceGroup { id: group.clone(), location: String::from("local"), tags: BTreeMap::new() };
        enter(&house, &owner, put).await.unwrap();
        let workspace = group.child(["providers", "Microsoft.MachineLearningServices", "workspaces", "ws1"]).unwrap();
        let put = PutWorkspace {
            id: workspace.clone(),
            location: String::from("local"),
            tags: BTreeMap::new(),
            request: WorkspaceRequest::default(),
            precondition: Precondition::default(),
        };
        enter(&house, &owner, put).await.unwrap();
        Self { house, clock, target, owner, workspace, meta, blobs }
    }

    /// The same stores under a new server.
    pub async fn restart(&mut self) {
        self.house = open(&self.meta, &self.blobs, &self.clock, &self.target).await;
    }

    pub async fn ask<O: Op>(&self, op: O) -> Result<O::Output> {
        enter(&self.house, &self.owner, op).await
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// One look of the house's own work.
    pub async fn look(&self) {
        look_once(&self.house, true).await.unwrap();
    }

    pub fn child(&self, segments: &[&str]) -> ResourceId {
        self.workspace.child(segments.iter().copied()).unwrap()
    }

    pub fn job_id(&self, name: &str) -> ResourceId {
        self.child(&["jobs", name])
    }

    pub async fn send_pack(&self, contents: &[&[u8]]) -> Result<usize> {
        let mut pack = Vec::new();
        for content in contents {
            pack.extend_from_slice(&seal::Sha256::of(content));
            pack.extend_from_slice(&u64::try_from(content.len()).unwrap().to_be_bytes());
            pack.extend_from_slice(content);
        }
        self.ask(PutPack { workspace: self.workspace.clone(), body: body(pack) }).await
    }

    /// Brings files and names them.
    pub async fn put_code(&self, name: &str, files: &[(&str, &[u8])]) -> Result<(ResourceId, String)> {
        let contents: Vec<&[u8]> = files.iter().map(|(_, content)| *content).collect();
        self.send_pack(&contents).await?;
        let files = files.iter().map(|(path, content)| file(path, content)).collect();
        let id = self.child(&["codes", name, "versions", "1"]);
        let put = PutCode { id: id.clone(), code: NewCode { files, ..NewCode::default() } };
        let written = self.ask(put).await?;
        Ok((id, written.row.value.properties.snapshot))
    }

    pub async fn submit(&self, name: &str) -> Result<JobStatus> {
        let job = NewJob { command: String::from("python train.py"), ..NewJob::default() };
        self.ask(PutJob { id: self.job_id(name), job }).await
    }

    pub async fn state(&self, name: &str) -> RunState {
        self.ask(GetJob { id: self.job_id(name) }).await.unwrap().launch.state
    }

    /// The bootstrap message that the target got for its `at`-th start.
    pub fn message(&self, at: usize) -> serde_json::Value {
        serde_json::from_str(self.target.started.lock().unwrap()[at].bootstrap.expose()).unwrap()
    }

    pub async fn begin(&self, message: &serde_json::Value) -> Result<Agent> {
        let op = StartRun {
            run: message["run"].as_str().unwrap().parse().unwrap(),
            token: Secret::new(message["token"].as_str().unwrap().to_owned()),
            version: String::from("test"),
            missing_walls: vec![String::from("own-uid-range")],
            scratch: Some(Swap::Forbidden),
        };
        let run: RunId = op.run.clone();
        let assignment = enter(&self.house, &Caller::nobody(Source::internal()), op).await?;
        let caller = identify(&self.house, assignment.token.expose(), Source::internal()).await?;
        let address = AgentAddress { run, scope: assignment.scope.clone() };
        Ok(Agent { caller, address, assignment })
    }

    /// Submits a job, starts it and lets its agent begin.
    pub async fn running(&self, name: &str) -> Agent {
        self.submit(name).await.unwrap();
        self.look().await;
        let agent = self.begin(&self.message(self.target.starts() - 1)).await.unwrap();
        for state in [RunState::Preparing, RunState::Starting, RunState::Running] {
            agent.report(self, state).await.unwrap();
        }
        agent
    }

    pub async fn records(&self) -> u64 {
        self.house.flush_reads().await.unwrap();
        self.house.log_head().await.unwrap().0
    }
}

impl Agent {
    pub async fn tell<O: Op>(&self, stand: &Stand, op: O) -> Result<O::Output> {
        enter(&stand.house, &self.caller, op).await
    }

    pub async fn report(&self, stand: &Stand, state: RunState) -> Result<()> {
        let message = Some(format!("now {}", state.word()));
        self.tell(stand, crate::compute::ReportStatus { address: self.address.clone(), state, message }).await
    }

    pub async fn beat(&self, stand: &Stand) -> Result<crate::compute::Orders> {
        self.tell(stand, crate::compute::Heartbeat { address: self.address.clone(), wait: Duration::ZERO }).await
    }

    pub async fn finish(&self, stand: &Stand, state: RunState, exit_code: Option<i32>) -> Result<()> {
        let (address, message, missing_walls) = (self.address.clone(), None, vec![String::from("own-uid-range")]);
        let finish =
            FinishRun { address, state, exit_code, message, missing_walls, is_scratch_cleared: exit_code.is_some() };
        self.tell(stand, finish).await
    }

    /// What the door asks before an operation is reached.
    pub async fn is_known(&self, stand: &Stand) -> bool {
        match identify(&stand.house, self.assignment.token.expose(), Source::internal()).await {
            Ok(_) => true,
            Err(fault) => {
                assert_eq!(fault.kind(), Kind::Unauthenticated);
                false
            }
        }
    }
}

pub fn file(path: &str, content: &[u8]) -> SnapshotFile {
    let length = u64::try_from(content.len()).unwrap();
    SnapshotFile { path: path.to_owned(), length, sha256: seal::sha256_hex(content), executable: false }
}

pub fn body(bytes: Vec<u8>) -> ByteStream {
    stream::iter([Ok::<_, Error>(Bytes::from(bytes))]).boxed()
}

pub async fn whole(stream: ByteStream) -> Vec<u8> {
    stream.map_ok(|piece| piece.to_vec()).try_concat().await.unwrap()
}
