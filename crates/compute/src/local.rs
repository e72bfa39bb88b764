//! The launcher for this machine. Agents are processes of their own and survive a restart of the server.

use std::{
    collections::{BTreeMap, VecDeque},
    env,
    ffi::OsString,
    io::Write,
    os::fd::OwnedFd,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use kernel::{Capabilities, ComputeDriver, LaunchSpec, Launched, ProcessState, StoreError, StoreResult};
use nix::{
    fcntl::OFlag,
    sys::signal::{Signal, kill, killpg},
    unistd::{Pid, pipe2},
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::{environment::PYTHON_VARIABLE, jail::sys, probe, process};

/// How long an agent may take to end its program and say so: the program's grace, and some more.
const GRACE_MILLISECONDS: i32 = 10_000;
/// How much of what an agent says on standard error is kept.
const KEPT_LINES: usize = 50;
const KEPT_LINE: u64 = 4096;
/// How many agents' words are kept.
const KEPT_AGENTS: usize = 200;

/// Variables of the server that an agent gets, beside those of pip; nothing else of the server's environment.
const PASSED: &[&str] = &["PATH", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", PYTHON_VARIABLE];

/// How this machine starts agents.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// Our own executable: `<executable> agent` and `<executable> jail` must be what this crate provides.
    pub executable: PathBuf,
    /// The Python for environments, instead of the first `python3` in `PATH`.
    pub python: Option<PathBuf>,
}

/// Starts agents on this machine.
pub struct LocalComputer {
    config: LocalConfig,
    capabilities: Arc<Capabilities>,
    said: Arc<Mutex<BTreeMap<String, VecDeque<String>>>>,
}

impl LocalComputer {
    /// Probes this machine. Takes a moment; call it once, at start.
    ///
    /// # Errors
    /// When the executable cannot be started.
    pub fn new(config: LocalConfig) -> std::io::Result<Self> {
        let capabilities = Arc::new(probe(&config.executable)?);
        Ok(Self { config, capabilities, said: Arc::default() })
    }

    /// The last lines an agent of this server wrote to standard error, for diagnosis.
    pub fn last_words(&self, launched: &Launched) -> Vec<String> {
        let said = self.said.lock().map(|said| said.get(&launched.handle).cloned());
        said.ok().flatten().map(Vec::from).unwrap_or_default()
    }

    fn environment(&self) -> Vec<(OsString, OsString)> {
        let mut kept: Vec<(OsString, OsString)> = env::vars_os()
            .filter(|(name, _)| name.to_str().is_some_and(|name| PASSED.contains(&name) || name.starts_with("PIP_")))
            .collect();
        if let Some(python) = &self.config.python {
            kept.push((OsString::from(PYTHON_VARIABLE), python.clone().into_os_string()));
        }
        kept
    }

    /// Keeps what the agent says, and reaps it at its end.
    fn attend(&self, mut child: tokio::process::Child, handle: String) {
        let said = Arc::clone(&self.said);
        let errors = child.stderr.take();
        tokio::spawn(async move {
            if let Some(errors) = errors {
                let mut errors = BufReader::new(errors);
                loop {
                    let mut line = Vec::new();
                    let read = (&mut errors).take(KEPT_LINE).read_until(b'\n', &mut line).await;
                    if read.unwrap_or(0) == 0 {
                        break;
                    }
                    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                    tracing::debug!(agent = %handle, %line, "an agent said");
                    if let Ok(mut said) = said.lock() {
                        keep(&mut said, &handle, line);
                    }
                }
            }
            let ended = child.wait().await;
            tracing::debug!(agent = %handle, ?ended, "an agent ended");
        });
    }
}

fn keep(said: &mut BTreeMap<String, VecDeque<String>>, handle: &str, line: String) {
    if said.len() >= KEPT_AGENTS && !said.contains_key(handle) {
        said.pop_first();
    }
    let lines = said.entry(String::from(handle)).or_default();
    if lines.len() >= KEPT_LINES {
        lines.pop_front();
    }
    lines.push_back(line);
}

#[async_trait]
impl ComputeDriver for LocalComputer {
    async fn start(&self, spec: LaunchSpec) -> StoreResult<Launched> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
        let mut command = std::process::Command::new(&self.config.executable);
        command
            .arg("agent")
            .env_clear()
            .envs(self.environment())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // Not in the arguments and not in the environment: those can be read by others, and are inherited.
        sys::pass_at_three(&mut command, read);
        let child = tokio::process::Command::from(command).spawn().map_err(failed)?;
        let pid = child.id().map(|id| id.to_string()).unwrap_or_default();
        let start = process::stat(&pid).map(|(_, start)| start).unwrap_or_default();
        let handle = format!("{pid}:{start}");
        self.attend(child, handle.clone());
        hand_over(write, spec).await?;
        Ok(Launched { handle })
    }

    async fn state(&self, launched: &Launched) -> StoreResult<ProcessState> {
        let alive = parsed(launched).is_some_and(|(pid, start)| process::is_alive(&pid, &start));
        Ok(if alive { ProcessState::Alive } else { ProcessState::Gone })
    }

    async fn stop(&self, launched: &Launched) -> StoreResult<()> {
        let Some((pid, start)) = parsed(launched) else { return Ok(()) };
        if !process::is_alive(&pid, &start) {
            return Ok(());
        }
        let Some(id) = pid.parse().ok().filter(|id| *id > 1).map(Pid::from_raw) else { return Ok(()) };
        let ending = move || {
            // The agent ends its program in order; the jail dies with it in any case.
            let _gone = kill(id, Signal::SIGTERM);
            if !sys::wait_for_end(id, GRACE_MILLISECONDS) && process::is_alive(&pid, &start) {
                let _gone = killpg(id, Signal::SIGKILL);
                let _gone = kill(id, Signal::SIGKILL);
                sys::wait_for_end(id, GRACE_MILLISECONDS);
            }
        };
        tokio::task::spawn_blocking(ending).await.map_err(failed)
    }

    fn capabilities(&self) -> Arc<Capabilities> {
        Arc::clone(&self.capabilities)
    }
}

/// Writes the bootstrap message beside the caller: a pipe holds less than the message may be long.
async fn hand_over(write: OwnedFd, spec: LaunchSpec) -> StoreResult<()> {
    let writing = move || std::fs::File::from(write).write_all(spec.bootstrap.expose().as_bytes());
    tokio::task::spawn_blocking(writing).await.map_err(failed)?.map_err(failed)
}

fn parsed(launched: &Launched) -> Option<(String, String)> {
    let (pid, start) = launched.handle.split_once(':')?;
    Some((String::from(pid), String::from(start)))
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Failed(error.into())
}
