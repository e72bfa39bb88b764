//! Builds an environment in a jail, once, and finds it again.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::fcntl::{Flock, FlockArg};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpListener,
    time::{sleep, timeout},
};

use super::{
    EnvironmentError,
    gate::{self, Refused},
    interpreter::Interpreter,
    key::{address, normalise},
    pip::{Listener, Settings},
    tree::{give_tree, is_complete, lay_out, private_directory, seal, sweep},
};
use crate::{
    jail::{Bind, Bounds, Cgroup, ENVIRONMENT, Ends, Jail, Network, Owner, Share, Spec},
    process,
    scratch::Scratch,
};

/// How long a build may take.
const BUILD_TIME: Duration = Duration::from_secs(45 * 60);
/// What a build may use, at the least; a job's own memory may be too small for pip.
const LEAST_MEMORY: u64 = 2 << 30;
const PROCESSES: u64 = 256;
/// What pip may say.
const LARGEST_TALK: u64 = 32 << 20;
/// Where the agent answers in the build jail.
const PORT: u16 = 4280;
/// Where the host's pip is inside.
const PIP: &str = "/pip/pip";

/// What builds need.
pub struct Builder<'a> {
    /// The cache.
    pub cache: &'a Path,
    /// Our own executable.
    pub executable: &'a Path,
    /// The agent's private place.
    pub scratch: &'a Scratch,
    /// The jail's user.
    pub owner: Owner,
    /// Memory for the build, in bytes, when more than the least.
    pub memory_bytes: u64,
    /// Told what goes on, in lines for people.
    pub tell: &'a (dyn Fn(String) + Send + Sync),
}

/// An environment that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Its address.
    pub address: String,
    /// Where it lies on the host.
    pub place: PathBuf,
    /// Its interpreter.
    pub interpreter: Interpreter,
    /// Whether it was there already.
    pub cached: bool,
}

impl Prepared {
    /// What a jail must show for it.
    pub fn binds(&self) -> Vec<Bind> {
        let mut binds: Vec<Bind> =
            self.interpreter.directories().into_iter().map(|path| Bind::read_only(path.clone(), path)).collect();
        binds.push(Bind::read_only(&self.place, ENVIRONMENT));
        binds
    }

    /// The interpreter inside.
    pub fn python() -> String {
        format!("{ENVIRONMENT}/bin/python")
    }

    /// Variables that make it the program's Python.
    pub fn variables() -> BTreeMap<String, String> {
        [
            ("PATH", format!("{ENVIRONMENT}/bin:/usr/local/bin:/usr/bin:/bin")),
            ("VIRTUAL_ENV", String::from(ENVIRONMENT)),
            ("HOME", String::from("/tmp")),
            ("LANG", String::from("C.UTF-8")),
            ("PYTHONUNBUFFERED", String::from("1")),
            ("PYTHONDONTWRITEBYTECODE", String::from("1")),
            ("PYTHONNOUSERSITE", String::from("1")),
        ]
        .into_iter()
        .map(|(name, value)| (String::from(name), value))
        .collect()
    }

    /// Where packages are, on the host and inside.
    pub fn packages(&self) -> (PathBuf, PathBuf) {
        let below = format!("lib/python{}/site-packages", self.interpreter.short);
        (self.place.join(&below), Path::new(ENVIRONMENT).join(below))
    }
}

impl Builder<'_> {
    /// Finds the environment or builds it.
    pub async fn prepare(&self, wanted: &wire::agent::Environment) -> Result<Prepared, EnvironmentError> {
        let interpreter = Interpreter::find(self.cache).await?;
        let requirements = normalise(wanted.requirements.as_deref().unwrap_or_default())?;
        let address = address(&interpreter, &requirements, wanted.allow_source_packages);
        let directory = self.cache.join("environments");
        let prepared = Prepared { place: directory.join(&address), address, interpreter, cached: true };
        if is_complete(&prepared) {
            return Ok(prepared);
        }
        if wanted.offline && !requirements.is_empty() {
            return Err(EnvironmentError::Offline);
        }
        private_directory(&directory).map_err(EnvironmentError::cache_at(&directory))?;
        let _lock = self.lock(&directory, &prepared.address).await?;
        if is_complete(&prepared) {
            return Ok(prepared);
        }
        let building = directory.join(format!(".building-{}", process::own_name()));
        let made = self.build(&prepared, &building, &requirements, wanted.allow_source_packages).await;
        let swept = fs::remove_dir_all(&building);
        made?;
        if let Err(error) = swept
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a building directory could not be removed");
        }
        Ok(Prepared { cached: false, ..prepared })
    }

    /// One builder at a time for an environment; the others wait and then find it.
    async fn lock(&self, directory: &Path, address: &str) -> Result<Flock<fs::File>, EnvironmentError> {
        let path = directory.join(format!("{address}.lock"));
        let mut told = false;
        loop {
            let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            let file = file.map_err(EnvironmentError::cache_at(&path))?;
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(lock),
                Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                    if !told {
                        (self.tell)(String::from("another run is building the same environment; waiting for it"));
                        told = true;
                    }
                    sleep(Duration::from_millis(200)).await;
                }
                Err((_, error)) => return Err(EnvironmentError::Cache(path, error.into())),
            }
        }
    }

    async fn build(
        &self,
        prepared: &Prepared,
        building: &Path,
        requirements: &[String],
        allow_source: bool,
    ) -> Result<(), EnvironmentError> {
        sweep(building.parent().unwrap_or(building));
        let fault = EnvironmentError::cache_at(building);
        let tree = building.join("tree");
        lay_out(building, &tree, &prepared.interpreter).map_err(fault)?;
        if !requirements.is_empty() {
            (self.tell)(format!("preparing an environment of {} requirements", requirements.len()));
            self.install(prepared, building, &tree, requirements, allow_source).await?;
        }
        let fault = EnvironmentError::cache_at(&tree);
        seal(&tree, prepared).map_err(fault)?;
        fs::rename(&tree, &prepared.place).map_err(EnvironmentError::cache_at(&prepared.place))
    }

    async fn install(
        &self,
        prepared: &Prepared,
        building: &Path,
        tree: &Path,
        requirements: &[String],
        allow_source: bool,
    ) -> Result<(), EnvironmentError> {
        let pip = prepared.interpreter.pip.as_ref();
        let pip = pip.ok_or_else(|| EnvironmentError::NoPip(prepared.interpreter.executable.clone()))?;
        let settings = Settings::ask(&prepared.interpreter).await?;
        // The requirements are the user's words: they lie in memory, not in the cache.
        let job = self.scratch.run().join("requirements");
        private_directory(&job).map_err(EnvironmentError::cache_at(&job))?;
        fs::set_permissions(&job, fs::Permissions::from_mode(0o755)).map_err(EnvironmentError::cache_at(&job))?;
        let mut text = requirements.join("\n");
        text.push('\n');
        fs::write(job.join("requirements.txt"), text).map_err(EnvironmentError::cache_at(&job))?;
        let temporary = building.join("tmp");
        for directory in [tree, &temporary] {
            give_tree(directory, self.owner).map_err(EnvironmentError::cache_at(directory))?;
        }
        let mut binds: Vec<Bind> =
            prepared.interpreter.directories().into_iter().map(|path| Bind::read_only(path.clone(), path)).collect();
        binds.extend([
            Bind::read_only(&job, crate::jail::WORK),
            Bind::read_only(pip, PIP),
            Bind::writable(tree, ENVIRONMENT),
            Bind::writable(&temporary, "/tmp"),
        ]);
        binds.extend(settings.binds);
        let mut variables = Prepared::variables();
        variables.extend(settings.variables);
        let door = format!("http://127.0.0.1:{PORT}");
        for name in ["https_proxy", "http_proxy"] {
            variables.insert(String::from(name), door.clone());
        }
        let share = Share { memory_bytes: self.memory_bytes.max(LEAST_MEMORY), processes: PROCESSES };
        let cgroup = Cgroup::make(&format!("{}-build", process::own_name()), share);
        let spec = Spec {
            parent: i32::try_from(std::process::id()).unwrap_or_default(),
            argv: command(allow_source),
            variables,
            root: self.scratch.root(),
            binds,
            links: Vec::new(),
            owner: self.owner,
            cgroups: cgroup.procs(),
            bounds: Bounds { processes: PROCESSES, data_bytes: None },
            network: Network::Door { port: PORT },
            passes_descriptor: false,
        };
        let (jail, ends) = Jail::start(self.executable, &spec, None, cgroup).await?;
        self.watch(jail, ends, settings.hosts).await
    }

    async fn watch(
        &self,
        mut jail: Jail,
        ends: Ends,
        hosts: std::collections::BTreeSet<(String, u16)>,
    ) -> Result<(), EnvironmentError> {
        let refused = Refused::default();
        let door = ends.door.map(TcpListener::from_std).transpose().map_err(EnvironmentError::cache)?;
        let gate = door.map(|door| Guard(tokio::spawn(gate::serve(door, hosts, Arc::clone(&refused)))));
        let mut listener = Listener::default();
        let working = async {
            let mut lines = BufReader::new(ends.output.take(LARGEST_TALK));
            let mut line = Vec::new();
            // A line without an end is cut by the bound of all that pip may say.
            while lines.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
                if let Some(news) = listener.hear(&String::from_utf8_lossy(&line)) {
                    (self.tell)(news);
                }
                line.clear();
            }
            jail.ended().await
        };
        let ending = timeout(BUILD_TIME, working).await;
        drop(gate);
        match ending {
            Ok(ending) if ending.code == Some(0) => Ok(()),
            Ok(ending) if ending.memory_kills > 0 => {
                Err(EnvironmentError::Install(String::from("the memory limit of the build was reached")))
            }
            Ok(_) => {
                let mut reason = listener.reason();
                let refused = refused.lock().map(|refused| refused.clone()).unwrap_or_default();
                if !refused.is_empty() {
                    let names = refused.into_iter().collect::<Vec<_>>().join(", ");
                    reason.push_str(&format!("; not of the configured package index and refused: {names}"));
                }
                Err(EnvironmentError::Install(reason))
            }
            Err(_) => {
                jail.kill();
                jail.ended().await;
                Err(EnvironmentError::Install(String::from("it took too long")))
            }
        }
    }
}

/// Ends a task with its owner.
struct Guard(tokio::task::JoinHandle<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn command(allow_source: bool) -> Vec<String> {
    let python = Prepared::python();
    let mut words = vec![
        python.as_str(),
        "-I",
        PIP,
        "install",
        "--no-input",
        "--disable-pip-version-check",
        "--no-cache-dir",
        "--no-color",
        "--progress-bar",
        "off",
        "--no-warn-script-location",
    ];
    if !allow_source {
        words.extend(["--only-binary", ":all:"]);
    }
    words.extend(["-r", "/job/requirements.txt"]);
    words.into_iter().map(String::from).collect()
}
