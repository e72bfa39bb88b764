//! From a change of access to its effect, over HTTPS: a role is granted and taken back, somebody joins a group and leaves it,
//! while that somebody's token stays the same. Then the list of a thousand workspaces, against reading each of them alone.

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

use std::time::Instant;

use kernel::Secret;
use outbound::Call;
use serde_json::{Value, json};
use stand::Server;

const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
const GRAPH: &str = "/graph/v1.0";

/// Somebody who may do nothing yet, with a token.
struct Somebody {
    id: String,
    token: Secret<String>,
}

impl Somebody {
    async fn new(server: &Server) -> Self {
        let post = async |place: &str, body: Value| -> Value {
            let place = format!("{GRAPH}/{place}");
            server.client.post(&place).bearer(&server.token).json(&body).send_for_json().await.unwrap()
        };
        let app = post("applications", json!({"displayName": "somebody"})).await;
        let (app, client) = (app["id"].as_str().unwrap().to_owned(), app["appId"].clone());
        let place = format!("{GRAPH}/servicePrincipals?$filter=appId%20eq%20'{}'", client.as_str().unwrap());
        let found: Value = server.client.get(&place).bearer(&server.token).send_for_json().await.unwrap();
        let principal = &found["value"][0];
        let secret = post(&format!("applications/{app}/addPassword"), json!({})).await;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client.as_str().unwrap()),
            ("client_secret", secret["secretText"].as_str().unwrap()),
            ("scope", "https://management.azure.com/.default"),
        ];
        let place = format!("/{}/oauth2/v2.0/token", server.tenant);
        let answer: Value = server.client.post(&place).form(&form).send_for_json().await.unwrap();
        Self {
            id: principal["id"].as_str().unwrap().to_owned(),
            token: Secret::new(answer["access_token"].as_str().unwrap().to_owned()),
        }
    }

    /// Milliseconds until the answer is the one that is due, and the answers before it that were not.
    async fn wait(&self, server: &Server, place: &str, is_let_in: bool) -> (f64, u32) {
        let (begun, mut late) = (Instant::now(), 0);
        loop {
            let answer = server.client.get(place).bearer(&self.token).send().await.unwrap();
            if answer.status().is_success() == is_let_in {
                return (begun.elapsed().as_secs_f64() * 1e3, late);
            }
            late += 1;
        }
    }
}

async fn change(call: Call, server: &Server) {
    let answer = call.bearer(&server.token).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

async fn effects(server: &Server, group: &str) {
    let changes = stand::setting("BARTIZAN_BENCH_CHANGES", 1000) / 4;
    let somebody = Somebody::new(server).await;
    let body =
        json!({"displayName": "readers", "mailEnabled": false, "securityEnabled": true, "mailNickname": "readers"});
    let place = format!("{GRAPH}/groups");
    let readers: Value = server.client.post(&place).bearer(&server.token).json(&body).send_for_json().await.unwrap();
    let readers = readers["id"].as_str().unwrap().to_owned();
    let assignments = format!("{group}/providers/Microsoft.Authorization/roleAssignments");
    let role = format!("{}/providers/Microsoft.Authorization/roleDefinitions/{READER}", server.subscription);
    let assignment = |principal: &str| json!({"properties": {"roleDefinitionId": role, "principalId": principal}});
    server.put(&format!("{assignments}/{}", uuid::Uuid::new_v4()), &assignment(&readers)).await;
    let members = format!("{GRAPH}/groups/{readers}/members");
    let joining = json!({"@odata.id": format!("{}{GRAPH}/directoryObjects/{}", server.url, somebody.id)});

    let (mut times, mut late) = (Vec::new(), 0);
    for _ in 0..changes {
        let granted = format!("{assignments}/{}", uuid::Uuid::new_v4());
        let steps = [
            (server.client.put(&granted).json(&assignment(&somebody.id)), true),
            (server.client.delete(&granted), false),
            (server.client.post(&format!("{members}/$ref")).json(&joining), true),
            (server.client.delete(&format!("{members}/{}/$ref", somebody.id)), false),
        ];
        for (call, is_let_in) in steps {
            change(call, server).await;
            let (time, before) = somebody.wait(server, group, is_let_in).await;
            times.push(time);
            late += before;
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "from the acknowledged change to the first answer that obeys it, {} changes, one request included",
        times.len()
    );
    println!(
        "  p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms; answers that did not obey: {late}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

async fn listing(server: &Server, group: &str) {
    let (rounds, count) =
        (stand::setting("BARTIZAN_BENCH_ROUNDS", 9), stand::setting("BARTIZAN_BENCH_WORKSPACES", 1000));
    let all = format!("{group}/providers/Microsoft.MachineLearningServices/workspaces");
    let begun = Instant::now();
    for number in 0..count {
        server.put(&format!("{all}/workspace{number}"), &json!({"location": "local"})).await;
    }
    let made = begun.elapsed().as_secs_f64() / count as f64 * 1e3;
    let read =
        async |place: &str| -> Value { server.client.get(place).bearer(&server.token).send_for_json().await.unwrap() };
    let (mut lists, mut singles) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let cpu = server.cpu();
        let (mut place, mut found) = (all.clone(), 0);
        loop {
            let page = read(&place).await;
            found += page["value"].as_array().unwrap().len() as u64;
            let Some(next) = page["nextLink"].as_str() else { break };
            next.trim_start_matches(&server.url).clone_into(&mut place);
        }
        assert_eq!(found, count);
        lists.push((server.cpu() - cpu) * 1e3);
        let cpu = server.cpu();
        for number in 0..count {
            read(&format!("{all}/workspace{number}")).await;
        }
        singles.push((server.cpu() - cpu) * 1e3);
    }
    let ((_, list), (_, single)) = (stand::least_and_median(lists), stand::least_and_median(singles));
    println!(
        "{count} workspaces in one resource group, made in {made:.1} ms each; {rounds} interleaved rounds, median"
    );
    println!("  all in a list          {list:>8.0} ms of server CPU");
    println!("  peer: each one alone   {single:>8.0} ms of server CPU");
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let server = Server::start().await;
    let group = format!("{}/resourceGroups/bench", server.subscription);
    server.put(&group, &json!({"location": "local"})).await;
    effects(&server, &group).await;
    listing(&server, &group).await;
}
