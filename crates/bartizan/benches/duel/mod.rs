//! Two servers asked for the same thing by turns, and what an answer costs each.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::time::{Duration, Instant};

use tokio_rustls::TlsConnector;

use crate::{
    link::{ask, connect},
    stand,
};

/// How many connections ask at once.
pub const CONNECTIONS: usize = 8;

/// One of the two, asked for one thing.
pub struct Subject {
    pub process: u32,
    pub port: u16,
    pub connector: TlsConnector,
    /// For each connection what it sends, round and round.
    pub requests: Vec<Vec<Vec<u8>>>,
}

impl Subject {
    /// Answers a second, and CPU µs for each.
    pub async fn measure(&self, span: Duration) -> (f64, f64) {
        let mut links = Vec::new();
        for _ in 0..CONNECTIONS {
            links.push(connect(&self.connector, self.port).await);
        }
        let (cpu, begun) = (stand::cpu_of(self.process), Instant::now());
        let tasks: Vec<_> = links
            .into_iter()
            .zip(self.requests.clone())
            .map(|(mut link, requests)| {
                tokio::spawn(async move {
                    let (mut buffer, mut count) = (vec![0; 32 << 10], 0_u64);
                    for request in requests.iter().cycle() {
                        if begun.elapsed() >= span {
                            break;
                        }
                        ask(&mut link, request, &mut buffer).await;
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

/// The same request on every connection.
pub fn on_each(request: &[u8]) -> Vec<Vec<Vec<u8>>> {
    vec![vec![request.to_vec()]; CONNECTIONS]
}

/// An HTTP/1.1 request. Headers end with a line break each.
pub fn request(method: &str, place: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let mut request = format!("{method} {place} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n").into_bytes();
    request.extend_from_slice(body);
    request
}

/// How often, and for how long each time.
#[derive(Clone, Copy)]
pub struct Rounds {
    pub count: u64,
    pub span: Duration,
}

impl Rounds {
    /// As the environment sets it.
    pub fn from_env() -> Self {
        let span = Duration::from_millis(stand::setting("BARTIZAN_BENCH_MILLIS", 2000));
        Self { count: stand::setting("BARTIZAN_BENCH_ROUNDS", 5), span }
    }
}

/// The peer's name, and the peer where there is one.
pub type Other<'a> = (&'a str, Option<&'a Subject>);

/// Measures both by turns, and says what came of it. The target is in µs of the server's CPU. Times of the peer's rate, when
/// there is a peer.
pub async fn compare(
    what: &str,
    ours: &Subject,
    (name, theirs): Other<'_>,
    target: f64,
    rounds: Rounds,
) -> Option<f64> {
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for _ in 0..rounds.count {
        own.push(ours.measure(rounds.span).await);
        if let Some(theirs) = theirs {
            other.push(theirs.measure(rounds.span).await);
        }
    }
    let median =
        |rows: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| stand::least_and_median(rows.iter().map(of).collect()).1;
    let (rate, cpu) = (median(&own, |row| row.0), median(&own, |row| row.1));
    let verdict = if cpu <= target { "reached" } else { "MISSED" };
    println!("{what}");
    println!("  {:<22} {rate:>7.0}/s  server CPU {cpu:>7.1} µs  target {target} µs: {verdict}", "bartizan");
    theirs?;
    let (peer_rate, peer_cpu) = (median(&other, |row| row.0), median(&other, |row| row.1));
    println!("  {name:<22} {peer_rate:>7.0}/s  server CPU {peer_cpu:>7.1} µs");
    println!("  {:.1} times the peer's rate, {:.1} times less CPU", rate / peer_rate, peer_cpu / cpu);
    Some(rate / peer_rate)
}
