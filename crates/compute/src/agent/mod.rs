//! `bartizan agent`: does one run on this target, or is one replica of a service, and then ends.
//!
//! prepare the environment → fetch the files → run the program in its jail → collect what it leaves → say how it went.
//! The heartbeat runs beside all of it. Nothing of a run is ever on a disk in clear: the agent works in a private file
//! system in memory that vanishes with it, however it ends.

mod collect;
mod forms;
mod heartbeat;
mod https;
mod job;
mod logs;
mod redact;
mod secrets;
pub(crate) mod server;
mod service;
mod snapshot;
mod supervise;
pub(crate) mod transport;
mod work;

use std::{
    io::{self, Read},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use kernel::Secret;
use nix::sys::{prctl, resource, stat};
use wire::agent::{Bootstrap, Finish, RunState, Start};

use self::{
    heartbeat::{Stop, watch},
    https::Https,
    server::{PATIENCE, Server, ServerError},
    work::{Agent, Outcome},
};
use crate::{
    MakeDoor,
    jail::{Claim, sys},
    probe::{self, Probing},
    scratch::Scratch,
};

/// The descriptor on which a launcher hands over the bootstrap message.
pub const BOOTSTRAP_DESCRIPTOR: i32 = 3;
/// The longest bootstrap message.
const LONGEST_BOOTSTRAP: u64 = 1 << 20;
/// How long the last word may take when the launcher ends the agent.
const LAST_WORD: Duration = Duration::from_secs(3);

/// Why an agent could not do its work at all; told to its launcher on standard error.
#[derive(Debug, thiserror::Error)]
enum AgentError {
    #[error("the bootstrap message could not be read from descriptor {BOOTSTRAP_DESCRIPTOR}")]
    Bootstrap(#[source] io::Error),
    #[error("this target cannot give the agent a private place")]
    Private(#[source] crate::jail::Failure),
    #[error("this target cannot give the run a user of its own")]
    Claim(#[source] io::Error),
    #[error("the agent could not start")]
    Runtime(#[source] io::Error),
    #[error("the server's address cannot be used")]
    Address(#[source] outbound::Error),
    #[error("the run could not be taken")]
    Start(#[source] ServerError),
    #[error("how the run ended could not be told")]
    Finish(#[source] ServerError),
}

/// What `bartizan agent` does. Must be called while the process has one thread.
pub fn agent_main(make_door: MakeDoor) -> ExitCode {
    match begin(make_door) {
        Ok(code) => code,
        Err(error) => {
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

fn begin(make_door: MakeDoor) -> Result<ExitCode, AgentError> {
    // No core dumps, and nobody of the same user looks into a process that holds a token.
    let _refused = resource::setrlimit(resource::Resource::RLIMIT_CORE, 0, 0);
    let bootstrap = read_bootstrap().map_err(AgentError::Bootstrap)?;
    stat::umask(stat::Mode::S_IWGRP | stat::Mode::S_IWOTH);
    let cache = PathBuf::from(&bootstrap.cache_dir);
    // Beside the rest, in a child, while there is still one thread to copy.
    let probing = probe::begin();
    let scratch = Scratch::enter(&cache.join("private")).map_err(AgentError::Private)?;
    let _refused = prctl::set_dumpable(false);
    let claim = Claim::take(&cache.join("uids")).map_err(AgentError::Claim)?;
    // One thread: the jail dies with the thread that started it, so that one has to be the agent's own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AgentError::Runtime)?;
    let ended = runtime.block_on(run(bootstrap, cache, scratch, claim, probing, make_door));
    // What still runs beside (a long poll) is not waited for.
    runtime.shutdown_background();
    ended
}

fn read_bootstrap() -> io::Result<Bootstrap> {
    let descriptor = sys::inherited(BOOTSTRAP_DESCRIPTOR)?;
    sys::close_from(4)?;
    let mut text = String::new();
    std::fs::File::from(descriptor).take(LONGEST_BOOTSTRAP).read_to_string(&mut text)?;
    let text = Secret::new(text);
    // The parser's words may quote the message; the place is enough.
    serde_json::from_str(text.expose()).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("not a bootstrap message, at column {}", error.column()))
    })
}

async fn run(
    bootstrap: Bootstrap,
    cache: PathBuf,
    scratch: Scratch,
    claim: Claim,
    probing: Probing,
    make_door: MakeDoor,
) -> Result<ExitCode, AgentError> {
    let transport = Https::new(&bootstrap.url, &bootstrap.ca_pem).map_err(AgentError::Address)?;
    let token = Secret::new(bootstrap.token);
    let server = Arc::new(Server::new(Arc::new(transport), &bootstrap.run, token));
    let found = probing.finish();
    let missing = found.missing();
    let version = String::from(env!("CARGO_PKG_VERSION"));
    let start = Start { version, missing_walls: missing.clone(), scratch: Some(scratch.told()) };
    let assignment = server.start(&start).await.map_err(AgentError::Start)?;
    let mut stop = watch(Arc::clone(&server));

    // A wall that nobody here has heard of does not stand.
    let stands = |name: &&String| found.walls.iter().any(|wall| wall.stands && wall.name == **name);
    let lacking: Vec<&String> = assignment.required_walls.iter().filter(|wall| !stands(wall)).collect();
    let (outcome, is_cleared) = if lacking.is_empty() {
        let agent = Agent {
            server: Arc::clone(&server),
            cache,
            executable: PathBuf::from("/proc/self/exe"),
            scratch,
            owner: claim.owner(),
            socket: bootstrap.socket.map(PathBuf::from),
            missing: missing.clone(),
            make_door,
        };
        let outcome = agent.work(&assignment, &mut stop).await;
        // Before the last word, so that it says what became of the scratch.
        (outcome, agent.scratch.clear())
    } else {
        let names = lacking.iter().map(|wall| wall.as_str()).collect::<Vec<_>>().join(", ");
        (Outcome::failed(format!("this target lacks walls that the run demands: {names}"), missing), scratch.clear())
    };
    // In a statement of its own: a borrow that lived across the await would lock the heartbeat, and so this thread, for ever.
    let last = *stop.borrow();
    finish(&server, outcome, is_cleared, last).await
}

async fn finish(server: &Server, outcome: Outcome, is_cleared: bool, stop: Stop) -> Result<ExitCode, AgentError> {
    let code = if outcome.state == RunState::Completed { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let patience = match stop {
        Stop::No | Stop::Canceled => PATIENCE,
        Stop::Ended => LAST_WORD,
        // There is nobody to tell.
        Stop::Lost | Stop::Over => return Ok(code),
    };
    let finish = Finish {
        state: outcome.state,
        exit_code: outcome.exit_code,
        message: outcome.message,
        missing_walls: outcome.missing,
        scratch_cleared: Some(is_cleared),
    };
    match server.finish(&finish, patience).await {
        Ok(()) | Err(ServerError::Over) => Ok(code),
        Err(error) => Err(AgentError::Finish(error)),
    }
}

/// To the launcher, which keeps the last lines for diagnosis.
fn tell(error: &(dyn std::error::Error + 'static)) {
    use std::io::Write;
    let mut line = format!("agent: {error}");
    let mut next = error.source();
    while let Some(cause) = next {
        line.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    line.push('\n');
    // A launcher that is gone does not listen.
    let _unheard = io::stderr().write_all(line.as_bytes());
}
