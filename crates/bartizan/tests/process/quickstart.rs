//! The main job end to end, as the README shows it.

use std::{path::Path, process::Command};

use crate::served::{BARTIZAN, cache, read_env};

fn quickstart(dir: &Path, more: &[&str]) -> String {
    let output = Command::new(BARTIZAN)
        .args(["quickstart", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir.join("D"))
        .arg("--cache-dir")
        .arg(cache())
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{told}");
    said
}

fn check(dir: &Path, transcript: &str) {
    for line in [
        "with the key: 200",
        "with a wrong key: 401",
        "with no key: 401",
        "with a token, after the switch: 200",
        "with the key, after the switch: 401",
        "with the key, switched back: 200",
        "the activity log is sound",
        "not found",
        "workspaces/write",
    ] {
        assert!(transcript.contains(line), "no `{line}` in:\n{transcript}");
    }
    let env = read_env(&dir.join("D.env"));
    for name in [
        "BARTIZAN_URL",
        "BARTIZAN_CA",
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
        "AZURE_SUBSCRIPTION_ID",
        "BARTIZAN_RESOURCE_GROUP",
        "BARTIZAN_WORKSPACE",
        "BARTIZAN_STORAGE_ACCOUNT",
        "BARTIZAN_KEY_VAULT",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_TRACKING_TOKEN",
        "MLFLOW_TRACKING_SERVER_CERT_PATH",
        "BARTIZAN_SCORE_URL",
        "BARTIZAN_SCORE_KEY",
        "BARTIZAN_SCORE_BODY",
        "BARTIZAN_ADMIN_USER",
        "BARTIZAN_ADMIN_PASSWORD",
        "BARTIZAN_PID",
    ] {
        assert!(env.get(name).is_some_and(|value| !value.is_empty()), "{name} is not in D.env");
    }
    let verified = Command::new(BARTIZAN).args(["verify-log", "--data-dir"]).arg(dir.join("D")).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn the_main_job_without_a_package_index() {
    let dir = tempfile::tempdir().unwrap();
    let transcript = quickstart(dir.path(), &["--offline"]);
    check(dir.path(), &transcript);
    // A second run goes on with the same house.
    check(dir.path(), &quickstart(dir.path(), &["--offline"]));
}

#[test]
fn the_main_job_with_scikit_learn_and_onnx() {
    if !super::clients::index_is_reachable() {
        super::clients::skip("quickstart");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let transcript = quickstart(dir.path(), &[]);
    check(dir.path(), &transcript);
    assert!(transcript.contains("accuracy"), "{transcript}");
}
