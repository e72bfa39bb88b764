//! A job: a command over a snapshot, once.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;
use wire::agent::{Assignment, Input, RunState, SnapshotFile};

use super::{
    collect::{self, Follower},
    heartbeat::{Stop, stopped},
    logs::Log,
    secrets::Secrets,
    server::{Server, ServerError},
    snapshot::{self, FetchError},
    supervise::{Bounds, carry, supervise},
    work::{Agent, Outcome, Progress, described, mebibytes, variables},
};
use crate::{
    azure,
    environment::Prepared,
    jail::{Bind, Jail, Network, Spec},
    jail_tls, proxy,
    scratch::hand_over,
    vault_door,
};

/// Where the agent answers inside the jail.
const PORT: u16 = 4280;
/// Where the program finds what the door's certificate is signed with.
const TRUSTED: &str = "/etc/bartizan-door.pem";
/// Where the program finds its inputs.
const INPUTS: &str = "/inputs";
/// How often the program's own log files are looked at.
const LOOK: Duration = Duration::from_millis(1500);

impl Agent {
    /// TLS for the door, with what the program is to trust shown to it. Without it the door is plain, as far as that goes.
    fn door_tls(&self, binds: &mut Vec<Bind>) -> Option<TlsAcceptor> {
        let made = (self.make_door)(&jail_tls::NAMES.map(String::from)).and_then(|identity| {
            let file = self.scratch.run().join("door.pem");
            fs::write(&file, &identity.authority_pem).map_err(|error| error.to_string())?;
            Ok((jail_tls::acceptor(&identity)?, file))
        });
        match made {
            Ok((tls, file)) => {
                binds.push(Bind::read_only(file, TRUSTED));
                Some(tls)
            }
            Err(why) => {
                tracing::warn!(why, "the door inside the jail speaks no TLS");
                None
            }
        }
    }

    /// Runs a job to its end.
    #[expect(clippy::too_many_arguments, reason = "what was prepared for it, each by its own hand")]
    pub async fn job(
        &self,
        assignment: &Assignment,
        files: &[SnapshotFile],
        command: &str,
        environment: &Prepared,
        secrets: &Secrets,
        progress: &Progress,
        stop: &mut watch::Receiver<Stop>,
    ) -> Outcome {
        progress.tell(RunState::Starting, format!("fetching {} files", files.len()));
        let fetched = tokio::select! {
            biased;
            reason = stopped(stop) => return self.stopped(reason),
            fetched = self.lay_out(files) => fetched,
        };
        if let Err(error) = fetched {
            return self.failed(format!("the snapshot could not be fetched: {}", described(&error)));
        }
        let brought = tokio::select! {
            biased;
            reason = stopped(stop) => return self.stopped(reason),
            brought = self.bring(&assignment.inputs, progress) => brought,
        };
        if let Err(error) = brought {
            return self.failed(format!("an input could not be fetched: {}", described(&error)));
        }
        let (cgroup, limits) = self.bounds(assignment);
        let watched_memory = (!cgroup.bounds_memory()).then(|| mebibytes(assignment.limits.memory_mib));
        let mut binds = environment.binds();
        binds.extend(self.scratch.binds());
        if !assignment.inputs.is_empty() {
            let (source, target) = (self.scratch.inputs(), PathBuf::from(INPUTS));
            binds.push(Bind { source, target, writable: false, executable: false });
        }
        let mut environment_variables = variables(&assignment.variables, secrets);
        let tracking = format!("http://127.0.0.1:{PORT}{}", assignment.workspace_path);
        environment_variables.insert(String::from("MLFLOW_TRACKING_URI"), tracking);
        let tls = self.door_tls(&mut binds);
        let trusted = tls.is_some().then_some(TRUSTED);
        environment_variables.extend(azure::variables(&format!("http://127.0.0.1:{PORT}"), trusted));
        // Where Azure's libraries ask for tokens of managed identities, and where those tokens can be used.
        let door = format!("http://127.0.0.1:{PORT}");
        environment_variables.insert(String::from("AZURE_POD_IDENTITY_AUTHORITY_HOST"), door.clone());
        let secrets = format!("{door}{}", vault_door::place(&assignment.workspace_path));
        environment_variables.insert(String::from("BARTIZAN_VAULT_URL"), secrets);
        environment_variables.insert(String::from("BARTIZAN_URL"), door);
        let spec = Spec {
            parent: i32::try_from(std::process::id()).unwrap_or_default(),
            argv: ["/bin/sh", "-c", command].map(String::from).to_vec(),
            variables: environment_variables,
            root: self.scratch.root(),
            binds,
            links: Vec::new(),
            owner: self.owner,
            cgroups: cgroup.procs(),
            bounds: limits,
            network: Network::Loopback { port: PORT },
            passes_descriptor: false,
        };
        let (mut jail, ends) = match Jail::start(&self.executable, &spec, None, cgroup).await {
            Ok(started) => started,
            Err(failure) => return self.unbuilt(&failure),
        };
        progress.tell(RunState::Running, "the program runs");
        let door = ends.door.and_then(|door| TcpListener::from_std(door).ok());
        let answering = door.map(|door| {
            let path = assignment.workspace_path.clone();
            tokio::spawn(proxy::serve(door, Arc::clone(&self.server), path, PORT, tls))
        });
        let (log, sending) = Log::open(Arc::clone(&self.server));
        let carrying = tokio::spawn(carry(ends.output, log.clone()));
        let following = follow(Arc::clone(&self.server), self.scratch.work());

        let time = (assignment.limits.seconds > 0).then(|| Duration::from_secs(assignment.limits.seconds));
        let bounds = Bounds { time, memory_bytes: watched_memory };
        let (cause, ending) = supervise(&mut jail, stop, bounds).await;
        drop(jail);
        if let Some(answering) = answering {
            answering.abort();
        }
        let outcome = self.judged(assignment, cause, ending);
        progress.tell(RunState::Finalizing, "collecting logs and outputs");
        // The pipe has no writer left, so its end comes at once.
        let _ended = carrying.await;
        if let Some(message) = &outcome.message {
            log.note(message).await;
        }
        let collected = tokio::select! {
            collected = self.collect(assignment, &log, following) => collected,
            reason = lost(stop.clone()) => return self.stopped(reason),
        };
        drop(log);
        let told = tokio::select! {
            told = sending.done() => told,
            reason = lost(stop.clone()) => return self.stopped(reason),
        };
        match collected.and(told) {
            Ok(()) => outcome,
            Err(error) if outcome.state == RunState::Completed => self
                .failed(format!("the program ended well, but what it left could not be kept: {}", described(&error))),
            Err(_) => outcome,
        }
    }

    async fn lay_out(&self, files: &[SnapshotFile]) -> Result<(), FetchError> {
        let work = self.scratch.work();
        snapshot::files(&self.server, files, &work, self.owner).await?;
        for name in ["outputs", "logs"] {
            let directory = work.join(name);
            let made = match fs::create_dir(&directory) {
                // The snapshot brought one.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                made => made,
            };
            made.and_then(|()| hand_over(&directory, self.owner).map_err(io::Error::other))
                .map_err(|error| FetchError::Scratch(String::from(name), error))?;
        }
        Ok(())
    }

    /// Brings the inputs that are data.
    async fn bring(&self, inputs: &[Input], progress: &Progress) -> Result<(), FetchError> {
        if inputs.is_empty() {
            return Ok(());
        }
        let files = inputs.iter().fold(0_usize, |sum, input| sum.saturating_add(input.files.len()));
        progress.tell(RunState::Starting, format!("fetching {files} files of {} inputs", inputs.len()));
        snapshot::inputs(&self.server, inputs, &self.scratch.inputs()).await
    }

    async fn collect(&self, assignment: &Assignment, log: &Log, following: Following) -> Result<(), ServerError> {
        let work = self.scratch.work();
        let mut follower = following.end().await;
        follower.look(&self.server, &work).await?;
        follower.end(&self.server).await?;
        collect::outputs(&self.server, log, &work, mebibytes(assignment.limits.scratch_mib)).await.map(drop)
    }
}

/// Collecting goes on after a cancellation, which is not a reason to lose what was made; it ends when nobody listens.
async fn lost(mut stop: watch::Receiver<Stop>) -> Stop {
    match stop.wait_for(|stop| matches!(stop, Stop::Lost | Stop::Over | Stop::Ended)).await {
        Ok(stop) => *stop,
        Err(_) => std::future::pending().await,
    }
}

/// Follows the program's own log files beside it.
struct Following {
    end: oneshot::Sender<()>,
    task: JoinHandle<Follower>,
}

fn follow(server: Arc<Server>, work: PathBuf) -> Following {
    let (end, mut ended) = oneshot::channel();
    let task = tokio::spawn(async move {
        let mut follower = Follower::default();
        loop {
            tokio::select! {
                _ = &mut ended => return follower,
                () = sleep(LOOK) => {}
            }
            if let Err(error) = follower.look(&server, &work).await {
                tracing::warn!(%error, "the program's logs could not be sent");
                return follower;
            }
        }
    });
    Following { end, task }
}

impl Following {
    async fn end(self) -> Follower {
        // It may have ended itself.
        let _ended = self.end.send(());
        self.task.await.unwrap_or_default()
    }
}
