//! Bartizan, assembled: the server, the processes it starts, and the command line. One binary; this library is its body, so
//! that tests can assemble a server too.

pub mod cli;
mod door;
mod failure;
mod quickstart;
pub mod server;

pub use failure::Failure;

use std::process::ExitCode;

/// What the binary does.
pub fn main() -> ExitCode {
    // Processes that the server itself starts come first: they must be quick, and the jail must stay single-threaded.
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_ref().and_then(|first| first.to_str()) {
        Some("agent") => return compute::agent::agent_main(door::make),
        Some("jail") => return compute::jail::jail_main(),
        Some("model-server") => return runtime::model_server_main(arguments),
        _ => {}
    }
    cli::main()
}
