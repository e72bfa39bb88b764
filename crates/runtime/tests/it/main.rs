//! Replica processes as the agent starts them, asked over a real Unix socket: real models, real entry scripts.
//!
//! The binary is its own replica: started with `model-server` as its first argument it becomes one.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests: a broken expectation ends the test, with the place"
)]

mod onnx;
mod packages;
mod python;
mod replica;
mod site;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use site::Site;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.peek().is_some_and(|first| first == "model-server") {
        return runtime::model_server_main(args);
    }
    let arguments = Arguments::from_args();
    let mut trials = python::trials();
    // Listing must be quick; only a run needs the packages.
    let site = if arguments.list { Site::nowhere() } else { Site::prepare() };
    match site {
        Ok(site) => {
            trials.extend(onnx::trials(site));
            trials.extend(packages::trials(site));
        }
        Err(why) => {
            eprintln!("runtime: 2 suites skipped: {why}");
            // Counted by the harness as ignored, under their names.
            let nowhere = Site::nowhere().expect("no place is needed for names");
            let names = onnx::trials(nowhere).into_iter().chain(packages::trials(nowhere));
            trials.extend(names.map(|trial: Trial| trial.with_ignored_flag(true)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
