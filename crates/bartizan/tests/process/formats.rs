//! What lies on the disk is what `docs/formats` says: another program opens it with the root key, and finds nothing without.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use kernel::Secret;
use seal::sha256_hex;
use serde_json::{Value, json};

use crate::{
    clients::{client, index_is_reachable, skip, suites, token},
    served::Served,
};

const SUITE: &str = "open_blobs.py";

/// Bytes that are the same each time, and of which no two pieces are equal.
fn content(length: usize) -> Vec<u8> {
    let numbers = (0_u32..).flat_map(|number| number.to_be_bytes());
    numbers.take(length).collect()
}

/// Leaves files of these lengths with a run; their sums.
fn leave_files(served: &Served, lengths: &[usize]) -> Vec<String> {
    let (client, token) = (client(served), Secret::new(token(served)));
    let scope = format!(
        "/subscriptions/{}/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws1",
        served.env["AZURE_SUBSCRIPTION_ID"]
    );
    let api = format!("/mlflow/v1.0{scope}/api/2.0");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let post = async |path: &str, body: Value| -> Value {
            client.post(&format!("{api}/mlflow/{path}")).bearer(&token).json(&body).send_for_json().await.unwrap()
        };
        let experiment = post("experiments/create", json!({"name": "files"})).await["experiment_id"].clone();
        let experiment = experiment.as_str().unwrap();
        let run = post("runs/create", json!({"experiment_id": experiment})).await;
        let run = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
        let mut sums = Vec::new();
        for length in lengths {
            let bytes = content(*length);
            sums.push(sha256_hex(&bytes));
            let place = format!("{api}/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/of-{length}.bin");
            let sent = client.put(&place).bearer(&token).body("application/octet-stream", bytes).send().await.unwrap();
            assert!(sent.status().is_success(), "{length}");
        }
        sums
    })
}

#[test]
fn another_program_opens_every_file_with_the_root_key_and_the_documents() {
    if !index_is_reachable() {
        skip(SUITE);
        return;
    }
    let served = Served::with_workspace();
    let sums = leave_files(&served, &[0, 1, 65_535, 65_536, 65_537, 300_000]);
    let left = served.stop();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let mut child = Command::new("python3")
        .arg(suites().join(SUITE))
        .arg("--cache")
        .arg(&cache)
        .arg("--data")
        .arg(left.path().join("D"))
        .arg("--root-key")
        .arg(left.path().join("D.key"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(json!(sums).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("19 passed, 0 failed"), "{said}");
}
