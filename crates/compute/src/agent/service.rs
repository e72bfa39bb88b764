//! A replica of a service: our own model server, in a jail without any network, on a socket that the agent made.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::PermissionsExt, unix::net::UnixListener},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;
use wire::agent::{Assignment, Engine, Layer, RunState};

use super::{
    heartbeat::{Stop, stopped},
    logs::Log,
    secrets::Secrets,
    snapshot,
    supervise::{Bounds, carry, supervise},
    work::{Agent, Outcome, Progress, described, mebibytes, variables},
};
use crate::{
    environment::Prepared,
    jail::{Bind, Jail, Network, OWN_BINARY, Spec},
};

/// Names at the root that belong to the jail; an image that has one of them is refused.
const TAKEN: &[&str] = &[
    "bartizan",
    "bin",
    "dev",
    "environment",
    "etc",
    "job",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "proc",
    "run",
    "sbin",
    "sys",
    "tmp",
    "usr",
];

/// Where the listening socket is inside.
const LISTENER: &str = "3";

impl Agent {
    /// Serves until told to stop.
    #[expect(clippy::too_many_arguments, reason = "what was prepared for it, each by its own hand")]
    pub async fn service(
        &self,
        assignment: &Assignment,
        layers: &[Layer],
        engine: &Engine,
        environment: &Prepared,
        secrets: &Secrets,
        progress: &Progress,
        stop: &mut watch::Receiver<Stop>,
    ) -> Outcome {
        progress.tell(RunState::Starting, format!("fetching {} layers", layers.len()));
        let image = self.scratch.image();
        let most = mebibytes(assignment.limits.scratch_mib);
        let fetched = tokio::select! {
            biased;
            reason = stopped(stop) => return self.stopped(reason),
            fetched = snapshot::layers(&self.server, layers, &image, most) => fetched,
        };
        if let Err(error) = fetched {
            return self.failed(format!("the image could not be fetched: {}", described(&error)));
        }
        let (spec, listener) = match self.service_spec(assignment, engine, environment, secrets) {
            Ok(made) => made,
            Err(error) => return self.failed(format!("the replica could not be made: {error}")),
        };
        let (cgroup, limits) = self.bounds(assignment);
        let memory_bytes = (!cgroup.bounds_memory()).then(|| mebibytes(assignment.limits.memory_mib));
        let spec = Spec { cgroups: cgroup.procs(), bounds: limits, ..spec };
        let (mut jail, ends) = match Jail::start(&self.executable, &spec, Some(listener), cgroup).await {
            Ok(started) => started,
            Err(failure) => return self.unbuilt(&failure),
        };
        progress.tell(RunState::Running, "the replica listens");
        let (log, sending) = Log::open(Arc::clone(&self.server));
        let carrying = tokio::spawn(carry(ends.output, log.clone()));
        let (cause, ending) = supervise(&mut jail, stop, Bounds { time: None, memory_bytes }).await;
        drop(jail);
        if let Some(socket) = &self.socket {
            let _gone = fs::remove_file(socket);
        }
        let _ended = carrying.await;
        let mut outcome = self.judged(assignment, cause, ending);
        if outcome.state == RunState::Completed {
            outcome = self.failed("the model server ended by itself");
        }
        if let Some(message) = &outcome.message {
            log.note(message).await;
        }
        drop(log);
        if !matches!(*stop.borrow(), Stop::Lost | Stop::Over | Stop::Ended) {
            // The replica is down; its last words may be lost with its server.
            let _lost = sending.done().await;
        }
        outcome
    }

    fn service_spec(
        &self,
        assignment: &Assignment,
        engine: &Engine,
        environment: &Prepared,
        secrets: &Secrets,
    ) -> io::Result<(Spec, OwnedFd)> {
        let socket = self.socket.as_deref().ok_or_else(|| io::Error::other("the launcher gave no socket"))?;
        let mut binds = environment.binds();
        binds.extend(self.scratch.binds());
        binds.push(Bind::read_only(std::env::current_exe()?, OWN_BINARY));
        binds.extend(image_binds(&self.scratch.image())?);
        let mut environment_variables = variables(&assignment.variables, secrets);
        let mut argv: Vec<String> = [OWN_BINARY, "model-server", "--listen-fd", LISTENER].map(String::from).to_vec();
        match engine {
            Engine::Onnx { model } => {
                let library = onnx_library(environment)?;
                argv.extend(["--engine", "onnx", "--model", model, "--onnxruntime", &library].map(String::from));
            }
            Engine::Python { entry, model_dir } => {
                let python = Prepared::python();
                argv.extend(
                    ["--engine", "python", "--entry", entry, "--python", &python, "--model-dir", model_dir]
                        .map(String::from),
                );
                environment_variables.insert(String::from("AZUREML_MODEL_DIR"), model_dir.clone());
            }
        }
        let spec = Spec {
            parent: i32::try_from(std::process::id()).unwrap_or_default(),
            argv,
            variables: environment_variables,
            root: self.scratch.root(),
            binds,
            links: Vec::new(),
            owner: self.owner,
            cgroups: Vec::new(),
            bounds: crate::jail::Bounds { processes: assignment.limits.pids, data_bytes: None },
            network: Network::Nothing,
            passes_descriptor: true,
        };
        listen(socket).map(|listener| (spec, OwnedFd::from(listener)))
    }
}

/// The replica's socket. Its directory is the launcher's and private; the socket itself is, too.
fn listen(socket: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Shows what the image has at its root, name by name, read-only.
fn image_binds(image: &Path) -> io::Result<Vec<Bind>> {
    let mut binds = Vec::new();
    for entry in fs::read_dir(image)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| io::Error::other("a name of the image is not text"))?;
        if TAKEN.contains(&name) {
            let words = format!("the image has `/{name}`, which belongs to the jail; put its files elsewhere");
            return Err(io::Error::other(words));
        }
        binds.push(Bind::read_only(entry.path(), PathBuf::from("/").join(name)));
    }
    binds.sort_by(|one, other| one.target.cmp(&other.target));
    Ok(binds)
}

/// ONNX Runtime's library in the environment, as a path inside.
fn onnx_library(environment: &Prepared) -> io::Result<String> {
    let (outside, inside) = environment.packages();
    let below = Path::new("onnxruntime/capi");
    let mut names: Vec<String> = fs::read_dir(outside.join(below))
        .map_err(|_| io::Error::other("the environment holds no `onnxruntime`; add it to the requirements"))?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("libonnxruntime.so"))
        .collect();
    names.sort();
    let name = names.pop().ok_or_else(|| io::Error::other("the environment's `onnxruntime` has no library"))?;
    Ok(inside.join(below).join(name).to_string_lossy().into_owned())
}
