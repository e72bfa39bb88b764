//! The life of a replica process: take the socket, load the model, answer, and end in order when told to.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::service::{Replica, answer};
use crate::{EngineOptions, Options, inherited, log, onnx, python};

/// How long requests in flight may take to finish once the process was told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Why a replica process ended other than by request; the words are one line for the log, the code tells the parent.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The command line is wrong; exit code 2.
    #[error("model-server: {0}")]
    Usage(String),
    /// The model cannot be loaded; exit code 3.
    #[error("model: {0}")]
    Model(String),
    /// The entry script cannot be loaded, or its `init()` failed; exit code 4.
    #[error("init: {0}")]
    Init(String),
    /// Something outside the model is missing or broken: the socket, the library of ONNX Runtime, the interpreter; exit
    /// code 5.
    #[error("model-server: {0}")]
    Host(String),
}

impl Stop {
    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Model(_) => 3,
            Self::Init(_) => 4,
            Self::Host(_) => 5,
        }
    }
}

/// Runs one replica until SIGTERM, by the arguments after the program's name (see [`Options::parse`]).
pub fn model_server_main(args: impl Iterator<Item = OsString>) -> ExitCode {
    match Options::parse(args).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            log::line(&stop);
            ExitCode::from(stop.code())
        }
    }
}

fn run(options: Options) -> Result<(), Stop> {
    let listener = inherited::listener(options.listen_fd)
        .map_err(|error| Stop::Host(format!("cannot listen on descriptor {}: {error}", options.listen_fd)))?;
    // One thread: a quick model answers on it without a hand-over, and whatever may take long runs elsewhere.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Stop::Host(format!("cannot start: {error}")))?;
    let end = runtime.block_on(serve(listener, options));
    // A run of a model that nothing can interrupt must not keep the process.
    runtime.shutdown_background();
    end
}

async fn serve(listener: std::os::unix::net::UnixListener, options: Options) -> Result<(), Stop> {
    let broken = |error: std::io::Error| Stop::Host(format!("cannot start: {error}"));
    let listener = UnixListener::from_std(listener).map_err(broken)?;
    let mut told_to_stop = signal(SignalKind::terminate()).map_err(broken)?;
    let replica = Arc::new(Replica::new(options.max_body));
    let connections = GracefulShutdown::new();
    let mut engine = std::pin::pin!(keep(Arc::clone(&replica), options));
    let end = loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => serve_connection(stream, &replica, &connections),
                Err(error) => {
                    // Out of descriptors, most likely: wait for a connection to end rather than spin.
                    log::line(format_args!("model-server: cannot accept: {error}"));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = told_to_stop.recv() => break Ok(()),
            stop = &mut engine => break Err(stop),
        }
    };
    drop(listener);
    if end.is_ok() && tokio::time::timeout(DRAIN, connections.shutdown()).await.is_err() {
        log::line(format_args!("model-server: requests were still running after {DRAIN:?}"));
    }
    replica.end().await;
    end
}

/// Loads the engine, publishes it, and watches it. Returns only when there is no point in going on.
async fn keep(replica: Arc<Replica>, options: Options) -> Stop {
    let loaded = match options.engine.clone() {
        EngineOptions::Onnx { .. } => {
            // Loading a large model takes seconds; meanwhile the socket answers.
            match tokio::task::spawn_blocking(move || onnx::Onnx::load(&options)).await {
                Ok(loaded) => loaded.map(crate::service::Engine::Onnx),
                Err(error) => Err(Stop::Model(format!("loading it failed: {error}"))),
            }
        }
        EngineOptions::Python { entry, python, model_dir } => {
            let script = python::Script { entry, python, model_dir };
            python::Python::start(script, &options).await.map(crate::service::Engine::Python)
        }
    };
    match loaded {
        Ok(engine) => replica.publish(engine).await,
        Err(stop) => stop,
    }
}

fn serve_connection(stream: tokio::net::UnixStream, replica: &Arc<Replica>, connections: &GracefulShutdown) {
    let replica = Arc::clone(replica);
    let service = service_fn(move |request| answer(Arc::clone(&replica), request));
    // The only client is the gateway on the other end of the socket: it sets the date and keeps slow callers away.
    let connection = http1::Builder::new()
        .auto_date_header(false)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    // An error here is a connection that the other side gave up; its request already knows.
    tokio::spawn(async move { drop(connection.await) });
}
