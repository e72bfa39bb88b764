//! Clients nobody here wrote: MLflow's and Azure's own, in their released versions.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    time::Duration,
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

pub fn suites() -> PathBuf {
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
    for part in said.lines().filter_map(|line| line.strip_prefix("skipped ")) {
        let _ = writeln!(std::io::stderr(), "{suite}: 1 suite skipped: {part}");
    }
    assert!(output.status.success(), "{suite} failed:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// A program of Debian's; installed with its packages when it is missing and may be. Why not, where not.
fn have(program: &str, packages: &[&str]) -> Result<(), String> {
    // apt-get refuses to run twice at once.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let is_there = || Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if is_there() {
        return Ok(());
    }
    let install = [&["install", "-y", "-q", "--no-install-recommends"], packages].concat();
    for step in [&["update", "-q"][..], &install] {
        let done = Command::new("apt-get").args(step).env("DEBIAN_FRONTEND", "noninteractive").output();
        let done = done.map_err(|why| format!("{program} is missing and there is no apt-get: {why}"))?;
        if !done.status.success() {
            let told = String::from_utf8_lossy(&done.stderr);
            let last = told.lines().last().unwrap_or_default();
            return Err(format!("{program} is missing and apt-get does not bring it: {last}"));
        }
    }
    if is_there() { Ok(()) } else { Err(format!("{program} does not run here")) }
}

/// The same of node with its package manager.
fn have_node() -> Result<(), String> {
    have("npm", &["nodejs", "npm"])
}

/// A client that trusts this server.
pub fn client(served: &Served) -> outbound::Client {
    let ca = std::fs::read(&served.env["BARTIZAN_CA"]).unwrap();
    let timeouts = outbound::Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(60) };
    outbound::Client::to_server(&served.env["BARTIZAN_URL"], &ca, timeouts).unwrap()
}

/// A token of the owner for the management audience.
pub fn token(served: &Served) -> String {
    let client = client(served);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let secret = kernel::Secret::new(served.env["AZURE_CLIENT_SECRET"].clone());
    let signed =
        bartizan::cli::sign_in(&client, &served.env["AZURE_TENANT_ID"], &served.env["AZURE_CLIENT_ID"], &secret);
    runtime.block_on(signed).unwrap().token.expose().clone()
}

/// Runs a suite of MLflow's client against a workspace's tracking.
fn run_tracking(suite: &str) {
    let served = Served::with_workspace();
    let scope = format!(
        "/subscriptions/{}/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws1",
        served.env["AZURE_SUBSCRIPTION_ID"]
    );
    let uri = format!("{}/mlflow/v1.0{scope}", served.env["BARTIZAN_URL"]);
    run(&served, suite, &[("MLFLOW_TRACKING_URI", uri), ("MLFLOW_TRACKING_TOKEN", token(&served))]);
    served.good(&["verify-log", "--data-dir", served.data().to_str().unwrap()]);
}

#[test]
fn mlflow_s_own_client() {
    run_tracking("mlflow_suite.py");
}

#[test]
fn mlflow_s_own_client_s_traces() {
    run_tracking("mlflow_traces_suite.py");
}

/// From a server of MLflow's own, and from one that means harm.
#[test]
fn an_import_from_mlflow_s_own_server() {
    let served = Served::with_workspace();
    let scope = served.json(&["workspace", "show", "ws1"])["id"].as_str().unwrap().to_owned();
    let uri = format!("{}/mlflow/v1.0{scope}", served.env["BARTIZAN_URL"]);
    let more = [
        ("MLFLOW_TRACKING_URI", uri),
        ("MLFLOW_TRACKING_TOKEN", token(&served)),
        ("BARTIZAN_BIN", String::from(crate::served::BARTIZAN)),
    ];
    run(&served, "import_suite.py", &more);
    served.good(&["verify-log", "--data-dir", served.data().to_str().unwrap()]);
}

/// The receiver's port is a setting of the server's, so that it is chosen before both.
#[test]
fn webhooks_of_the_registry_through_mlflow_s_own_client() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let served = Served::with(tempfile::tempdir().unwrap(), "127.0.0.1:0", |command| {
        command.args(["--outbound-host", &format!("http://localhost:{port}")]);
    });
    served.good(&["workspace", "create", "ws1", "--create-resource-group"]);
    let scope = served.json(&["workspace", "show", "ws1"])["id"].as_str().unwrap().to_owned();
    let uri = format!("{}/mlflow/v1.0{scope}", served.env["BARTIZAN_URL"]);
    let more =
        [("MLFLOW_TRACKING_URI", uri), ("MLFLOW_TRACKING_TOKEN", token(&served)), ("HOOK_PORT", port.to_string())];
    run(&served, "webhooks_suite.py", &more);
}

/// Training with autolog, loading by every kind of address, evaluation, prompts, writers at once, requests sent twice.
#[test]
fn mlflow_s_own_client_in_what_people_do() {
    run_tracking("mlflow_flows_suite.py");
}

/// MLflow's own server is started beside this one, and both are asked the same.
#[test]
fn mlflow_s_own_server_side_by_side() {
    run_tracking("mlflow_peer_suite.py");
}

#[test]
fn mlflow_s_own_client_with_large_files_and_pickles() {
    let served = Served::with_workspace();
    let scope = format!(
        "/subscriptions/{}/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws1",
        served.env["AZURE_SUBSCRIPTION_ID"]
    );
    let uri = format!("{}/mlflow/v1.0{scope}", served.env["BARTIZAN_URL"]);
    let env = [("MLFLOW_TRACKING_URI", uri), ("MLFLOW_TRACKING_TOKEN", token(&served))];
    run(&served, "mlflow_artifacts_suite.py", &env);
}

#[test]
fn azure_s_own_clients() {
    let served = Served::start();
    run(&served, "azure_suite.py", &[]);
}

#[test]
fn azure_s_own_client_of_data_assets() {
    let served = Served::with_workspace();
    run(&served, "data_suite.py", &[]);
    served.good(&["verify-log", "--data-dir", served.data().to_str().unwrap()]);
}

/// Over names of their own below the suffix, which the suite resolves to this machine.
#[test]
fn key_vault_s_own_clients() {
    let served = Served::with_workspace();
    run(&served, "keyvault_suite.py", &[]);
    served.good(&["verify-log", "--data-dir", served.data().to_str().unwrap()]);
}

#[test]
fn azureml_s_own_client_of_a_workspace_s_secrets() {
    let served = Served::with_workspace();
    let reader = served.json(&["ad", "sp", "create", "--name", "reader"]);
    let workspace = served.json(&["workspace", "show", "ws1"])["id"].as_str().unwrap().to_owned();
    let text = |name: &str| reader[name].as_str().unwrap().to_owned();
    let (id, secret) = (text("clientId"), text("clientSecret"));
    let assignee = text("objectId");
    served.good(&["role", "assignment", "create", "--assignee", &assignee, "--role", "Reader", "--scope", &workspace]);
    run(&served, "azureml_suite.py", &[("READER_ID", id), ("READER_SECRET", secret)]);
}

/// With skopeo, where it can be had.
#[test]
fn clients_of_the_registry() {
    let served = Served::start();
    if let Err(why) = have("skopeo", &["skopeo"]) {
        println!("{why}");
    }
    run(&served, "registry_suite.py", &[]);
    served.good(&["verify-log", "--data-dir", served.data().to_str().unwrap()]);
}

/// With rclone's own backend as the second opinion.
#[test]
fn azure_blob_s_own_client() {
    let served = Served::start();
    if let Err(why) = have("rclone", &["rclone"]) {
        println!("{why}");
    }
    run(&served, "blob_suite.py", &[]);
}

#[test]
fn azure_monitor_s_own_clients() {
    let served = Served::start();
    run(&served, "monitor_suite.py", &[]);
}

#[test]
fn microsoft_s_own_command_line() {
    let served = Served::start();
    run(&served, "az_suite.py", &[]);
}

/// Starts its own servers: the provider's address is a setting of ours.
#[test]
fn sign_in_through_another_provider() {
    if !index_is_reachable() {
        skip("federation_suite.py");
        return;
    }
    if let Err(why) = have_node() {
        let _ = writeln!(std::io::stderr(), "federation_suite.py: 1 suite skipped: {why}");
        return;
    }
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    std::fs::create_dir_all(&cache).unwrap();
    let suite = Command::new("python3")
        .arg(suites().join("federation_suite.py"))
        .arg("--cache")
        .arg(&cache)
        .env("BARTIZAN_BIN", crate::served::BARTIZAN)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&suite.stdout);
    println!("{said}");
    assert!(suite.status.success(), "federation_suite.py failed:\n{said}\n{}", String::from_utf8_lossy(&suite.stderr));
}

#[test]
fn a_browser_on_the_sign_in_pages() {
    if let Err(why) = have("chromedriver", &["chromium", "chromium-driver"]) {
        let _ = writeln!(std::io::stderr(), "browser_suite.py: 1 suite skipped: {why}");
        return;
    }
    let served = Served::with_workspace();
    run(&served, "browser_suite.py", &[]);
}

/// The log that all of it leaves is whole. A suite without node skips its part of npm, and says so.
#[test]
fn identity_suite_of_clients_nobody_here_wrote() {
    let served = Served::with_workspace();
    if index_is_reachable() {
        let _missing = have_node();
    }
    run(&served, "identity_suite.py", &[("BARTIZAN_BIN", String::from(crate::served::BARTIZAN))]);
    served.good(&["verify-log", "--data-dir", served.data().to_str().unwrap()]);
}
