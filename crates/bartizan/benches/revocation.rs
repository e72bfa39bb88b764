//! From taking a customer's key away to the last answer that it opened, and from giving it back to the first one, over HTTPS: a
//! hundred workspaces under a key each, whose keys are disabled at different moments while they are read without a pause.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a benchmark"
)]

mod stand;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};
use stand::Server;
use tokio::{task::JoinSet, time::sleep};

const ADMINISTRATOR: &str = "00482a5a-887f-4fb3-b363-3b7fe8e74483";
/// Seconds; what is promised.
const PROMISE: f64 = 60.0;
/// Between two reads of one workspace.
const PAUSE: Duration = Duration::from_millis(20);

struct Customer {
    server: Server,
    /// For the vault's keys.
    token: Secret<String>,
}

impl Customer {
    async fn new(group: &str, vault: &str) -> Self {
        let server = Server::start().await;
        let group = format!("{}{group}", server.subscription);
        server.put(&group, &json!({"location": "local"})).await;
        let purge = json!({"location": "local", "properties": {"enablePurgeProtection": true}});
        server.put(&format!("{group}/providers/Microsoft.KeyVault/vaults/{vault}"), &purge).await;
        let claims = server.token.expose().split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        let role = format!("{}/providers/Microsoft.Authorization/roleDefinitions/{ADMINISTRATOR}", server.subscription);
        let body = json!({"properties": {"roleDefinitionId": role, "principalId": claims["oid"]}});
        let name = uuid::Uuid::new_v4();
        server.put(&format!("{group}/providers/Microsoft.Authorization/roleAssignments/{name}"), &body).await;
        let port = server.authority().rsplit(':').next().unwrap();
        let token = server.token_for(&format!("https://vault.bartizan.test:{port}")).await;
        Self { server, token }
    }

    async fn vault(&self, method: Method, place: &str, body: Value) -> Value {
        let place = format!("/vaults/bench-keys/{place}?api-version=7.6");
        self.server.client.call(method, &place).bearer(&self.token).json(&body).send_for_json().await.unwrap()
    }

    async fn set_enabled(&self, key: &str, enabled: bool) {
        let place = format!("keys/{}", key.split_once("/keys/").unwrap().1);
        self.vault(Method::PATCH, &place, json!({"attributes": {"enabled": enabled}})).await;
    }

    async fn is_open(&self, workspace: &str) -> bool {
        let place = format!("{workspace}/datastores");
        let answer = self.server.client.get(&place).bearer(&self.server.token).send().await.unwrap();
        assert!(answer.status().is_success() || answer.status().as_u16() == 403, "{}", answer.status());
        answer.status().is_success()
    }

    /// Seconds until the last read that was answered, and then until the first one after the key was given back.
    async fn trial(&self, number: u64, workspace: &str, key: &str) -> (f64, f64) {
        assert!(self.is_open(workspace).await);
        sleep(Duration::from_millis(number * 97 % 5000)).await;
        self.set_enabled(key, false).await;
        let (begun, mut last) = (Instant::now(), 0.0);
        while self.is_open(workspace).await {
            last = begun.elapsed().as_secs_f64();
            sleep(PAUSE).await;
        }
        self.set_enabled(key, true).await;
        let begun = Instant::now();
        while !self.is_open(workspace).await {
            sleep(PAUSE).await;
        }
        (last, begun.elapsed().as_secs_f64())
    }
}

fn longest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let count = stand::setting("BARTIZAN_BENCH_TRIALS", 100);
    let customer = Arc::new(Customer::new("/resourceGroups/bench", "bench-keys").await);
    let group = format!("{}/resourceGroups/bench", customer.server.subscription);
    let vault = format!("{group}/providers/Microsoft.KeyVault/vaults/bench-keys");
    let mut held = Vec::new();
    for number in 0..count {
        let made = customer.vault(Method::POST, &format!("keys/key{number}/create"), json!({"kty": "RSA"})).await;
        let key = made["key"]["kid"].as_str().unwrap().to_owned();
        let workspace = format!("{group}/providers/Microsoft.MachineLearningServices/workspaces/workspace{number}");
        let properties = json!({"encryption": {
            "status": "Enabled",
            "keyVaultProperties": {"keyVaultArmId": vault, "keyIdentifier": key},
        }});
        customer.server.put(&workspace, &json!({"location": "local", "properties": properties})).await;
        held.push((number, workspace, key));
    }
    let mut trials = JoinSet::new();
    for (number, workspace, key) in held {
        let customer = Arc::clone(&customer);
        trials.spawn(async move { customer.trial(number, &workspace, &key).await });
    }
    let done = trials.join_all().await;
    let (_, last) = stand::least_and_median(done.iter().map(|(last, _)| *last).collect());
    let (_, first) = stand::least_and_median(done.iter().map(|(_, first)| *first).collect());
    let most = longest(done.iter().map(|(last, _)| *last));
    let verdict = if most <= PROMISE { "reached" } else { "MISSED" };
    println!("{count} workspaces under a customer-managed key each, read every {} ms", PAUSE.as_millis());
    println!("  key disabled → last answer     median {last:.2} s, longest {most:.2} s; target {PROMISE} s: {verdict}");
    let most = longest(done.iter().map(|(_, first)| *first));
    println!("  key enabled → first answer     median {first:.2} s, longest {most:.2} s");
}
