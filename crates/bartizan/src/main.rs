//! Bartizan: one binary. The server, the agent on a target, the replica of a service, and the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    bartizan::main()
}
