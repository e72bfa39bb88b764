//! ONNX models, run by ONNX Runtime inside this process.

mod nested;
mod request;
mod signature;
mod v2;
mod watchdog;
mod write;

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ort::logging::LogLevel;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::ValueType;
use tokio::sync::Semaphore;

use crate::answer::{Failure, one_line};
use crate::{EngineOptions, Options, Stop, log, swagger};
use signature::Signature;
use watchdog::{Leash, Watchdog};

/// A run that took no longer than this last time is done on the thread that serves the socket: handing it over would cost
/// more than it does.
const QUICK: Duration = Duration::from_millis(1);
/// A body up to this size may be parsed on the thread that serves the socket.
const SMALL: usize = 16 << 10;

/// One loaded model.
pub(crate) struct Onnx {
    model: Arc<Model>,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    timeout: Duration,
    swagger: Bytes,
}

/// How a body is spelled, and its answer.
pub(crate) enum Tongue {
    /// As the article's `/score`.
    Score,
    /// As `infer` of the Open Inference Protocol, for a model of this name.
    Inference(String),
}

/// A body that was read.
enum Parsed<'a> {
    Score(request::Request),
    Inference(v2::Request, &'a str),
}

impl Tongue {
    fn parse(&self, signature: &Signature, body: &[u8]) -> Result<Parsed<'_>, String> {
        match self {
            Self::Score => request::parse(signature, body).map(Parsed::Score),
            Self::Inference(name) => v2::parse(signature, body).map(|read| Parsed::Inference(read, name)),
        }
    }
}

impl Parsed<'_> {
    fn tensors(&self) -> &[SessionInputValue<'static>] {
        match self {
            Self::Score(read) => &read.tensors,
            Self::Inference(read, _) => &read.tensors,
        }
    }
}

struct Model {
    signature: Signature,
    slots: Vec<Mutex<Slot>>,
    /// How long the last run took, in nanoseconds.
    last: AtomicU64,
    timeout: Duration,
    // Sessions must not outlive it; fields are dropped in order.
    _environment: ort::environment::Environment,
}

struct Slot {
    session: Session,
    leash: Arc<Leash>,
}

impl Onnx {
    /// Loads the library and the model.
    ///
    /// # Errors
    /// [`Stop::Host`] when the library is unusable, [`Stop::Model`] when the model is.
    pub(crate) fn load(options: &Options) -> Result<Self, Stop> {
        let EngineOptions::Onnx { model, onnxruntime, threads } = &options.engine else {
            return Err(Stop::Usage("the engine is not ONNX Runtime".into()));
        };
        let environment = environment(onnxruntime)?;
        let unloadable = |why: String| {
            Stop::Model(format!("`{}` is not a loadable ONNX model: {}", model.display(), one_line(&why)))
        };
        let mut slots = Vec::new();
        let mut leashes = Vec::new();
        let mut signature = None;
        for _ in 0..options.workers {
            let session = session(&environment, model, *threads).map_err(|error| unloadable(error.to_string()))?;
            if signature.is_none() {
                signature = Some(Signature::of(&session).map_err(unloadable)?);
            }
            let leash = RunOptions::new().map_err(|error| Stop::Host(one_line(&error.to_string())))?;
            let leash = Arc::new(Leash::new(leash));
            leashes.push(Arc::clone(&leash));
            slots.push(Mutex::new(Slot { session, leash }));
        }
        let signature = signature.ok_or_else(|| Stop::Usage("there must be a worker".into()))?;
        Watchdog { leashes, timeout: options.request_timeout }
            .start()
            .map_err(|error| Stop::Host(format!("cannot start a thread: {error}")))?;
        let swagger = swagger::document(&signature.input_schema(), &signature.output_schema());
        Ok(Self {
            free: Arc::new(Semaphore::new(slots.len())),
            waiting: AtomicUsize::new(0),
            queue: options.queue,
            timeout: options.request_timeout,
            swagger,
            model: Arc::new(Model {
                signature,
                slots,
                last: AtomicU64::new(u64::MAX),
                timeout: options.request_timeout,
                _environment: environment,
            }),
        })
    }

    /// The Swagger document of this model.
    pub(crate) fn swagger(&self) -> Bytes {
        self.swagger.clone()
    }

    /// What the model takes and gives, for the Open Inference Protocol.
    pub(crate) fn metadata(&self, name: &str) -> serde_json::Value {
        v2::metadata(&self.model.signature, name)
    }

    /// Answers one body with a JSON text.
    ///
    /// # Errors
    /// When the body does not fit, the model fails or takes too long, or the queue is full.
    pub(crate) async fn score(&self, body: Bytes, tongue: Tongue) -> Result<Vec<u8>, Failure> {
        let permit = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait().await?,
        };
        let quick = u64::try_from(QUICK.as_nanos()).unwrap_or(0);
        // Should such a run turn out long after all, the socket is silent until the watchdog cuts it.
        if body.len() <= SMALL && self.model.last.load(Ordering::Relaxed) <= quick {
            return self.model.score(&body, &tongue);
        }
        let model = Arc::clone(&self.model);
        tokio::task::spawn_blocking(move || {
            let scored = model.score(&body, &tongue);
            drop(permit);
            scored
        })
        .await
        .unwrap_or_else(|error| Err(Failure::Internal(format!("the run ended early: {error}"))))
    }

    async fn wait(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Failure> {
        let _place = Place::take(&self.waiting, self.queue)?;
        match tokio::time::timeout(self.timeout, Arc::clone(&self.free).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Failure::Busy("no worker became free in time")),
        }
    }
}

/// A place in the queue, given back however the wait ends.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, most: usize) -> Result<Self, Failure> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= most {
            return Err(Failure::Busy("all workers are busy and the queue is full"));
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Model {
    /// Runs on any free session. Whoever holds a permit finds one.
    fn score(&self, body: &[u8], tongue: &Tongue) -> Result<Vec<u8>, Failure> {
        for slot in &self.slots {
            match slot.try_lock() {
                Ok(mut slot) => return self.run(&mut slot, body, tongue),
                // A session is not written to by a run; one that saw a panic is as good as before.
                Err(TryLockError::Poisoned(slot)) => return self.run(&mut slot.into_inner(), body, tongue),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        Err(Failure::Busy("all workers are busy"))
    }

    fn run(&self, slot: &mut Slot, body: &[u8], tongue: &Tongue) -> Result<Vec<u8>, Failure> {
        let parsed = tongue.parse(&self.signature, body).map_err(Failure::Invalid)?;
        let tensors = parsed.tensors();
        let started = Instant::now();
        slot.leash.tie(started + self.timeout);
        let outcome = slot.session.run_with_options(tensors, slot.leash.options());
        let overran = slot.leash.untie();
        let took = started.elapsed();
        self.last.store(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let outputs = outcome.map_err(|error| {
            // The library has logged it already.
            let why = one_line(&error.to_string());
            match error.code() {
                _ if overran => Failure::TimedOut(self.timeout),
                ort::ErrorCode::InvalidArgument => Failure::Invalid(format!("the model refused the input: {why}")),
                _ if have_different_lengths(tensors) => {
                    Failure::Invalid(format!("the inputs have different numbers of rows, and the model failed: {why}"))
                }
                _ => Failure::RunFailed(format!("the model failed: {why}")),
            }
        })?;
        match &parsed {
            Parsed::Score(asked) => write::answer(&self.signature, &asked.outputs, &outputs),
            Parsed::Inference(asked, name) => v2::answer(&self.signature, name, asked, &outputs),
        }
        .map_err(Failure::Internal)
    }
}

/// Whether the first dimensions differ. A model may want that, so it is looked at only after a failure.
fn have_different_lengths(tensors: &[SessionInputValue<'_>]) -> bool {
    let mut lengths = tensors.iter().map(|tensor| match tensor.dtype() {
        ValueType::Tensor { shape, .. } => shape.first().copied(),
        _ => None,
    });
    let first = lengths.next();
    lengths.any(|length| Some(length) != first)
}

fn environment(library: &Path) -> Result<ort::environment::Environment, Stop> {
    let unusable =
        |why: String| Stop::Host(format!("`{}` is not a usable ONNX Runtime: {}", library.display(), one_line(&why)));
    ort::init_from(library)
        .map_err(|error| unusable(error.to_string()))?
        .with_name("bartizan")
        .with_telemetry(false)
        .with_logger(Arc::new(|level: LogLevel, _: &str, _: &str, place: &str, message: &str| {
            if level >= LogLevel::Warning {
                log::line(format_args!("onnxruntime {level:?} {place}: {}", one_line(message)));
            }
        }))
        .build()
        .map_err(|error| unusable(error.to_string()))
}

fn session(environment: &ort::environment::Environment, model: &Path, threads: usize) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_log_level(LogLevel::Warning)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        // Spinning buys latency with the neighbours' cores.
        .with_intra_op_spinning(false)?
        .commit_from_file(model)
}
