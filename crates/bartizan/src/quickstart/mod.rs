//! The main job end to end.

use std::process::ExitCode;

use clap::Args;

use crate::{failure::Failure, server::ServeOptions};

/// Options of `quickstart`.
#[derive(Args)]
pub struct QuickstartOptions {
    #[command(flatten)]
    serve: ServeOptions,
    /// Stay up afterwards, until told to stop.
    #[arg(long = "serve")]
    stay: bool,
}

pub fn quickstart(_: QuickstartOptions) -> Result<ExitCode, Failure> {
    Err(Failure::new("soon"))
}
