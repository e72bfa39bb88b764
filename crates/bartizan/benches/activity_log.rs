//! The activity log at a million records: how fast it takes them, and how long a question takes. In this process, over the
//! default driver with its syncs.

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
    audit::{ActivityFilter, ListActivities, View},
    gate::{Cx, House, Op, enter},
    identity::identify,
};
use kernel::{Action, Caller, Class, ResourceId, Result, Source, Timestamp};
use seal::{Keyring, Place, Sha256Chain};
use stand::Home;
use store::{blob, meta};

/// Records between two flushes, below the bound at which reads are refused.
const BATCH: u64 = 10_000;

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

/// What a question costs: seconds, and how many pages it took to gather `due` records or reach the log's end.
async fn question(house: &House, caller: &Caller, scope: &ResourceId, filter: ActivityFilter) -> (f64, usize, usize) {
    let (begun, mut pages, mut found) = (Instant::now(), 0, 0);
    let (due, mut filter) = (filter.most, filter);
    loop {
        let page = enter(house, caller, ListActivities { scope: scope.clone(), filter: filter.clone() }).await.unwrap();
        pages += 1;
        found += page.found.len();
        filter.before = page.before;
        if found >= due || page.before.is_none() {
            return (begun.elapsed().as_secs_f64(), pages, found);
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let records = stand::setting("BARTIZAN_BENCH_RECORDS", 1_000_000);
    let dir = stand::dir();
    let store = Arc::new(meta::Sqlite::open(dir.path(), Arc::new(Sha256Chain)).unwrap());
    let home = Home::over(store, Arc::new(blob::Memory::new()), dir.path()).await;
    let house = &home.house;
    let caller = identify(house, home.token.expose(), Source::internal()).await.unwrap();

    let (mut made, mut middle) = (0, None);
    let (begun, cpu) = (Instant::now(), stand::own_cpu());
    while made < records {
        for _ in 0..BATCH {
            enter(house, &caller, ReadNothing(home.group.clone())).await.unwrap();
        }
        house.flush_reads().await.unwrap();
        made += BATCH;
        if middle.is_none() && made * 2 >= records {
            middle = Some(house.now());
        }
    }
    let (span, cpu) = (begun.elapsed().as_secs_f64(), stand::own_cpu() - cpu);
    println!("{made} records through the gate into the log, in batches of {BATCH}, durable");
    println!("  {:.0} a second, {:.1} µs of CPU each", made as f64 / span, cpu * 1e6 / made as f64);

    let keyring = Keyring::generate().unwrap().ring().unwrap();
    let place = Place { shelf: &[0; 16], table: "activity", id: b"", version: 0 };
    let sealed = keyring.seal(place, &[7; 400]).unwrap();
    let begun = Instant::now();
    for _ in 0..20_000 {
        std::hint::black_box(keyring.open(place, &sealed).unwrap());
    }
    println!("  limit of a question: opening a record costs {:.2} µs", begun.elapsed().as_secs_f64() * 1e6 / 20_000.0);

    let subscription = home.group.parent();
    let all = ActivityFilter { view: View::Everything, most: 100, ..ActivityFilter::default() };
    let middle = middle.unwrap();
    let questions = [
        ("the newest 100", all.clone()),
        (
            "100 of one second in the middle of the log",
            ActivityFilter { from: Some(middle), until: Some(Timestamp(middle.0 + 1000)), ..all.clone() },
        ),
        (
            "the newest 100 changes (there are few: the whole log is looked at)",
            ActivityFilter { view: View::Full, ..all.clone() },
        ),
    ];
    for (name, filter) in questions {
        let (time, pages, found) = question(house, &caller, &subscription, filter).await;
        println!("  {name:<68} {:>9.2} ms, {found} found on {pages} pages", time * 1e3);
    }
}
