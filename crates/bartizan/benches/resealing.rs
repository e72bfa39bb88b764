//! How fast a workspace's rows are sealed anew under a new key, over HTTPS, alone and while others write: rows a second, and what the
//! writers' requests take meanwhile. `BARTIZAN_BENCH_ROWS` is how many runs there are, each of several rows.

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
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use outbound::Method;
use serde_json::{Value, json};
use stand::Server;
use tokio::{task::JoinSet, time::sleep};

/// Writers.
const WRITERS: usize = 4;
/// Between two looks at how far it is.
const PAUSE: Duration = Duration::from_millis(50);

struct Place {
    server: Server,
    workspace: String,
}

impl Place {
    async fn new() -> Self {
        let server = Server::start().await;
        let group = format!("{}/resourceGroups/bench", server.subscription);
        server.put(&group, &json!({"location": "local"})).await;
        let workspace = format!("{group}/providers/Microsoft.MachineLearningServices/workspaces/bench");
        server.put(&workspace, &json!({"location": "local"})).await;
        Self { server, workspace }
    }

    async fn ask(&self, method: Method, place: &str, body: &Value) -> Value {
        let call = self.server.client.call(method, place).bearer(&self.server.token);
        call.json(body).send_for_json().await.unwrap()
    }

    /// One run, with a tag.
    async fn write(&self) {
        let mlflow = format!("/mlflow/v1.0{}/api/2.0/mlflow", self.workspace);
        let run = json!({"experiment_id": "0", "start_time": 1, "tags": [{"key": "k", "value": "v"}]});
        self.ask(Method::POST, &format!("{mlflow}/runs/create"), &run).await;
    }

    /// Seals everything anew; rows and seconds.
    async fn reseal(&self) -> (u64, f64) {
        let place = format!("{}/encryption/reseal", self.workspace);
        let begun = Instant::now();
        self.ask(Method::POST, &place, &json!({})).await;
        loop {
            let call = self.server.client.get(&place).bearer(&self.server.token);
            let found: Value = call.send_for_json().await.unwrap();
            if found["state"] != "Sealing" {
                assert_eq!(found["percentComplete"], 100, "{found}");
                return (found["resealed"].as_u64().unwrap(), begun.elapsed().as_secs_f64());
            }
            sleep(PAUSE).await;
        }
    }

    /// Waits until the older key is destroyed, so that another one can begin.
    async fn settle(&self) {
        let place = format!("{}/encryption/reseal", self.workspace);
        loop {
            let call = self.server.client.get(&place).bearer(&self.server.token);
            let found: Value = call.send_for_json().await.unwrap();
            if found["state"] == "Retired" {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let count = stand::setting("BARTIZAN_BENCH_ROWS", 5000);
    let place = Arc::new(Place::new().await);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS as u64 {
        let place = Arc::clone(&place);
        let own = count / WRITERS as u64 + u64::from(writer < count % WRITERS as u64);
        writers.spawn(async move {
            for _ in 0..own {
                place.write().await;
            }
        });
    }
    writers.join_all().await;
    let (rows, seconds) = place.reseal().await;
    println!("a workspace of {count} runs");
    println!("  alone: {rows} rows sealed anew in {seconds:.2} s, {:.0} a second", rows as f64 / seconds);
    place.settle().await;

    let is_over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (place, is_over) = (Arc::clone(&place), Arc::clone(&is_over));
        writers.spawn(async move {
            let mut taken = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                place.write().await;
                taken.push(begun.elapsed().as_secs_f64() * 1000.0);
            }
            taken
        });
    }
    let (rows, seconds) = place.reseal().await;
    is_over.store(true, Ordering::Relaxed);
    let taken: Vec<f64> = writers.join_all().await.into_iter().flatten().collect();
    println!("  with {WRITERS} writers: {rows} rows in {seconds:.2} s, {:.0} a second", rows as f64 / seconds);
    let most = taken.iter().copied().fold(0.0, f64::max);
    let (written, (_, median)) = (taken.len(), stand::least_and_median(taken));
    println!(
        "    their {written} requests meanwhile, none of which failed: median {median:.1} ms, longest {most:.1} ms"
    );
}
