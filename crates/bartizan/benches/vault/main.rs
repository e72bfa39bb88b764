//! A secret read and set, a key unwrapped with, wrapped with and signed with over HTTPS, and the server's CPU for each, against
//! OpenBao's kv and transit engines over raft in the same run.

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

use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use duel::{CONNECTIONS, Rounds, Subject, compare, on_each, request};
use link::connector;
use outbound::Method;
use serde_json::{Value, json};
use stand::Server;

use peer::{PEER, Peer};

/// `Key Vault Administrator`.
const ROLE: &str = "00482a5a-887f-4fb3-b363-3b7fe8e74483";
/// What is signed and wrapped: as long as a SHA-256.
const DIGEST: [u8; 32] = [7; 32];
const VERSION: &str = "?api-version=7.6";

/// A request for each connection's own secret, so that writers do not wait for each other's.
fn of_each(method: &str, place: &str, headers: &str, body: &str) -> Vec<Vec<Vec<u8>>> {
    let one = |n: usize| vec![request(method, &place.replace("{n}", &n.to_string()), headers, body.as_bytes())];
    (0..CONNECTIONS).map(one).collect()
}

/// A vault with a secret for each connection; the token that opens it.
async fn vault(server: &Server) -> kernel::Secret<String> {
    let group = format!("{}/resourceGroups/bench", server.subscription);
    server.put(&group, &json!({"location": "local"})).await;
    let vault = format!("{group}/providers/Microsoft.KeyVault/vaults/bench");
    server.put(&vault, &json!({"location": "local"})).await;
    let me = claims(server.token.expose())["oid"].as_str().unwrap().to_owned();
    let definition = format!("/providers/Microsoft.Authorization/roleDefinitions/{ROLE}");
    let assignment = format!("{vault}/providers/Microsoft.Authorization/roleAssignments/{}", uuid::Uuid::new_v4());
    server.put(&assignment, &json!({"properties": {"roleDefinitionId": definition, "principalId": me}})).await;
    let token = server.token_for("https://vault.bartizan.test").await;
    for n in 0..CONNECTIONS {
        let place = format!("/vaults/bench/secrets/s{n}?api-version=7.6");
        let call = server.client.put(&place).bearer(&token).json(&json!({"value": "of no importance"}));
        let _made: Value = call.send_for_json().await.unwrap();
    }
    token
}

/// The claims of a token, unverified: it is our own.
fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// The two, and how each is asked.
struct Stage {
    server: Server,
    token: kernel::Secret<String>,
    peer: Option<Peer>,
    authority: seal::Authority,
    rounds: Rounds,
}

impl Stage {
    fn ours(&self, requests: Vec<Vec<Vec<u8>>>) -> Subject {
        let port = self.server.authority().rsplit(':').next().unwrap().parse().unwrap();
        Subject { process: self.server.process(), port, connector: connector(&self.server.ca_pem), requests }
    }

    fn theirs(&self, requests: Vec<Vec<Vec<u8>>>) -> Option<Subject> {
        let connector = connector(self.authority.certificate_pem().as_bytes());
        self.peer.as_ref().map(|peer| Subject { process: peer.process(), port: peer.port, connector, requests })
    }

    fn our_headers(&self) -> String {
        format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", self.token.expose())
    }

    fn their_headers(&self) -> String {
        let token = self.peer.as_ref().map_or("", |peer| &peer.token);
        format!("X-Vault-Token: {token}\r\nContent-Type: application/json\r\n")
    }

    async fn secrets(&self) {
        let (own, other) = ("/vaults/bench/secrets/s{n}?api-version=7.6", "/v1/kv/data/s{n}");
        let (our, their) = (self.our_headers(), self.their_headers());
        let theirs = self.theirs(of_each("GET", other, &their, ""));
        let ours = self.ours(of_each("GET", own, &our, ""));
        compare("a secret read", &ours, (PEER, theirs.as_ref()), 60.0, self.rounds).await;
        let theirs = self.theirs(of_each("PUT", other, &their, "{\"data\":{\"value\":\"of no importance\"}}"));
        let ours = self.ours(of_each("PUT", own, &our, "{\"value\":\"of no importance\"}"));
        compare("a secret set, durable", &ours, (PEER, theirs.as_ref()), 300.0, self.rounds).await;
    }

    /// Something done with a key: its address here, the operation and its body; the place there and its body.
    async fn deed(
        &self,
        what: &str,
        (key, deed, body): (&str, &str, Value),
        (place, other): (&str, Value),
        target: f64,
    ) {
        let own = format!("/vaults/bench/keys/{}/{deed}{VERSION}", key.split_once("/keys/").unwrap().1);
        let ours = self.ours(on_each(&request("POST", &own, &self.our_headers(), body.to_string().as_bytes())));
        let their =
            request("PUT", &format!("/v1/transit/{place}"), &self.their_headers(), other.to_string().as_bytes());
        let theirs = self.theirs(on_each(&their));
        compare(what, &ours, (PEER, theirs.as_ref()), target, self.rounds).await;
    }

    /// A key of ours; its address with its version.
    async fn key(&self, name: &str, shape: Value) -> String {
        let place = format!("/vaults/bench/keys/{name}/create{VERSION}");
        let call = self.server.client.post(&place).bearer(&self.token).json(&shape);
        let made: Value = call.send_for_json().await.unwrap();
        made["key"]["kid"].as_str().unwrap().to_owned()
    }

    /// What a key of ours answers.
    async fn did(&self, key: &str, deed: &str, body: &Value) -> String {
        let place = format!("/vaults/bench/keys/{}/{deed}{VERSION}", key.split_once("/keys/").unwrap().1);
        let call = self.server.client.post(&place).bearer(&self.token).json(body);
        let done: Value = call.send_for_json().await.unwrap();
        done["value"].as_str().unwrap().to_owned()
    }

    /// What the peer answers, when there is one.
    async fn peer_did(&self, place: &str, body: Value, field: &str) -> String {
        let Some(peer) = &self.peer else { return String::new() };
        let url = format!("https://localhost:{}", peer.port);
        let pem = self.authority.certificate_pem();
        let client = outbound::Client::to_server(&url, pem.as_bytes(), outbound::Timeouts::default()).unwrap();
        let call = client.call(Method::PUT, &format!("/v1/transit/{place}"));
        let answer: Value = call.header("X-Vault-Token", &peer.token).json(&body).send_for_json().await.unwrap();
        answer["data"][field].as_str().unwrap_or_default().to_owned()
    }

    async fn keys(&self) {
        let digest = URL_SAFE_NO_PAD.encode(DIGEST);
        let plain = STANDARD.encode(DIGEST);

        let rsa = self.key("rsa", json!({"kty": "RSA", "key_size": 2048})).await;
        let wrapped = self.did(&rsa, "wrapkey", &json!({"alg": "RSA-OAEP-256", "value": digest})).await;
        self.peer_did("keys/rsa", json!({"type": "rsa-2048"}), "").await;
        let hidden = self.peer_did("encrypt/rsa", json!({"plaintext": plain}), "ciphertext").await;
        let ours = (rsa.as_str(), "unwrapkey", json!({"alg": "RSA-OAEP-256", "value": wrapped}));
        self.deed("RSA-2048 unwrap", ours, ("decrypt/rsa", json!({"ciphertext": hidden})), 350.0).await;

        let ec = self.key("ec", json!({"kty": "EC", "crv": "P-256"})).await;
        self.peer_did("keys/ec", json!({"type": "ecdsa-p256"}), "").await;
        let ours = (ec.as_str(), "sign", json!({"alg": "ES256", "value": digest}));
        let theirs = json!({"input": plain, "prehashed": true, "hash_algorithm": "sha2-256"});
        self.deed("P-256 sign", ours, ("sign/ec", theirs), 70.0).await;

        let oct = self.key("oct", json!({"kty": "oct", "key_size": 256})).await;
        self.peer_did("keys/aes", json!({"type": "aes256-gcm96"}), "").await;
        let body = json!({"alg": "A256KW", "value": digest});
        let theirs = ("encrypt/aes", json!({"plaintext": plain}));
        self.deed("AES-256 wrap", (&oct, "wrapkey", body.clone()), theirs, 60.0).await;
        let wrapped = self.did(&oct, "wrapkey", &body).await;
        let hidden = self.peer_did("encrypt/aes", json!({"plaintext": plain}), "ciphertext").await;
        let ours = (oct.as_str(), "unwrapkey", json!({"alg": "A256KW", "value": wrapped}));
        self.deed("AES-256 unwrap", ours, ("decrypt/aes", json!({"ciphertext": hidden})), 60.0).await;
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let server = Server::start().await;
    let token = vault(&server).await;
    let authority = seal::Authority::generate(2026).unwrap();
    let peer = Peer::start(server.place(), &authority, CONNECTIONS).await;
    if let Err(why) = &peer {
        println!("the peer is missing ({why}): no comparison");
    }
    let rounds = Rounds::from_env();
    println!(
        "TLS 1.3, {CONNECTIONS} connections, client and servers on this machine, {} interleaved rounds of {} ms; \
         every answer of ours leaves a durable record, the peer keeps no audit log",
        rounds.count,
        rounds.span.as_millis()
    );
    let stage = Stage { server, token, peer: peer.ok(), authority, rounds };
    stage.secrets().await;
    stage.keys().await;
}
