//! Clients nobody here wrote: MLflow's and Azure's own, in their released versions.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use crate::served::Served;

/// Whether packages can be had at all; asked once, by resolving a tiny one without installing it.
pub fn index_is_reachable() -> bool {
    let ask = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--retries", "0", "--dest"];
    let dir = tempfile::tempdir().unwrap();
    let asked = Command::new("python3").args(ask).arg(dir.path()).arg("six==1.17.0").output();
    asked.is_ok_and(|output| output.status.success())
}

/// Says, past the harness's capture, that a suite cannot run here: `tests/run` counts the line.
pub fn skip(suite: &str) {
    let _ = writeln!(std::io::stderr(), "{suite}: 1 suite skipped: no package index can be reached");
}

fn suites() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients").canonicalize().unwrap()
}

/// Runs a suite; it makes its own virtual environment with pinned versions under the cache directory it is given.
fn run(served: &Served, suite: &str, more: &[(&str, String)]) {
    if !index_is_reachable() {
        skip(suite);
        return;
    }
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    std::fs::create_dir_all(&cache).unwrap();
    let output = Command::new("python3")
        .arg(suites().join(suite))
        .arg("--cache")
        .arg(&cache)
        .envs(&served.env)
        .envs(more.iter().map(|(name, value)| (*name, value.as_str())))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{suite} failed:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// A token of the owner for the management audience.
fn token(served: &Served) -> String {
    let client = outbound::Client::to_server(
        &served.env["BARTIZAN_URL"],
        &std::fs::read(&served.env["BARTIZAN_CA"]).unwrap(),
        outbound::Timeouts { connect: std::time::Duration::from_secs(10), total: std::time::Duration::from_secs(60) },
    )
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let secret = kernel::Secret::new(served.env["AZURE_CLIENT_SECRET"].clone());
    let signed =
        bartizan::cli::sign_in(&client, &served.env["AZURE_TENANT_ID"], &served.env["AZURE_CLIENT_ID"], &secret);
    runtime.block_on(signed).unwrap().token.expose().clone()
}

#[test]
fn mlflow_s_own_client() {
    let served = Served::with_workspace();
    let scope = format!(
        "/subscriptions/{}/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws1",
        served.env["AZURE_SUBSCRIPTION_ID"]
    );
    let uri = format!("{}/mlflow/v1.0{scope}", served.env["BARTIZAN_URL"]);
    run(&served, "mlflow_suite.py", &[("MLFLOW_TRACKING_URI", uri), ("MLFLOW_TRACKING_TOKEN", token(&served))]);
}

#[test]
fn azure_s_own_clients() {
    let served = Served::start();
    run(&served, "azure_suite.py", &[]);
}
