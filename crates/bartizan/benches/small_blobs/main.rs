//! Blobs of 10 KB in and out over HTTPS with a signature (SAS), and the server's CPU for each, against Azurite in the same run; and
//! one of 256 MB. Ours are sealed, durable and recorded; Azurite's are not.

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

#[path = "../duel/mod.rs"]
mod duel;
#[path = "../link/mod.rs"]
mod link;
mod peer;
#[path = "../stand/mod.rs"]
mod stand;

use std::time::Instant;

use base64::{Engine, engine::general_purpose::STANDARD};
use duel::{CONNECTIONS, Rounds, Subject, compare, request};
use kernel::Secret;
use link::{ask, connect, connector};
use peer::{PEER, Peer};
use serde_json::{Value, json};
use stand::Server;
use tokio_rustls::TlsConnector;

const SIZE: usize = 10 << 10;
/// Blobs of each connection.
const EACH: usize = 250;
const SV: &str = "2021-12-02";

/// An account of one of the two.
struct Account {
    process: u32,
    port: u16,
    connector: TlsConnector,
    /// What paths begin with.
    base: String,
    sas: String,
}

impl Account {
    /// With a signature for everything in the account, made as the documents say ("Create an account SAS").
    fn new((process, port): (u32, u16), ca_pem: &[u8], (base, name, key): (String, &str, &str)) -> Self {
        let (permissions, expiry) = ("rwdlacu", "2099-01-01T00:00:00Z");
        let text = format!("{name}\n{permissions}\nb\nsco\n\n{expiry}\n\n\n{SV}\n\n");
        let code = seal::message_code(&Secret::new(STANDARD.decode(key).unwrap()), text.as_bytes());
        let code = STANDARD.encode(code).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let sas = format!("sv={SV}&ss=b&srt=sco&sp={permissions}&se={}&sig={code}", expiry.replace(':', "%3A"));
        Self { process, port, connector: connector(ca_pem), base, sas }
    }

    fn put(&self, name: &str, body: &[u8]) -> Vec<u8> {
        let headers = format!("x-ms-version: {SV}\r\nx-ms-blob-type: BlockBlob\r\n");
        request("PUT", &format!("{}/bench/{name}?{}", self.base, self.sas), &headers, body)
    }

    fn get(&self, name: &str) -> Vec<u8> {
        request("GET", &format!("{}/bench/{name}?{}", self.base, self.sas), &format!("x-ms-version: {SV}\r\n"), b"")
    }

    async fn make_container(&self) {
        let headers = format!("x-ms-version: {SV}\r\nContent-Length: 0\r\n");
        let made = request("PUT", &format!("{}/bench?restype=container&{}", self.base, self.sas), &headers, b"");
        ask(&mut connect(&self.connector, self.port).await, &made, &mut [0; 4096]).await;
    }

    /// Each connection's requests for its own blobs.
    fn subject(&self, one: impl Fn(&str) -> Vec<u8>) -> Subject {
        let of = |link: usize| (0..EACH).map(|n| one(&format!("s{link}-{n}"))).collect();
        let requests = (0..CONNECTIONS).map(of).collect();
        Subject { process: self.process, port: self.port, connector: self.connector.clone(), requests }
    }

    /// Seconds, and CPU seconds.
    async fn timed(&self, request: &[u8]) -> (f64, f64) {
        let mut link = connect(&self.connector, self.port).await;
        let (cpu, begun) = (stand::cpu_of(self.process), Instant::now());
        ask(&mut link, request, &mut vec![0; 256 << 10]).await;
        (begun.elapsed().as_secs_f64(), stand::cpu_of(self.process) - cpu)
    }
}

async fn own_account(server: &Server) -> Account {
    let group = format!("{}/resourceGroups/bench", server.subscription);
    server.put(&group, &json!({"location": "local"})).await;
    let id = format!("{group}/providers/Microsoft.Storage/storageAccounts/benchblobs");
    server.put(&id, &json!({"location": "local", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"})).await;
    let keys: Value =
        server.client.post(&format!("{id}/listKeys")).bearer(&server.token).send_for_json().await.unwrap();
    let key = keys["keys"][0]["value"].as_str().unwrap();
    let port = server.authority().rsplit(':').next().unwrap().parse().unwrap();
    let of = (String::from("/blob/benchblobs"), "benchblobs", key);
    Account::new((server.process(), port), &server.ca_pem, of)
}

/// A large one, in and out, by turns.
async fn large(ours: &Account, theirs: Option<&Account>, rounds: u64) {
    let body = vec![7; 256 << 20];
    let sides: Vec<(&str, &Account)> = [("bartizan", Some(ours)), (PEER, theirs)]
        .into_iter()
        .filter_map(|(name, account)| account.map(|account| (name, account)))
        .collect();
    let mut told: Vec<[Vec<(f64, f64)>; 2]> = sides.iter().map(|_| Default::default()).collect();
    for _ in 0..rounds {
        for (side, (_, account)) in told.iter_mut().zip(&sides) {
            side[0].push(account.timed(&account.put("large", &body)).await);
            side[1].push(account.timed(&account.get("large")).await);
        }
    }
    for (way, what) in ["256 MB in, one PUT", "256 MB out"].iter().enumerate() {
        println!("{what}");
        for (side, (name, _)) in told.iter().zip(&sides) {
            let (_, took) = stand::least_and_median(side[way].iter().map(|round| round.0).collect());
            let (least, cpu) = stand::least_and_median(side[way].iter().map(|round| round.1).collect());
            println!("  {name:<22} {:>7.0} MB/s  server CPU {cpu:.2} s (least {least:.2})", 256.0 / took);
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let server = Server::start().await;
    let ours = own_account(&server).await;
    let authority = seal::Authority::generate(2026).unwrap();
    let peer = Peer::start(server.place(), &authority).await;
    if let Err(why) = &peer {
        println!("the peer is missing ({why}): no comparison");
    }
    let theirs = peer.as_ref().ok().map(|peer| {
        let pem = authority.certificate_pem();
        Account::new(
            (peer.process(), peer.port),
            pem.as_bytes(),
            (format!("/{}", peer::ACCOUNT), peer::ACCOUNT, peer::KEY),
        )
    });
    ours.make_container().await;
    if let Some(theirs) = &theirs {
        theirs.make_container().await;
    }
    let rounds = Rounds::from_env();
    println!(
        "TLS 1.3, {CONNECTIONS} connections, {} blobs of {SIZE} bytes, client and servers on this machine, {} interleaved rounds of {} ms",
        CONNECTIONS * EACH,
        rounds.count,
        rounds.span.as_millis()
    );
    let body = [7; SIZE];
    // Every blob is there before the first is read.
    let all = |account: &Account| account.subject(|name| account.put(name, &body));
    let (own, other) = (all(&ours), theirs.as_ref().map(all));
    for subject in [Some(&own), other.as_ref()].into_iter().flatten() {
        fill(subject).await;
    }
    compare("10 KB in, durable", &own, (PEER, other.as_ref()), 150.0, rounds).await;
    let all = |account: &Account| account.subject(|name| account.get(name));
    let (own, other) = (all(&ours), theirs.as_ref().map(all));
    compare("10 KB out", &own, (PEER, other.as_ref()), 60.0, rounds).await;
    large(&ours, theirs.as_ref(), rounds.count).await;
    println!("memory of the server at the end (PSS): {:.1} MB, target 64", stand::pss_of(server.process()));
}

/// Sends each request of each connection once.
async fn fill(subject: &Subject) {
    for requests in &subject.requests {
        let mut link = connect(&subject.connector, subject.port).await;
        for request in requests {
            ask(&mut link, request, &mut [0; 4096]).await;
        }
    }
}
