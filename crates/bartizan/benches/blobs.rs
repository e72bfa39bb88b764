//! A large file in and out over HTTPS: the server's CPU and the time, against a plain file written with a sync, and read, in
//! the same run on the same disk. In: TLS, authorization, hash, seal, sync, commit with the activity record. Out: the same
//! backwards.

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

mod link;
mod stand;

use std::{
    fs::File,
    io::{Read, Write},
    time::Instant,
};

use link::{ask, connect, connector, hear};
use serde_json::{Value, json};
use stand::Server;
use tokio::io::AsyncWriteExt;

const PIECE: usize = 256 << 10;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (rounds, megabytes) =
        (stand::setting("BARTIZAN_BENCH_ROUNDS", 5), stand::setting("BARTIZAN_BENCH_MEGABYTES", 256));
    let length = (megabytes << 20) as usize;
    let server = Server::start().await;
    let group = format!("{}/resourceGroups/bench", server.subscription);
    server.put(&group, &json!({"location": "local"})).await;
    let workspace = format!("{group}/providers/Microsoft.MachineLearningServices/workspaces/bench");
    server.put(&workspace, &json!({"location": "local"})).await;
    let api = format!("/mlflow/v1.0{workspace}/api/2.0");
    let post = async |path: &str, body: Value| -> Value {
        server.client.post(&format!("{api}/{path}")).bearer(&server.token).json(&body).send_for_json().await.unwrap()
    };
    let experiment = post("mlflow/experiments/create", json!({"name": "bench"})).await["experiment_id"].clone();
    let run = post("mlflow/runs/create", json!({"experiment_id": experiment})).await;
    let run = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let file = format!("{api}/mlflow-artifacts/artifacts/{}/{run}/artifacts/large.bin", experiment.as_str().unwrap());
    let fixed = format!("HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n", server.token.expose());
    let put = format!("PUT {file} {fixed}Content-Length: {length}\r\n\r\n");
    let get = format!("GET {file} {fixed}\r\n");

    // Bytes that compress to nothing less.
    let mut state = 1_u64;
    let piece: Vec<u8> = (0..PIECE)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    let port: u16 = server.authority().rsplit(':').next().unwrap().parse().unwrap();
    let connector = connector(&server.ca_pem);
    let mut columns: [Vec<(f64, f64)>; 4] = Default::default();
    let mut buffer = vec![0; PIECE];
    for _ in 0..rounds {
        let mut link = connect(&connector, port).await;
        let (begun, cpu) = (Instant::now(), server.cpu());
        link.write_all(put.as_bytes()).await.unwrap();
        for _ in 0..length / PIECE {
            link.write_all(&piece).await.unwrap();
        }
        link.flush().await.unwrap();
        hear(&mut link, &mut buffer).await;
        columns[0].push((begun.elapsed().as_secs_f64(), server.cpu() - cpu));

        let (begun, cpu) = (Instant::now(), server.cpu());
        let got = ask(&mut link, get.as_bytes(), &mut buffer).await;
        assert!(got > length);
        columns[1].push((begun.elapsed().as_secs_f64(), server.cpu() - cpu));

        let plain = server.place().join("plain.bin");
        let (begun, cpu) = (Instant::now(), stand::own_cpu());
        let mut written = File::create(&plain).unwrap();
        (0..length / PIECE).for_each(|_| written.write_all(&piece).unwrap());
        written.sync_all().unwrap();
        columns[2].push((begun.elapsed().as_secs_f64(), stand::own_cpu() - cpu));
        let (begun, cpu) = (Instant::now(), stand::own_cpu());
        let mut reading = File::open(&plain).unwrap();
        while reading.read(&mut buffer).unwrap() > 0 {}
        columns[3].push((begun.elapsed().as_secs_f64(), stand::own_cpu() - cpu));
        std::fs::remove_file(plain).unwrap();
    }
    println!("a file of {megabytes} MB over HTTPS (TLS 1.3, HTTP/1.1), {rounds} interleaved rounds, median");
    let names = [
        ("in: artifact PUT, sealed and durable", Some(0.5)),
        ("out: artifact GET, opened", Some(0.2)),
        ("limit in: plain file, written and synced", None),
        ("limit out: plain file, read from the cache", None),
    ];
    for ((name, target), column) in names.iter().zip(columns) {
        let (_, took) = stand::least_and_median(column.iter().map(|round| round.0).collect());
        let (least, cpu) = stand::least_and_median(column.iter().map(|round| round.1).collect());
        let each = cpu * 256.0 / megabytes as f64;
        let verdict = match target {
            Some(target) if each <= *target => format!("; target {target} s: reached"),
            Some(target) => format!("; target {target} s: MISSED"),
            None => String::new(),
        };
        let rate = megabytes as f64 / took;
        println!("  {name:<44} {rate:>6.0} MB/s  CPU {each:.2} s per 256 MB (least {least:.2}){verdict}");
    }
}
