//! Running the server.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::{EnvFilter, fmt};

use super::{say, tell};
use crate::{
    failure::Failure,
    server::{ServeOptions, Server},
};

/// Serves until SIGTERM or SIGINT.
pub fn serve(options: ServeOptions) -> Result<ExitCode, Failure> {
    start_log("info");
    runtime()?.block_on(async {
        let server = Server::start(&options).await?;
        announce(&server, &options);
        // Before it is said: whoever reads it may end the server at once.
        let stop = StopSignal::listen()?;
        say(&format!("bartizan listens on {}", server.house.settings().url));
        stop.heard().await;
        tell("stopping");
        server.stop().await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Founds a data directory and stops.
pub fn init(options: ServeOptions) -> Result<ExitCode, Failure> {
    start_log("warn");
    runtime()?.block_on(async {
        let server = Server::start(&options).await?;
        if server.founded.is_none() {
            say(&format!("{} was made ready before; nothing to do", options.data_dir.display()));
        }
        announce(&server, &options);
        server.stop().await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The server's runtime.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// The server's own log, to standard error; BARTIZAN_LOG sets the level.
pub(crate) fn start_log(level: &str) {
    let filter = EnvFilter::try_from_env("BARTIZAN_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let _ = fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// SIGTERM or SIGINT, listened for from the moment it is made.
pub(crate) struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignal {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    pub(crate) async fn heard(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// After a first start: says what was made and where the credentials are. They are nowhere else.
fn announce(server: &Server, options: &ServeOptions) {
    let Some(first) = &server.founded else { return };
    let key = server.data().root_key().describe();
    say(&format!("tenant        {}", first.charter.tenant));
    say(&format!("subscription  {}", first.charter.subscription));
    say(&format!("root key      {key} (keep a copy elsewhere: without it the data cannot be read)"));
    let env = options.env_file();
    say(&format!("credentials   {} (mode 0600; `source` it, or move its content to a safe place)", env.display()));
}
