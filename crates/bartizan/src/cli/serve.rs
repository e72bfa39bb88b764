//! Running the server.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
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
        say(&format!("bartizan listens on {}", server.house.settings().url));
        stop_signal().await?;
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

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn stop_signal() -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
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
