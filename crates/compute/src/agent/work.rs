//! The phases that jobs and services have in common.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use wire::agent::{Assignment, RunState, Status, Work};

use super::{
    heartbeat::{Stop, stopped},
    secrets::{self, Secrets},
    server::Server,
    supervise::Cause,
};
use crate::{
    MakeDoor,
    environment::{Builder, EnvironmentError, Prepared},
    jail::{Bounds, Cgroup, Ending, Failure, Owner, Share},
    process,
    scratch::Scratch,
};

/// One agent with all it has.
pub struct Agent {
    /// Its server.
    pub server: Arc<Server>,
    /// Where environments are cached.
    pub cache: PathBuf,
    /// Our own executable.
    pub executable: PathBuf,
    /// Its private place.
    pub scratch: Scratch,
    /// The jail's user.
    pub owner: Owner,
    /// For services: where to listen.
    pub socket: Option<PathBuf>,
    /// Walls that do not stand on this target.
    pub missing: Vec<String>,
    /// Makes the certificate of the door inside the jail.
    pub make_door: MakeDoor,
}

/// How the work ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `Completed`, `Failed` or `Canceled`.
    pub state: RunState,
    /// The program's exit code.
    pub exit_code: Option<i32>,
    /// One line for people.
    pub message: Option<String>,
    /// Walls that did not stand.
    pub missing: Vec<String>,
}

impl Outcome {
    /// It did not work.
    pub fn failed(message: impl Into<String>, missing: Vec<String>) -> Self {
        Self { state: RunState::Failed, exit_code: None, message: Some(message.into()), missing }
    }

    fn stopped(reason: Stop, missing: Vec<String>) -> Self {
        let message = match reason {
            Stop::No | Stop::Canceled => "canceled by request",
            Stop::Ended => "ended by the compute target",
            Stop::Lost => "the server could not be reached for too long",
            Stop::Over => "the server does not know this run any more",
        };
        Self { state: RunState::Canceled, exit_code: None, message: Some(String::from(message)), missing }
    }
}

impl Agent {
    /// Does the work of an assignment.
    pub async fn work(&self, assignment: &Assignment, stop: &mut watch::Receiver<Stop>) -> Outcome {
        let (progress, telling) = Progress::open(Arc::clone(&self.server));
        let prepared = tokio::select! {
            biased;
            reason = stopped(stop) => Err(self.stopped(reason)),
            done = self.prepare(assignment, &progress) => done.map_err(|error| self.failed(described(&error))),
        };
        // Only now: what builds the environment runs the code of others.
        let prepared = match prepared {
            Ok(environment) => self.secrets(assignment, stop).await.map(|secrets| (environment, secrets)),
            Err(outcome) => Err(outcome),
        };
        let outcome = match (prepared, &assignment.work) {
            (Err(outcome), _) => outcome,
            (Ok((environment, secrets)), Work::Job { files, command }) => {
                self.job(assignment, files, command, &environment, &secrets, &progress, stop).await
            }
            (Ok((environment, secrets)), Work::Service { layers, engine }) => {
                self.service(assignment, layers, engine, &environment, &secrets, &progress, stop).await
            }
        };
        drop(progress);
        // States are told in order; the last word comes after them.
        let _ended = telling.await;
        outcome
    }

    async fn secrets(&self, assignment: &Assignment, stop: &mut watch::Receiver<Stop>) -> Result<Secrets, Outcome> {
        tokio::select! {
            biased;
            reason = stopped(stop) => Err(self.stopped(reason)),
            fetched = secrets::fetch(&self.server, assignment) => fetched.map_err(|error| self.failed(described(&error))),
        }
    }

    async fn prepare(&self, assignment: &Assignment, progress: &Progress) -> Result<Prepared, EnvironmentError> {
        self.scratch.open(assignment.limits.scratch_mib, self.owner)?;
        progress.tell(RunState::Preparing, "looking for the environment");
        let builder = Builder {
            cache: &self.cache,
            executable: &self.executable,
            scratch: &self.scratch,
            owner: self.owner,
            memory_bytes: mebibytes(assignment.limits.memory_mib),
            tell: &|line| progress.tell(RunState::Preparing, line),
        };
        let prepared = builder.prepare(&assignment.environment).await?;
        let from = if prepared.cached { "from the cache" } else { "is ready" };
        let name: String = prepared.address.chars().take(12).collect();
        progress.tell(RunState::Preparing, format!("environment {name} {from}"));
        Ok(prepared)
    }

    /// The control groups of the program and the limits that take their place where there are none.
    pub fn bounds(&self, assignment: &Assignment) -> (Cgroup, Bounds) {
        let memory_bytes = mebibytes(assignment.limits.memory_mib);
        // The stage and process 1 are counted too.
        let processes = assignment.limits.pids.saturating_add(2);
        let cgroup = Cgroup::make(&format!("{}-run", process::own_name()), Share { memory_bytes, processes });
        // Without a control group the agent watches what is really used; this only stops one process from running far
        // ahead of the watch. It counts what is merely reserved too (stacks, arenas), so it is wider than the limit.
        let data_bytes = (!cgroup.bounds_memory()).then(|| memory_bytes.saturating_mul(2).saturating_add(512 << 20));
        (cgroup, Bounds { processes, data_bytes })
    }

    /// A failure of this agent's run.
    pub fn failed(&self, message: impl Into<String>) -> Outcome {
        Outcome::failed(message, self.missing.clone())
    }

    /// An end before its time.
    pub fn stopped(&self, reason: Stop) -> Outcome {
        Outcome::stopped(reason, self.missing.clone())
    }

    /// A jail that could not be built.
    pub fn unbuilt(&self, failure: &Failure) -> Outcome {
        self.failed(format!("the jail could not be built on this target: {failure}"))
    }

    /// What the end of a program means.
    pub fn judged(&self, assignment: &Assignment, cause: Cause, ending: Ending) -> Outcome {
        let limits = &assignment.limits;
        let by_memory = cause == Cause::Memory || ending.memory_kills > 0;
        let memory =
            format!("the memory limit of {} MiB was reached (files in the scratch count as memory)", limits.memory_mib);
        let missing = self.missing.clone();
        match (cause, ending.code, ending.signal) {
            (Cause::Stopped(reason), ..) => self.stopped(reason),
            (Cause::Time, ..) => Outcome {
                state: RunState::Canceled,
                exit_code: None,
                message: Some(format!("the time limit of {} s was reached", limits.seconds)),
                missing,
            },
            (_, Some(0), _) if cause == Cause::Itself => {
                Outcome { state: RunState::Completed, exit_code: Some(0), message: None, missing }
            }
            (_, Some(code), _) => {
                let mut message = format!("the program ended with exit code {code}");
                if by_memory {
                    message = format!("{message}; {memory}");
                } else if self.scratch.is_full() {
                    message = format!("{message}; the scratch of {} MiB is full", limits.scratch_mib);
                }
                Outcome { state: RunState::Failed, exit_code: Some(code), message: Some(message), missing }
            }
            (_, None, _) if by_memory => self.failed(format!("the program was killed: {memory}")),
            (_, None, signal) => self.failed(format!("the program was ended by signal {}", signal.unwrap_or_default())),
        }
    }
}

/// Bytes.
pub fn mebibytes(count: u64) -> u64 {
    count.saturating_mul(1 << 20)
}

/// An error with its causes, in one line.
pub fn described(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !line.contains(&words) {
            line = format!("{line}: {words}");
        }
        next = cause.source();
    }
    line
}

/// Tells the server where the run stands, in order and beside the work: no phase waits for the telling of the last one.
#[derive(Debug, Clone)]
pub struct Progress {
    news: mpsc::UnboundedSender<Status>,
}

impl Progress {
    fn open(server: Arc<Server>) -> (Self, JoinHandle<()>) {
        let (news, mut waiting) = mpsc::unbounded_channel::<Status>();
        let telling = tokio::spawn(async move {
            while let Some(mut status) = waiting.recv().await {
                // Of the lines about one state that wait already, the newest says it all.
                while let Ok(next) = waiting.try_recv() {
                    if next.state != status.state && server.status(&status).await.is_err() {
                        return;
                    }
                    status = next;
                }
                if let Err(error) = server.status(&status).await {
                    tracing::warn!(%error, "the state of the run could not be told");
                    return;
                }
            }
        });
        (Self { news }, telling)
    }

    /// Tells a state and a line about it.
    pub fn tell(&self, state: RunState, message: impl Into<String>) {
        // The other end is gone only when the run is given up.
        let _given_up = self.news.send(Status { state, message: Some(message.into()) });
    }
}

/// The program's environment: what makes Python work, then what the server says, with secrets in the place of their names.
pub fn variables(given: &BTreeMap<String, String>, secrets: &Secrets) -> BTreeMap<String, String> {
    let mut variables = Prepared::variables();
    let value_of =
        |name: &String, value: &String| secrets.get(name).map_or_else(|| value.clone(), |one| one.expose().clone());
    variables.extend(
        given
            .iter()
            .filter(|(name, value)| is_variable(name, value))
            .map(|(name, value)| (name.clone(), value_of(name, value))),
    );
    variables
}

fn is_variable(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}
