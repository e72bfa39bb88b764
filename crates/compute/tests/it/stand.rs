//! One run of an agent against a house, from an assignment to what the house saw.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use compute::local::{LocalComputer, LocalConfig};
use kernel::{ComputeDriver, LaunchSpec, Launched, ProcessState, Secret};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use wire::agent::{Assignment, Bootstrap, Environment, Finish, JailLimits, SnapshotFile, Work};

use crate::house::{BOOTSTRAP, House, RUN_TOKEN};

pub const WORKSPACE: &str = "/mlflow/v1.0/subscriptions/s/workspaces/ws1";
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A house and an agent that works for it.
pub struct Stand {
    pub runtime: Runtime,
    pub house: Arc<House>,
    pub computer: LocalComputer,
    pub launched: Launched,
    pub directory: TempDir,
    /// Nanoseconds of the epoch at which the launcher was called.
    pub begun: u128,
}

/// What a run is made of.
pub struct Run {
    pub work: Work,
    pub contents: BTreeMap<String, Vec<u8>>,
    pub environment: Environment,
    pub limits: JailLimits,
    pub required_walls: Vec<String>,
    pub socket: Option<PathBuf>,
    pub directory: TempDir,
}

impl Run {
    /// A job of a command over files.
    pub fn job(command: &str, files: &[(&str, &[u8])]) -> Self {
        let mut contents = BTreeMap::new();
        let mut snapshot = Vec::new();
        for (number, (path, bytes)) in files.iter().enumerate() {
            let sha256 = format!("{number:064}");
            let length = u64::try_from(bytes.len()).unwrap();
            snapshot.push(SnapshotFile {
                path: String::from(*path),
                length,
                sha256: sha256.clone(),
                executable: false,
            });
            contents.insert(sha256, bytes.to_vec());
        }
        Self::of(Work::Job { files: snapshot, command: String::from(command) }, contents)
    }

    pub fn of(work: Work, contents: BTreeMap<String, Vec<u8>>) -> Self {
        Self {
            work,
            contents,
            environment: Environment::default(),
            limits: JailLimits { memory_mib: 512, pids: 64, scratch_mib: 64, seconds: 100 },
            required_walls: Vec::new(),
            socket: None,
            directory: tempfile::Builder::new().prefix("bartizan-it").tempdir().unwrap(),
        }
    }

    /// Starts it.
    pub fn start(self) -> Stand {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let assignment = Assignment {
            inputs: Vec::new(),
            run_token: String::from(RUN_TOKEN),
            run_token_expires: i64::MAX,
            work: self.work,
            environment: self.environment,
            variables: BTreeMap::from([(String::from("GIVEN"), String::from("as it is"))]),
            workspace_path: String::from(WORKSPACE),
            limits: self.limits,
            required_walls: self.required_walls,
        };
        let house = runtime.block_on(House::open(assignment, self.contents));
        let executable = std::env::current_exe().unwrap();
        let computer = LocalComputer::new(LocalConfig { executable, python: None }).unwrap();
        let bootstrap = Bootstrap {
            url: house.url.clone(),
            ca_pem: house.ca_pem.clone(),
            run: String::from("run-1"),
            token: String::from(BOOTSTRAP),
            cache_dir: self.directory.path().join("cache").to_string_lossy().into_owned(),
            socket: self.socket.as_ref().map(|path| path.to_string_lossy().into_owned()),
        };
        let spec = LaunchSpec {
            name: String::from("run-1"),
            bootstrap: Secret::new(serde_json::to_string(&bootstrap).unwrap()),
            socket: self.socket,
            labels: BTreeMap::new(),
        };
        let begun = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let launched = runtime.block_on(computer.start(spec)).unwrap();
        Stand { runtime, house, computer, launched, directory: self.directory, begun }
    }
}

impl Stand {
    /// Waits for the last word, and for the agent's end.
    pub fn finish(&self) -> Finish {
        for _ in 0..600 {
            if self.house.seen.lock().unwrap().finish.is_some() || !self.alive() {
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let finish = self.house.seen.lock().unwrap().finish.clone();
        let words = || self.computer.last_words(&self.launched);
        finish.unwrap_or_else(|| panic!("no last word: {:?} {}", words(), self.log()))
    }

    pub fn alive(&self) -> bool {
        self.runtime.block_on(self.computer.state(&self.launched)).unwrap() == ProcessState::Alive
    }

    /// Whether this host cannot build a wall.
    pub fn capabilities_lack(&self, wall: &str) -> bool {
        self.computer.capabilities().missing().iter().any(|missing| missing == wall)
    }

    pub fn log(&self) -> String {
        self.house.seen.lock().unwrap().log()
    }

    /// Waits until the agent is gone.
    pub fn gone(&self) {
        for _ in 0..200 {
            if !self.alive() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the agent does not end");
    }
}
