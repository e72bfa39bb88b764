//! A whole session with words planted in every place that takes one, and none of them found where it must not be: `docs/formats` and
//! the threat model say that everything is sealed, and this looks.

use std::{fs::File, process::Command};

use crate::{
    clients::suites,
    served::{BARTIZAN, Served, cache},
};

#[test]
fn of_a_whole_session_no_planted_word_is_on_the_disk_in_a_process_or_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("server.log");
    let scratch = tempfile::tempdir().unwrap();
    let served = Served::with(tempfile::tempdir().unwrap(), "127.0.0.1:0", |command| {
        // Everything that the server could ever tell, and an address for webhooks at which nobody answers.
        command.env("BARTIZAN_LOG", "debug").args(["--outbound-host", "http://localhost:9"]);
        command.stderr(File::create(&log).unwrap());
    });
    served.good(&["workspace", "create", "ws1", "--create-resource-group"]);
    let output = Command::new("python3")
        .arg(suites().join("canary_session.py"))
        .args(["--bartizan", BARTIZAN, "--server", &served.process_id().to_string()])
        .arg("--data")
        .arg(served.data())
        .arg("--cache")
        .arg(cache())
        .arg("--server-log")
        .arg(&log)
        .arg("--scratch")
        .arg(scratch.path())
        .envs(&served.env)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(" 0 failed"), "{said}");
}
