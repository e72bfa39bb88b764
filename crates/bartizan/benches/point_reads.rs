//! Authorized, sealed point reads a second over HTTPS, client and server on one machine, and the server's CPU for each;
//! against a server in the same run that speaks TLS and answers the same bytes without looking at the request.

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

mod link;
mod stand;

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use link::{ask, connect, connector};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::json;
use stand::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

struct Load {
    rate: f64,
    p50: f64,
    p99: f64,
    count: f64,
}

async fn load(connector: &TlsConnector, port: u16, request: &[u8], connections: usize, span: Duration) -> Load {
    let mut links = Vec::new();
    for _ in 0..connections {
        links.push(connect(connector, port).await);
    }
    let begun = Instant::now();
    let tasks: Vec<_> = links
        .into_iter()
        .map(|mut link| {
            let request = request.to_vec();
            tokio::spawn(async move {
                let (mut buffer, mut times) = (vec![0; 64 << 10], Vec::new());
                while begun.elapsed() < span {
                    let asked = Instant::now();
                    ask(&mut link, &request, &mut buffer).await;
                    times.push(asked.elapsed().as_secs_f64() * 1e6);
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let took = begun.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let count = times.len() as f64;
    Load { rate: count / took, p50: at(0.5), p99: at(0.99), count }
}

/// The limit: reads until an empty line, answers the bytes it was given.
async fn answer_the_same(chain_pem: String, key_pem: String, answer: Vec<u8>) {
    let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let (acceptor, answer) = (TlsAcceptor::from(Arc::new(config)), Arc::new(answer));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", socket.local_addr().unwrap().port());
    std::io::stdout().flush().unwrap();
    loop {
        let (stream, _) = socket.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
        tokio::spawn(async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let (mut buffer, mut filled) = (vec![0; 16 << 10], 0);
            while let Ok(read @ 1..) = stream.read(&mut buffer[filled..]).await {
                filled += read;
                if buffer[..filled].ends_with(b"\r\n\r\n") {
                    filled = 0;
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if let Some(dir) = std::env::var_os("BARTIZAN_BENCH_LIMIT") {
        let read = |name: &str| std::fs::read(std::path::Path::new(&dir).join(name)).unwrap();
        let text = |name: &str| String::from_utf8(read(name)).unwrap();
        return answer_the_same(text("chain.pem"), text("key.pem"), read("answer")).await;
    }
    let (rounds, span) = (stand::setting("BARTIZAN_BENCH_ROUNDS", 5), stand::setting("BARTIZAN_BENCH_MILLIS", 2000));
    let span = Duration::from_millis(span);
    let server = Server::start().await;
    let tags: serde_json::Map<String, serde_json::Value> =
        (0..4).map(|number| (format!("tag{number}"), json!("v".repeat(180)))).collect();
    let group = format!("{}/resourceGroups/bench", server.subscription);
    server.put(&group, &json!({"location": "local", "tags": tags})).await;
    let workspace = format!("{group}/providers/Microsoft.MachineLearningServices/workspaces/bench");
    server.put(&workspace, &json!({"location": "local", "tags": {}})).await;
    let request = |place: &str| {
        format!(
            "GET {place}?api-version=2022-09-01 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
            server.token.expose()
        )
    };
    let (of_group, of_workspace) = (request(&group), request(&workspace));

    // One answer, kept for the limit.
    let to_server = connector(&server.ca_pem);
    let port: u16 = server.authority().rsplit(':').next().unwrap().parse().unwrap();
    let mut buffer = vec![0; 64 << 10];
    let mut link = connect(&to_server, port).await;
    let size = ask(&mut link, of_group.as_bytes(), &mut buffer).await;
    let authority = seal::Authority::generate(2026).unwrap();
    let identity = authority.issue(&[String::from("localhost")], 2026).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(server.place().join(name), bytes).unwrap();
    write("answer", &buffer[..size]);
    write("chain.pem", identity.chain_pem.as_bytes());
    write("key.pem", identity.key_pem.expose().as_bytes());
    let mut limit = Command::new(std::env::current_exe().unwrap())
        .env("BARTIZAN_BENCH_LIMIT", server.place())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(limit.stdout.take().unwrap()), &mut line).unwrap();
    let limit_port: u16 = line.trim().parse().unwrap();
    let to_limit = connector(authority.certificate_pem().as_bytes());

    println!(
        "point reads over TLS 1.3, HTTP/1.1, client and server on this machine, {rounds} interleaved rounds of {} ms; \
         answers of {size} bytes with headers",
        span.as_millis()
    );
    for connections in [8, 32] {
        let mut rows: [Vec<(Load, f64)>; 3] = Default::default();
        for _ in 0..rounds {
            for (row, request) in rows.iter_mut().zip([&of_group, &of_workspace]) {
                let cpu = server.cpu();
                let load = load(&to_server, port, request.as_bytes(), connections, span).await;
                let each = (server.cpu() - cpu) * 1e6 / load.count;
                row.push((load, each));
            }
            let cpu = stand::cpu_of(limit.id());
            let load = load(&to_limit, limit_port, of_group.as_bytes(), connections, span).await;
            let each = (stand::cpu_of(limit.id()) - cpu) * 1e6 / load.count;
            rows[2].push((load, each));
        }
        let names = ["GET a resource group with 720 bytes of tags", "GET a workspace", "limit: TLS and fixed bytes"];
        let mut rates = Vec::new();
        for (name, row) in names.iter().zip(&rows) {
            let median = |of: fn(&(Load, f64)) -> f64| stand::least_and_median(row.iter().map(of).collect()).1;
            let (rate, cpu) = (median(|round| round.0.rate), median(|round| round.1));
            println!(
                "  {connections:>2} connections  {name:<44} {rate:>7.0}/s  p50 {:>5.0} µs  p99 {:>6.0} µs  server CPU {cpu:>5.1} µs each",
                median(|round| round.0.p50),
                median(|round| round.0.p99),
            );
            rates.push(rate);
        }
        let verdict = if rates[0] >= 8000.0 { "reached" } else { "MISSED" };
        println!("  target 8,000/s: {verdict}; {:.0} % of the limit", 100.0 * rates[0] / rates[2]);
    }
    let _ = limit.kill();
    let _ = limit.wait();
}
