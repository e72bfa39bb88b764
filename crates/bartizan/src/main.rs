//! Bartizan: one binary. The server, the agent on a target, the replica of a service, and the command line.

use std::process::ExitCode;

/// Requests are many small pieces of memory, asked for and given back on different threads: the system's allocator took an
/// eighth of the time of a token.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bartizan::main()
}
