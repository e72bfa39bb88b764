//! Entry scripts with `init()` and `run(data)`, each worker a Python process of its own.

mod frame;
mod keeper;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use frame::Asked;
use http::request::Parts;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::answer::{Answer, Failure, one_line};
use crate::{Options, Stop, swagger};

/// What the workers run, and how.
#[derive(Debug)]
pub(crate) struct Script {
    /// The entry script.
    pub(crate) entry: PathBuf,
    /// The interpreter.
    pub(crate) python: PathBuf,
    /// Given to the script as `AZUREML_MODEL_DIR`.
    pub(crate) model_dir: PathBuf,
}

/// The workers of one entry script, and the queue before them.
pub(crate) struct Python {
    jobs: Mutex<Option<mpsc::UnboundedSender<Job>>>,
    /// One place per worker and per waiting request; it bounds the queue.
    places: Arc<Semaphore>,
    status: watch::Receiver<Status>,
    keepers: Mutex<JoinSet<()>>,
    timeout: Duration,
    is_raw: bool,
    swagger: Bytes,
}

/// One request on its way to a worker.
struct Job {
    asked: Asked,
    /// When it no longer makes sense to start it.
    until: Instant,
    reply: oneshot::Sender<Result<Answer, Failure>>,
    _place: OwnedSemaphorePermit,
}

/// What the keepers tell.
#[derive(Default)]
struct Status {
    /// Workers whose `init()` has returned and that are alive.
    live: usize,
    /// From the first worker.
    declared: Option<Declared>,
    /// Why no worker will live any more.
    gave_up: Option<GaveUp>,
}

/// What a script says about itself.
#[derive(Debug, Default, Clone, serde::Deserialize)]
struct Declared {
    /// Whether it wants whole HTTP requests: `@rawhttp`.
    #[serde(default)]
    raw: bool,
    /// Schemas by `@input_schema` and `@output_schema`.
    #[serde(default)]
    input: Option<Value>,
    #[serde(default)]
    output: Option<Value>,
}

/// Why there is no point in trying again.
#[derive(Debug, Clone)]
enum GaveUp {
    /// `init()` failed, in these words.
    Init(String),
    /// The interpreter cannot be started.
    Interpreter(String),
}

impl GaveUp {
    fn stop(&self) -> Stop {
        match self {
            Self::Init(why) => Stop::Init(one_line(why)),
            Self::Interpreter(why) => Stop::Host(why.clone()),
        }
    }
}

impl Python {
    /// Starts the workers; returns when the first has initialised.
    ///
    /// # Errors
    /// [`Stop::Init`] when `init()` fails or takes too long, [`Stop::Host`] when the interpreter does not start.
    pub(crate) async fn start(script: Script, options: &Options) -> Result<Self, Stop> {
        let (jobs, queue) = mpsc::unbounded_channel();
        let (told, mut status) = watch::channel(Status::default());
        let shared = Arc::new(keeper::Shared {
            script,
            queue: tokio::sync::Mutex::new(queue),
            status: told,
            run_timeout: options.request_timeout,
            init_timeout: options.init_timeout,
        });
        let mut keepers = JoinSet::new();
        for _ in 0..options.workers {
            keepers.spawn(keeper::keep(Arc::clone(&shared)));
        }
        drop(shared);
        let declared = {
            let settled = status.wait_for(|status| status.live > 0 || status.gave_up.is_some()).await;
            let settled = settled.map_err(|_| Stop::Host("the workers are gone".into()))?;
            if let Some(why) = &settled.gave_up {
                return Err(why.stop());
            }
            settled.declared.clone().unwrap_or_default()
        };
        let input = declared.input.unwrap_or_else(|| {
            json!({"type": "object", "description": "Any JSON; it is given to run() as text.", "example": {"data": []}})
        });
        let output = declared.output.unwrap_or_else(|| json!({"description": "What run() returned, as JSON."}));
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            places: Arc::new(Semaphore::new(options.workers.saturating_add(options.queue).min(Semaphore::MAX_PERMITS))),
            status,
            keepers: Mutex::new(keepers),
            timeout: options.request_timeout,
            is_raw: declared.raw,
            swagger: swagger::document(&input, &output),
        })
    }

    /// The Swagger document of this script.
    pub(crate) fn swagger(&self) -> Bytes {
        self.swagger.clone()
    }

    /// Whether a worker is there to answer.
    pub(crate) fn is_healthy(&self) -> bool {
        self.status.borrow().live > 0
    }

    /// Whether `run()` wants whole requests, of any method and type.
    pub(crate) fn is_raw(&self) -> bool {
        self.is_raw
    }

    /// Gives one body to `run()`.
    ///
    /// # Errors
    /// When the body is not JSON, `run()` raises, crashes or takes too long, or the queue is full.
    pub(crate) async fn score(&self, body: Bytes) -> Result<Answer, Failure> {
        let invalid = |error: &dyn std::fmt::Display| Failure::Invalid(format!("the body is not valid JSON: {error}"));
        let text = std::str::from_utf8(&body).map_err(|error| invalid(&error))?;
        serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| invalid(&error))?;
        self.ask(Asked::Body(body)).await
    }

    /// Gives a whole request to a `run()` that wants it.
    ///
    /// # Errors
    /// When `run()` raises, crashes or takes too long, or the queue is full.
    pub(crate) async fn score_raw(&self, head: &Parts, body: &[u8]) -> Result<Answer, Failure> {
        self.ask(Asked::with_head(head, body)).await
    }

    async fn ask(&self, asked: Asked) -> Result<Answer, Failure> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Failure::Busy("all workers are busy and the queue is full"))?;
        let (reply, answer) = oneshot::channel();
        let job = Job { asked, until: Instant::now() + self.timeout, reply, _place: place };
        let stopping = || Failure::Busy("the service is stopping");
        let queue = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        queue.ok_or_else(stopping)?.send(job).map_err(|_| stopping())?;
        // Twice the bound: the wait in the queue, then the run itself.
        match tokio::time::timeout(self.timeout * 2, answer).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) | Err(_) => Err(Failure::Busy("no worker became free in time")),
        }
    }

    /// Returns when no worker can be kept alive.
    pub(crate) async fn gave_up(&self) -> Stop {
        let mut status = self.status.clone();
        let settled = status.wait_for(|status| status.gave_up.is_some()).await;
        match settled.as_ref().map(|status| status.gave_up.as_ref()) {
            Ok(Some(why)) => why.stop(),
            // The keepers ended in order, with the process.
            Ok(None) | Err(_) => {
                drop(settled);
                std::future::pending().await
            }
        }
    }

    /// Lets the workers end.
    pub(crate) async fn end(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut keepers = std::mem::take(&mut *self.keepers.lock().unwrap_or_else(PoisonError::into_inner));
        while keepers.join_next().await.is_some() {}
    }
}
