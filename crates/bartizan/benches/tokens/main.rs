//! Tokens issued a second over HTTPS (client credentials, ES256) and the server's CPU for each, against npm's `oidc-provider` in
//! the same run; and what a token that was seen before costs a request.

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
#[path = "../stand/mod.rs"]
mod stand;

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Instant,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    gate::enter,
    identity::{
        Authorize, AuthorizeOutcome, AuthorizeRequest, COMMAND_LINE_CLIENT, ClientClaim, ClientProof, RedeemCode,
        SignInWithPassword, identify,
    },
};
use duel::{CONNECTIONS, Rounds, Subject, compare, on_each, request};
use kernel::{Caller, MetaStore, Secret, Source};
use link::connector;
use seal::{Sha256, Sha256Chain};
use stand::{Home, Server};
use store::{blob, meta};

const PEER: &str = "oidc-provider@9.13.3";
const TARGET_MICROS: f64 = 60.0;
const TARGET_TIMES: f64 = 9.0;
const TARGET_KNOWN: f64 = 5.0;

/// A form, sent on every connection.
fn form(place: &str, form: &str) -> Vec<Vec<Vec<u8>>> {
    on_each(&request("POST", place, "Content-Type: application/x-www-form-urlencoded\r\n", form.as_bytes()))
}

/// Installs the peer once and starts it; why not, when that cannot be.
fn start_peer(dir: &Path) -> Result<(Child, u16), String> {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("token-peer");
    std::fs::create_dir_all(&home).map_err(|why| why.to_string())?;
    if !home.join("node_modules/oidc-provider").exists() {
        let installed = Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&home)
            .arg(PEER)
            .status();
        match installed {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(format!("npm could not install {PEER}: {status}")),
            Err(why) => return Err(format!("npm is not here: {why}")),
        }
    }
    let script = home.join("peer.mjs");
    std::fs::write(&script, include_str!("peer.mjs")).map_err(|why| why.to_string())?;
    let mut child = Command::new("node")
        .arg(&script)
        .arg(dir)
        .env("NODE_ENV", "production")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|why| format!("node is not here: {why}"))?;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    match lines.find_map(|line| line.trim().parse().ok()) {
        Some(port) => Ok((child, port)),
        None => {
            let _ = child.wait();
            Err(String::from("the peer ended before it listened"))
        }
    }
}

async fn issue(rounds: Rounds) {
    let server = Server::start().await;
    let text = std::fs::read_to_string(server.place().join("data.env")).unwrap();
    let variable = |name: &str| {
        let wanted = format!("export {name}='");
        let line = text.lines().find_map(|line| line.strip_prefix(&wanted)?.strip_suffix('\''));
        line.unwrap().to_owned()
    };
    let ask = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Fmanagement.azure.com%2F.default",
        variable("AZURE_CLIENT_ID"),
        variable("AZURE_CLIENT_SECRET"),
    );
    let ours = Subject {
        process: server.process(),
        port: server.authority().rsplit(':').next().unwrap().parse().unwrap(),
        connector: connector(&server.ca_pem),
        requests: form(&format!("/{}/oauth2/v2.0/token", variable("AZURE_TENANT_ID")), &ask),
    };
    let authority = seal::Authority::generate(2026).unwrap();
    let identity = authority.issue(&[String::from("localhost")], 2026).unwrap();
    std::fs::write(server.place().join("chain.pem"), &identity.chain_pem).unwrap();
    std::fs::write(server.place().join("key.pem"), identity.key_pem.expose()).unwrap();
    let mut peer = start_peer(server.place());
    let theirs = peer.as_ref().ok().map(|(child, port)| Subject {
        process: child.id(),
        port: *port,
        connector: connector(authority.certificate_pem().as_bytes()),
        requests: form(
            "/token",
            &format!("grant_type=client_credentials&client_id=bench&client_secret={}&scope=all", "x".repeat(47)),
        ),
    });

    println!(
        "client credentials, ES256, TLS 1.3, {CONNECTIONS} connections, client and server on this machine, \
         {} interleaved rounds of {} ms",
        rounds.count,
        rounds.span.as_millis()
    );
    let times = compare("a token", &ours, (PEER, theirs.as_ref()), TARGET_MICROS, rounds).await;
    match (&peer, times) {
        (Err(why), _) => println!("  the peer is missing ({why}): no comparison"),
        (Ok(_), Some(times)) if times >= TARGET_TIMES => println!("  target {TARGET_TIMES} times the rate: reached"),
        _ => println!("  target {TARGET_TIMES} times the rate: MISSED"),
    }
    if let Ok((child, _)) = &mut peer {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A token of the admin's, by way of the authorization endpoint.
async fn user_token(home: &Home) -> Secret<String> {
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let nobody = || Caller::nobody(Source::internal());
    let password = Secret::new(String::from("of no importance"));
    let op = SignInWithPassword { user_name: String::from("admin"), password, agent: String::new() };
    let session = enter(&home.house, &nobody(), op).await.unwrap().unwrap().cookie;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::of(VERIFIER.as_bytes()));
    let mut pairs: Vec<(String, String)> = [
        ("client_id", COMMAND_LINE_CLIENT.to_string()),
        ("response_type", String::from("code")),
        ("redirect_uri", String::from("http://localhost")),
        ("scope", String::from("https://management.azure.com/.default")),
        ("code_challenge", challenge),
        ("code_challenge_method", String::from("S256")),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let code = loop {
        let query = AuthorizeRequest::new(pairs.clone());
        let (session, browser) = (Some(session.clone()), Secret::new(String::from("browser")));
        let op = Authorize { tenant: String::from("common"), query, session, browser };
        match enter(&home.house, &nobody(), op).await.unwrap() {
            AuthorizeOutcome::Answer { parameters, .. } => break parameters[0].1.clone(),
            AuthorizeOutcome::SignIn { ticket, .. } => {
                pairs.push((AuthorizeRequest::TICKET.to_owned(), ticket.expose().clone()));
            }
            other => panic!("{other:?}"),
        }
    };
    let (tenant, id) = (String::from("common"), COMMAND_LINE_CLIENT.to_string());
    let op = RedeemCode {
        client: ClientClaim { tenant, id, proof: ClientProof::None },
        code: Secret::new(code),
        verifier: Some(Secret::new(String::from(VERIFIER))),
        redirect_uri: String::from("http://localhost"),
        scope: String::new(),
        claims: None,
    };
    enter(&home.house, &nobody(), op).await.unwrap().unwrap().access.token
}

async fn verify(rounds: u64) {
    const COUNT: u32 = 20_000;
    println!("a token that was verified before, {rounds} rounds of {COUNT}, one thread, in this process");
    let dir = stand::dir();
    let (chain, blobs) = (Arc::new(Sha256Chain), Arc::new(blob::Memory::new()));
    let sqlite: Arc<dyn MetaStore> = Arc::new(meta::Sqlite::open(&dir.path().join("meta"), chain).unwrap());
    let home = Home::over(sqlite, blobs, dir.path()).await;
    let user = user_token(&home).await;
    for (name, token) in [("a service principal's", &home.token), ("a user's, with the session it came from", &user)] {
        let mut times = Vec::new();
        for _ in 0..rounds {
            let begun = Instant::now();
            for _ in 0..COUNT {
                identify(&home.house, token.expose(), Source::internal()).await.unwrap();
            }
            times.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(COUNT));
        }
        let (least, median) = stand::least_and_median(times);
        let verdict = if median <= TARGET_KNOWN { "reached" } else { "MISSED" };
        println!("  {name:<44} median {median:>6.2} µs  least {least:>6.2} µs  target {TARGET_KNOWN} µs: {verdict}");
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let rounds = Rounds::from_env();
    issue(rounds).await;
    verify(rounds.count).await;
}
