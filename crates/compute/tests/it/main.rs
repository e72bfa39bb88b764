//! The jail and the agent, from outside, with a harness of their own: the processes they start are this very program.
//!
//! Started by root, every scenario runs twice: as root, and as a plain user in a second process. What a host cannot do is
//! counted and named, never silently passed over.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test program: what goes wrong is to be seen at once"
)]

mod disk;
mod environments;
mod house;
mod index;
mod scenarios;
mod stand;

use std::{
    io::{Read, Write},
    os::unix::process::CommandExt,
    panic::{AssertUnwindSafe, catch_unwind},
    process::{Command, ExitCode},
    time::Instant,
};

/// The plain user of the second round.
const PLAIN: u32 = 65534;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    match words.get(1).map(String::as_str) {
        Some("agent") => compute::agent_main(|_| Err(String::from("none in these tests"))),
        Some("jail") => compute::jail_main(),
        Some("model-server") => echo(),
        Some("as-plain-user") => scenarios(scenarios::ALL, words.get(2).map(String::as_str), "plain user"),
        Some("inner") => scenarios(scenarios::INNER, None, "with the index's settings"),
        Some("--list") => ExitCode::SUCCESS,
        filter => {
            let filter = filter.filter(|word| !word.starts_with('-'));
            if !nix::unistd::Uid::effective().is_root() {
                return scenarios(scenarios::ALL, filter, "plain user");
            }
            let as_root = scenarios(scenarios::ALL, filter, "root");
            let as_plain = second_round(filter);
            if as_root == ExitCode::SUCCESS && as_plain { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}

fn scenarios(all: &[(&str, fn())], filter: Option<&str>, who: &str) -> ExitCode {
    let mut failures = 0;
    for (name, scenario) in all {
        if filter.is_some_and(|filter| !name.contains(filter)) {
            continue;
        }
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(scenario));
        let word = match outcome {
            Ok(()) => "ok",
            Err(_) => {
                failures += 1;
                "FAILED"
            }
        };
        println!("test {who}: {name} ... {word} ({} ms)", begun.elapsed().as_millis());
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The same scenarios as somebody without rights.
fn second_round(filter: Option<&str>) -> bool {
    let home = tempfile::Builder::new().prefix("bartizan-plain").tempdir().unwrap();
    nix::unistd::chown(home.path(), Some(PLAIN.into()), Some(PLAIN.into())).unwrap();
    // The build directory may be closed to others.
    let copy = home.path().join("it");
    std::fs::copy("/proc/self/exe", &copy).unwrap();
    let mut command = Command::new(&copy);
    command
        .arg("as-plain-user")
        .args(filter)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("TMPDIR", home.path())
        .env("HOME", home.path())
        .envs(std::env::vars().filter(|(name, _)| {
            name.starts_with("PIP_") || name.starts_with("BARTIZAN_TEST") || name == "SSL_CERT_FILE" || name == "SHOW"
        }))
        .uid(PLAIN)
        .gid(PLAIN);
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            println!("compute: 1 suite skipped: no second round as a plain user: {error}");
            false
        }
    }
}

/// Stands in for the model server: answers each connection on descriptor 3 with what it sees.
fn echo() -> ExitCode {
    use nix::sys::socket::{MsgFlags, accept, send};
    let arguments = std::env::args().collect::<Vec<_>>().join(" ");
    let model = std::env::args().skip_while(|word| word != "--entry").nth(1).unwrap_or_default();
    let mut text = String::new();
    let _ = std::fs::File::open(model).and_then(|mut file| file.read_to_string(&mut text));
    let descriptors: Vec<_> =
        std::fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| entry.file_name()).collect();
    let network = std::net::TcpListener::bind("127.0.0.1:0").is_ok();
    std::io::stdout().write_all(b"model server up\n").unwrap();
    while let Ok(stream) = accept(3) {
        let answer = format!("{arguments}\n{text}\n{descriptors:?}\nnetwork {network}\n");
        let _ = send(stream, answer.as_bytes(), MsgFlags::empty());
        let _ = nix::unistd::close(stream);
    }
    ExitCode::SUCCESS
}
