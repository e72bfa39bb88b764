//! What the benchmarks share: a house in this process, a server in another, time and CPU.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use domain::{
    gate::{House, Parts, Settings, enter},
    identity::{ClientClaim, FoundHouse, GetToken},
    resources::PutResourceGroup,
};
use kernel::{
    BlobStore, Caller, Capabilities, ComputeDriver, KeyProvider, LaunchSpec, Launched, MetaStore, ProcessState,
    ResourceId, Secret, Source, StoreError, StoreResult, SystemClock,
};
use outbound::{Client, Timeouts};
use seal::RootSealing;
use store::key::KeyFile;

/// A directory on the disk under measurement, removed at the end. Not /tmp, which may be memory.
pub fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// Smallest and middle one.
pub fn least_and_median(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2])
}

/// Seconds of CPU, user and system.
fn seconds(of: nix::sys::resource::UsageWho) -> f64 {
    let usage = nix::sys::resource::getrusage(of).unwrap();
    let time = |value: nix::sys::time::TimeVal| value.tv_sec() as f64 + value.tv_usec() as f64 / 1e6;
    time(usage.user_time()) + time(usage.system_time())
}

/// CPU seconds of this process so far.
pub fn own_cpu() -> f64 {
    seconds(nix::sys::resource::UsageWho::RUSAGE_SELF)
}

/// CPU seconds of this thread so far.
pub fn thread_cpu() -> f64 {
    seconds(nix::sys::resource::UsageWho::RUSAGE_THREAD)
}

/// A target that starts nothing.
struct NoTarget;

#[async_trait]
impl ComputeDriver for NoTarget {
    async fn start(&self, _: LaunchSpec) -> StoreResult<Launched> {
        Err(StoreError::Missing)
    }
    async fn state(&self, _: &Launched) -> StoreResult<ProcessState> {
        Ok(ProcessState::Gone)
    }
    async fn stop(&self, _: &Launched) -> StoreResult<()> {
        Ok(())
    }
    fn capabilities(&self) -> Arc<Capabilities> {
        Arc::default()
    }
}

/// A founded house, and its owner's token.
pub struct Home {
    pub house: Arc<House>,
    pub token: Secret<String>,
    /// A resource group.
    pub group: ResourceId,
}

impl Home {
    pub async fn over(meta: Arc<dyn MetaStore>, blobs: Arc<dyn BlobStore>, dir: &Path) -> Self {
        let key = Secret::new(seal::random::<32>().unwrap().to_vec());
        let root: Arc<dyn KeyProvider> =
            Arc::new(KeyFile::create(&dir.join("root.key"), &key, Arc::new(RootSealing)).unwrap());
        let (clock, settings) = (Arc::new(SystemClock), Settings::default());
        let parts = Parts {
            meta,
            blobs,
            root,
            compute: Arc::new(NoTarget),
            web: Arc::new(kernel::NoWeb),
            clock,
            settings,
            actions: Vec::new(),
        };
        let house = House::open(parts).await.unwrap();
        let op = FoundHouse {
            admin: String::from("admin"),
            password: Secret::new(String::from("of no importance")),
            charter: domain::identity::Charter::draw().unwrap(),
        };
        let founded = enter(&house, &Caller::house(), op).await.unwrap();
        let op = GetToken {
            client: ClientClaim::with_secret(
                founded.tenant.to_string(),
                founded.app.to_string(),
                founded.client_secret,
            ),
            scope: String::from("https://management.azure.com/.default"),
            claims: None,
        };
        let nobody = Caller::nobody(Source::internal());
        let token = enter(&house, &nobody, op).await.unwrap().unwrap().token;
        let group = ResourceId::subscription(founded.subscription).child(["resourceGroups", "bench"]).unwrap();
        let op = PutResourceGroup { id: group.clone(), location: String::new(), tags: Default::default() };
        enter(&house, &Caller::house(), op).await.unwrap();
        Self { house: Arc::new(house), token, group }
    }
}

/// A server in a process of its own.
pub struct Server {
    child: Child,
    pub url: String,
    pub ca_pem: Vec<u8>,
    pub token: Secret<String>,
    pub subscription: String,
    pub tenant: String,
    pub client: Client,
    owner: (String, Secret<String>),
    dir: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Self {
        let dir = dir();
        let binary = std::env::var_os("BARTIZAN_BENCH_BINARY").map(PathBuf::from);
        let binary = binary.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_bartizan")));
        let data = dir.path().join("data");
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--offline", "--data-dir"])
            .arg(&data)
            .env("BARTIZAN_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let url = lines.filter_map(|line| line.strip_prefix("bartizan listens on ").map(str::to_owned)).next();
        let url = url.expect("the server ended before it listened");
        let ca_pem = std::fs::read(data.join("ca.pem")).unwrap();
        let text = std::fs::read_to_string(dir.path().join("data.env")).unwrap();
        let variable = |name: &str| {
            let wanted = format!("export {name}='");
            let found = text.lines().find_map(|line| line.strip_prefix(&wanted)?.strip_suffix('\''));
            found.unwrap().to_owned()
        };
        let client = Client::to_server(&url, &ca_pem, Timeouts::default()).unwrap();
        let tenant = variable("AZURE_TENANT_ID");
        let subscription = format!("/subscriptions/{}", variable("AZURE_SUBSCRIPTION_ID"));
        let owner = (variable("AZURE_CLIENT_ID"), Secret::new(variable("AZURE_CLIENT_SECRET")));
        let nothing = Secret::new(String::new());
        let mut server = Self { child, url, ca_pem, token: nothing, subscription, tenant, client, owner, dir };
        server.token = server.token_for("https://management.azure.com").await;
        server
    }

    /// A token of the owner for a resource.
    pub async fn token_for(&self, resource: &str) -> Secret<String> {
        let scope = format!("{resource}/.default");
        let (id, secret) = &self.owner;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", id.as_str()),
            ("client_secret", secret.expose().as_str()),
            ("scope", &scope),
        ];
        let place = format!("/{}/oauth2/v2.0/token", self.tenant);
        let answer: serde_json::Value = self.client.post(&place).form(&form).send_for_json().await.unwrap();
        Secret::new(answer["access_token"].as_str().unwrap().to_owned())
    }

    /// Host and port.
    pub fn authority(&self) -> &str {
        self.url.trim_start_matches("https://")
    }

    /// Its process id.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn place(&self) -> &Path {
        self.dir.path()
    }

    /// CPU seconds of the server so far, of it and of the children it has waited for.
    pub fn cpu(&self) -> f64 {
        cpu_of(self.child.id())
    }

    pub async fn put(&self, place: &str, body: &serde_json::Value) -> serde_json::Value {
        self.client.put(place).bearer(&self.token).json(body).send_for_json().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU seconds of a process so far.
pub fn cpu_of(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// Memory of a process (PSS), in MB.
pub fn pss_of(process: u32) -> f64 {
    let told = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1000.0
}

/// Runs something for a while; how often it was done and how long it took.
pub fn for_a_while(span: Duration, mut once: impl FnMut()) -> (u64, Duration) {
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < span {
        once();
        count += 1;
    }
    (count, begun.elapsed())
}
