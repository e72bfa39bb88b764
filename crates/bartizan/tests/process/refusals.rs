//! Starts that must be refused, each with one sentence that says what to do.

use std::{net::TcpListener, os::unix::fs::PermissionsExt, process::Command};

use crate::served::{BARTIZAN, Served};

/// Starts a server that must not start; gives what it told.
fn refused(dir: &std::path::Path, listen: &str) -> String {
    let output =
        Command::new(BARTIZAN).args(["serve", "--listen", listen, "--data-dir"]).arg(dir.join("D")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let errors: Vec<_> = told.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{told}");
    errors[0].to_owned()
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let told = refused(dir.path(), &taken.local_addr().unwrap().to_string());
    assert!(told.contains("in use") && told.contains("--listen"), "{told}");
}

#[test]
fn a_data_directory_that_another_server_holds() {
    let served = Served::start();
    let told = refused(served.dir.path(), "127.0.0.1:0");
    assert!(told.contains("another") || told.contains("in use"), "{told}");
}

#[test]
fn a_root_key_that_is_missing_readable_by_others_or_another_one() {
    let dir = Served::start().kill();
    let key = dir.path().join("D.key");
    let kept = std::fs::read(&key).unwrap();

    std::fs::remove_file(&key).unwrap();
    let told = refused(dir.path(), "127.0.0.1:0");
    assert!(told.contains("D.key") && told.contains("is missing"), "{told}");

    std::fs::write(&key, &kept).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let told = refused(dir.path(), "127.0.0.1:0");
    assert!(told.contains("chmod 600"), "{told}");

    let other = Served::start().kill();
    std::fs::copy(other.path().join("D.key"), &key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let told = refused(dir.path(), "127.0.0.1:0");
    assert!(told.contains("does not open this data directory"), "{told}");
}

#[test]
fn a_log_that_was_cut_off_is_named_at_the_start_and_by_the_verifier() {
    let dir = Served::with_workspace().stop();
    // Python's own SQLite, so that the attacker is not our code.
    let cut = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); \
               db.execute('delete from log where seq > (select max(seq) - 3 from log)'); db.commit()";
    let store = dir.path().join("D/meta/meta.sqlite");
    assert!(Command::new("python3").args(["-c", cut]).arg(&store).status().unwrap().success());
    let told = refused(dir.path(), "127.0.0.1:0");
    assert!(told.contains("activity log does not match the checkpoint"), "{told}");
    let verified =
        Command::new(BARTIZAN).args(["verify-log", "--data-dir"]).arg(dir.path().join("D")).output().unwrap();
    assert_eq!(verified.status.code(), Some(1));
    let told = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(told.contains("is missing: the log was cut off"), "{told}");
}
