//! Keeps one worker process alive: starts it, feeds it from the queue, and replaces it when it dies.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::timeout;

use super::frame::{Channel, Said};
use super::{Declared, GaveUp, Job, Script, Status};
use crate::answer::Failure;
use crate::log;

const WORKER: &str = include_str!("worker.py");
/// Starts in a row that may fail before the replica gives up.
const MOST_FAILURES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a worker may take to end by itself.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What all keepers of one script share.
pub(super) struct Shared {
    pub(super) script: Script,
    pub(super) queue: Mutex<mpsc::UnboundedReceiver<Job>>,
    pub(super) status: watch::Sender<Status>,
    pub(super) run_timeout: Duration,
    pub(super) init_timeout: Duration,
}

/// Keeps one worker until the queue closes or there is no point in going on.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut has_lived = false;
    // In a row: starts that failed, and workers that died before they had answered anything.
    let (mut failed, mut wasted) = (0_u32, 0_u32);
    loop {
        match Worker::start(&shared).await {
            Ok((worker, declared)) => {
                (has_lived, failed) = (true, 0);
                shared.status.send_modify(|status| {
                    status.live += 1;
                    status.declared.get_or_insert(declared);
                });
                let (end, served) = worker.serve(&shared).await;
                shared.status.send_modify(|status| status.live = status.live.saturating_sub(1));
                if matches!(end, End::QueueClosed) {
                    return;
                }
                // Such a worker is replaced at a slower and slower pace, but always: it may well be the requests.
                wasted = if served > 0 { 0 } else { wasted.saturating_add(1) };
            }
            Err(why) => {
                failed += 1;
                if !has_lived || failed >= MOST_FAILURES {
                    shared.status.send_modify(|status| status.gave_up = Some(why));
                    return;
                }
                log::line(format_args!("worker: did not start again: {}", why.stop()));
            }
        }
        let doublings = failed.max(wasted);
        if doublings > 0 {
            tokio::time::sleep(FIRST_PAUSE.saturating_mul(1 << doublings.min(6)).min(LONGEST_PAUSE)).await;
        }
    }
}

/// Why a worker no longer serves.
enum End {
    QueueClosed,
    Died,
}

/// How one request ended, as far as the worker is concerned.
enum After {
    /// It can take another one.
    Alive,
    /// It is gone.
    Gone,
}

struct Worker {
    child: Child,
    channel: Channel,
    group: Group,
}

/// The processes of one worker: its own and what its script started.
struct Group(Option<Pid>);

impl Group {
    fn kill(&self) {
        if let Some(group) = self.0 {
            // It may be gone already, which is as well.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Worker {
    async fn start(shared: &Shared) -> Result<(Self, Declared), GaveUp> {
        let script = &shared.script;
        let broken =
            |error: std::io::Error| GaveUp::Interpreter(format!("cannot start `{}`: {error}", script.python.display()));
        let (ours, theirs) = StdUnixStream::pair().map_err(broken)?;
        ours.set_nonblocking(true).map_err(broken)?;
        let channel = Channel::over(UnixStream::from_std(ours).map_err(broken)?);
        // The socket travels as standard input, the only descriptor beside the log that the worker gets.
        let mut command = Command::new(&script.python);
        command
            .args(["-u", "-X", "utf8", "-X", "faulthandler", "-c", WORKER])
            .arg(&script.entry)
            .env("AZUREML_MODEL_DIR", &script.model_dir)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(std::io::stderr()))
            .stderr(Stdio::inherit())
            // A group of its own, so that what the script starts ends with it.
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn().map_err(broken)?;
        // The command still holds the worker's end; a death would go unnoticed.
        drop(command);
        let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
        let mut worker = Self { child, channel, group };
        match timeout(shared.init_timeout, worker.channel.hear()).await {
            Ok(Ok(Said::Ready(declared))) => Ok((worker, serde_json::from_slice(&declared).unwrap_or_default())),
            Ok(Ok(Said::InitFailed(why))) => {
                worker.end().await;
                Err(GaveUp::Init(why))
            }
            Ok(Ok(_)) => Err(GaveUp::Init("the worker spoke out of turn".into())),
            Ok(Err(_)) => Err(GaveUp::Init(format!("the worker process ended in init(): {}", worker.died().await))),
            Err(_) => {
                worker.group.kill();
                Err(GaveUp::Init(format!("init() did not finish within {:?}", shared.init_timeout)))
            }
        }
    }

    /// Takes requests one by one. Also tells how many were answered.
    async fn serve(mut self, shared: &Shared) -> (End, u64) {
        let mut served = 0;
        loop {
            let job = tokio::select! {
                biased;
                status = self.child.wait() => {
                    log::line(format_args!("worker: ended while idle: {}", describe(status.ok())));
                    self.group.kill();
                    return (End::Died, served);
                }
                job = async { shared.queue.lock().await.recv().await } => job,
            };
            let Some(job) = job else {
                self.end().await;
                return (End::QueueClosed, served);
            };
            // Nobody waits for an answer any more.
            if job.reply.is_closed() {
                continue;
            }
            if Instant::now() >= job.until {
                drop(job.reply.send(Err(Failure::Busy("no worker became free in time"))));
                continue;
            }
            match self.answer(job, shared.run_timeout).await {
                After::Alive => served += 1,
                After::Gone => return (End::Died, served),
            }
        }
    }

    async fn answer(&mut self, job: Job, limit: Duration) -> After {
        let said = timeout(limit, async {
            self.channel.ask(&job.asked).await?;
            self.channel.hear().await
        })
        .await;
        let (answer, after) = match said {
            Ok(Ok(said)) => (said.answer(), After::Alive),
            Ok(Err(error)) => {
                let why = match error.kind() {
                    std::io::ErrorKind::InvalidData => {
                        self.group.kill();
                        format!("run() gave {error}")
                    }
                    _ => format!("the worker process ended in run(): {}", self.died().await),
                };
                log::line(format_args!("worker: {why}"));
                (Err(Failure::RunFailed(why)), After::Gone)
            }
            Err(_) => {
                log::line(format_args!("worker: run() did not finish within {limit:?}; the process is replaced"));
                self.group.kill();
                (Err(Failure::TimedOut(limit)), After::Gone)
            }
        };
        drop(job.reply.send(answer));
        after
    }

    /// Its end of the channel is closed: says how it ended.
    async fn died(&mut self) -> String {
        let status = timeout(LAST_WORDS, self.child.wait()).await;
        self.group.kill();
        describe(status.ok().and_then(Result::ok))
    }

    /// Closes the channel, which tells it to end, and waits a little.
    async fn end(self) {
        let Self { mut child, channel, group } = self;
        drop(channel);
        drop(timeout(LAST_WORDS, child.wait()).await);
        group.kill();
    }
}

fn describe(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "it closed its channel".into(), |status| status.to_string())
}
