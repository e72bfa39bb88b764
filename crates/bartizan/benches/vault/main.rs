//! A secret read and set over HTTPS, and the server's CPU for each, against OpenBao's kv over raft in the same run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::as_conversions,
    missing_docs,
    reason = "a benchmark"
)]

#[path = "../link/mod.rs"]
mod link;
mod peer;
#[path = "../stand/mod.rs"]
mod stand;

use std::time::{Duration, Instant};

use link::{ask, connect, connector};
use serde_json::{Value, json};
use stand::Server;
use tokio_rustls::TlsConnector;

use peer::{PEER, Peer};

const CONNECTIONS: usize = 8;
const TARGET_READ: f64 = 60.0;
const TARGET_WRITE: f64 = 300.0;
/// `Key Vault Administrator`.
const ROLE: &str = "00482a5a-887f-4fb3-b363-3b7fe8e74483";

/// One of the two, asked for one thing.
struct Subject {
    process: u32,
    port: u16,
    connector: TlsConnector,
    /// A request per connection, so that writers do not wait for each other's secret.
    requests: Vec<Vec<u8>>,
}

impl Subject {
    /// Answers a second, and CPU µs for each.
    async fn measure(&self, span: Duration) -> (f64, f64) {
        let mut links = Vec::new();
        for _ in 0..CONNECTIONS {
            links.push(connect(&self.connector, self.port).await);
        }
        let (cpu, begun) = (stand::cpu_of(self.process), Instant::now());
        let tasks: Vec<_> = links
            .into_iter()
            .zip(self.requests.clone())
            .map(|(mut link, request)| {
                tokio::spawn(async move {
                    let (mut buffer, mut count) = (vec![0; 16 << 10], 0_u64);
                    while begun.elapsed() < span {
                        ask(&mut link, &request, &mut buffer).await;
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let mut count = 0;
        for task in tasks {
            count += task.await.unwrap();
        }
        let took = begun.elapsed().as_secs_f64();
        ((count as f64) / took, (stand::cpu_of(self.process) - cpu) * 1e6 / (count as f64))
    }
}

/// One request for each connection: `{n}` in the place is the connection's number.
fn requests(method: &str, place: &str, header: &str, body: &str) -> Vec<Vec<u8>> {
    let one = |n: usize| {
        let (place, length) = (place.replace("{n}", &n.to_string()), body.len());
        let sent = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Type: application/json\r\nContent-Length: {length}\r\n")
        };
        format!("{method} {place} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n{sent}\r\n{body}").into_bytes()
    };
    (0..CONNECTIONS).map(one).collect()
}

/// A vault with a secret for each connection; the header that opens it.
async fn vault(server: &Server) -> String {
    let group = format!("{}/resourceGroups/bench", server.subscription);
    server.put(&group, &json!({"location": "local"})).await;
    let vault = format!("{group}/providers/Microsoft.KeyVault/vaults/bench");
    server.put(&vault, &json!({"location": "local"})).await;
    let text = std::fs::read_to_string(server.place().join("data.env")).unwrap();
    let variable = |name: &str| {
        let wanted = format!("export {name}='");
        text.lines().find_map(|line| line.strip_prefix(&wanted)?.strip_suffix('\'')).unwrap().to_owned()
    };
    let me = claims(server.token.expose())["oid"].as_str().unwrap().to_owned();
    let definition = format!("/providers/Microsoft.Authorization/roleDefinitions/{ROLE}");
    let assignment = format!("{vault}/providers/Microsoft.Authorization/roleAssignments/{}", uuid::Uuid::new_v4());
    server.put(&assignment, &json!({"properties": {"roleDefinitionId": definition, "principalId": me}})).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &variable("AZURE_CLIENT_ID")),
        ("client_secret", &variable("AZURE_CLIENT_SECRET")),
        ("scope", "https://vault.bartizan.test/.default"),
    ];
    let place = format!("/{}/oauth2/v2.0/token", server.tenant);
    let answer: Value = server.client.post(&place).form(&form).send_for_json().await.unwrap();
    let token = kernel::Secret::new(answer["access_token"].as_str().unwrap().to_owned());
    for n in 0..CONNECTIONS {
        let place = format!("/vaults/bench/secrets/s{n}?api-version=7.6");
        let call = server.client.put(&place).bearer(&token).json(&json!({"value": "of no importance"}));
        let _made: Value = call.send_for_json().await.unwrap();
    }
    format!("Authorization: Bearer {}", token.expose())
}

/// The claims of a token, unverified: it is our own.
fn claims(token: &str) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// Measures both by turns, and says what came of it.
async fn compare(what: &str, ours: &Subject, theirs: Option<&Subject>, target: f64, rounds: u64, span: Duration) {
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        own.push(ours.measure(span).await);
        if let Some(theirs) = theirs {
            other.push(theirs.measure(span).await);
        }
    }
    let median =
        |rows: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| stand::least_and_median(rows.iter().map(of).collect()).1;
    let (rate, cpu) = (median(&own, |row| row.0), median(&own, |row| row.1));
    let verdict = if cpu <= target { "reached" } else { "MISSED" };
    println!("{what}");
    println!("  bartizan            {rate:>7.0}/s  server CPU {cpu:>7.1} µs  target {target} µs: {verdict}");
    if !other.is_empty() {
        let (peer_rate, peer_cpu) = (median(&other, |row| row.0), median(&other, |row| row.1));
        println!("  {PEER:<19} {peer_rate:>7.0}/s  server CPU {peer_cpu:>7.1} µs");
        println!("  {:.1} times the peer's rate, {:.1} times less CPU", rate / peer_rate, peer_cpu / cpu);
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let rounds = stand::setting("BARTIZAN_BENCH_ROUNDS", 5);
    let span = Duration::from_millis(stand::setting("BARTIZAN_BENCH_MILLIS", 2000));
    let server = Server::start().await;
    let header = vault(&server).await;
    let authority = seal::Authority::generate(2026).unwrap();
    let peer = Peer::start(server.place(), &authority, CONNECTIONS).await;
    if let Err(why) = &peer {
        println!("the peer is missing ({why}): no comparison");
    }
    let peer = peer.as_ref().ok();
    let ours = |requests| Subject {
        process: server.process(),
        port: server.authority().rsplit(':').next().unwrap().parse().unwrap(),
        connector: connector(&server.ca_pem),
        requests,
    };
    let theirs = |requests| {
        peer.map(|peer| Subject {
            process: peer.process(),
            port: peer.port,
            connector: connector(authority.certificate_pem().as_bytes()),
            requests,
        })
    };
    let theirs_header = peer.map(|peer| format!("X-Vault-Token: {}", peer.token)).unwrap_or_default();
    println!(
        "TLS 1.3, {CONNECTIONS} connections, a secret each, client and servers on this machine, {rounds} interleaved rounds of {} ms; \
         every read of ours leaves a durable record, the peer keeps no audit log",
        span.as_millis()
    );
    let (own, other) = ("/vaults/bench/secrets/s{n}?api-version=7.6", "/v1/kv/data/s{n}");
    let (read, peer_read) = (requests("GET", own, &header, ""), requests("GET", other, &theirs_header, ""));
    compare("a secret read", &ours(read), theirs(peer_read).as_ref(), TARGET_READ, rounds, span).await;
    let write = requests("PUT", own, &header, "{\"value\":\"of no importance\"}");
    let peer_write = requests("PUT", other, &theirs_header, "{\"data\":{\"value\":\"of no importance\"}}");
    compare("a secret set, durable", &ours(write), theirs(peer_write).as_ref(), TARGET_WRITE, rounds, span).await;
}
