//! What the gate adds to an operation that only reads: token, authorization and record, in this process over a store in
//! memory, against what cannot be saved (encoding and sealing one record).

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

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use domain::{
    gate::{Cx, Op, enter},
    identity::identify,
    resources::{GetResource, ResourceGroup},
};
use kernel::{Action, Class, ResourceId, Result, Source};
use seal::{Keyring, Place, Sha256Chain};
use stand::Home;
use store::{blob, meta};

const OPERATIONS: u32 = 10_000;

struct ReadNothing(ResourceId);

#[async_trait]
impl Op for ReadNothing {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/read", Class::Read);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.0.clone()
    }

    async fn run(self, _: &Cx<'_, Self>) -> Result<()> {
        Ok(())
    }
}

fn micros(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(OPERATIONS)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rounds = stand::setting("BARTIZAN_BENCH_ROUNDS", 15);
    let dir = stand::dir();
    let store = Arc::new(meta::Memory::new(Arc::new(Sha256Chain)));
    let home = Home::over(store, Arc::new(blob::Memory::new()), dir.path()).await;
    let (house, token) = (&home.house, home.token.expose());
    let caller = identify(house, token, Source::internal()).await.unwrap();
    let keyring = Keyring::generate().unwrap().ring().unwrap();
    let place = Place { shelf: &[0; 16], table: "activity", id: b"", version: 0 };
    let scope: serde_json::Value = serde_json::json!({
        "event": uuid::Uuid::new_v4(), "at": 1_795_000_000_000_i64, "correlation": uuid::Uuid::new_v4(),
        "actor": {"kind": "Principal", "id": uuid::Uuid::new_v4(), "principalType": "ServicePrincipal", "name": "bartizan-owner"},
        "action": ReadNothing::ACTION.name(), "scope": home.group, "outcome": "Succeeded",
    });

    let mut columns: [Vec<f64>; 5] = Default::default();
    for _ in 0..rounds {
        let begun = Instant::now();
        for _ in 0..OPERATIONS {
            identify(house, token, Source::internal()).await.unwrap();
        }
        columns[0].push(micros(begun));
        let begun = Instant::now();
        for _ in 0..OPERATIONS {
            enter(house, &caller, ReadNothing(home.group.clone())).await.unwrap();
        }
        columns[1].push(micros(begun));
        let begun = Instant::now();
        house.flush_reads().await.unwrap();
        columns[2].push(micros(begun));
        let begun = Instant::now();
        for _ in 0..OPERATIONS {
            let op = GetResource::<ResourceGroup>::new(home.group.clone());
            enter(house, &caller, op).await.unwrap();
        }
        columns[3].push(micros(begun));
        house.flush_reads().await.unwrap();
        let begun = Instant::now();
        for _ in 0..OPERATIONS {
            let text = serde_json::to_vec(&scope).unwrap();
            std::hint::black_box(keyring.seal(place, &text).unwrap());
        }
        columns[4].push(micros(begun));
    }
    println!("the gate's price for a read, {rounds} rounds of {OPERATIONS} operations, one thread, store in memory");
    let names = [
        "known token → caller",
        "enter: authorize, run nothing, seal and queue the record",
        "its share of writing the batch of records (memory)",
        "enter with a read: the same, and get, open and decode a resource group",
        "limit: encode and seal one record, nothing else",
    ];
    let mut medians = Vec::new();
    for (name, column) in names.iter().zip(columns) {
        let (least, median) = stand::least_and_median(column);
        println!("  {name:<72} median {median:>7.2} µs  least {least:>7.2} µs");
        medians.push(median);
    }
    let added = medians[0] + medians[1] + medians[2];
    println!(
        "  the gate adds {added:.1} µs to a read; {:.1} µs of it is the record's own encoding and sealing",
        medians[4]
    );
}
