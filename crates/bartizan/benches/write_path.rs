//! Durable changes through the gate a second, against SQLite alone on the same disk in the same run.
//!
//! One change is: verify the (known) token, authorize, run, seal the record and its activity record, chain, commit with a
//! sync, answer. SQLite alone writes two rows of the same sizes with the same settings and does none of the rest.

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
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use domain::{
    gate::{Changes, Cx, Op, Record, Row, enter},
    identity::identify,
};
use kernel::{Action, Class, ResourceId, Result, Source};
use rusqlite::Connection;
use seal::Sha256Chain;
use serde::{Deserialize, Serialize};
use stand::Home;
use store::{blob, meta};

const WRITERS: usize = 32;

#[derive(Serialize, Deserialize)]
struct Note {
    text: String,
}

impl Record for Note {
    const TABLE: &'static str = "bench-note";
}

struct PutNote {
    id: [u8; 16],
    scope: ResourceId,
}

#[async_trait]
impl Op for PutNote {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/write", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut changes = Changes::new();
        changes.put(cx.system(), &Row::new(self.id.as_slice(), Note { text: "x".repeat(1000) }))?;
        cx.commit(changes).await
    }
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Ids that do not come in order, as in real tables.
fn fresh_id() -> [u8; 16] {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

async fn change(home: &Home) {
    let caller = identify(&home.house, home.token.expose(), Source::internal()).await.unwrap();
    enter(&home.house, &caller, PutNote { id: fresh_id(), scope: home.group.clone() }).await.unwrap();
}

/// Changes a second, and CPU microseconds of each.
async fn through_the_gate(home: &Arc<Home>, writers: usize, span: Duration) -> (f64, f64) {
    let (begun, cpu) = (Instant::now(), stand::own_cpu());
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let home = Arc::clone(home);
            tokio::spawn(async move {
                let mut count = 0_u64;
                while begun.elapsed() < span {
                    change(&home).await;
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
    let (took, cpu) = (begun.elapsed().as_secs_f64(), stand::own_cpu() - cpu);
    (count as f64 / took, cpu * 1e6 / count as f64)
}

/// SQLite alone: the same tables and settings, prepared statements, one thread.
struct Bare {
    connection: Connection,
    value: Vec<u8>,
    record: Vec<u8>,
    seq: i64,
}

impl Bare {
    /// A database that holds what the other one does, row by row of the same sizes.
    fn like(other: &Path, dir: &Path) -> Self {
        let sizes = "SELECT (SELECT max(length(value)) FROM kv WHERE key >= CAST('bench-note' AS BLOB) AND key < CAST('bench-notf' AS BLOB)),
                            (SELECT length(record) FROM log ORDER BY seq DESC LIMIT 1)";
        let ours = Connection::open(other).unwrap();
        let (value, record): (u32, u32) = ours.query_row(sizes, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let connection = Connection::open(dir.join("bare.sqlite")).unwrap();
        let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;
            PRAGMA cache_size = -8192;
            CREATE TABLE kv (key BLOB PRIMARY KEY NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
            CREATE TABLE log (seq INTEGER PRIMARY KEY NOT NULL, link BLOB NOT NULL, record BLOB NOT NULL) STRICT;";
        connection.execute_batch(settings).unwrap();
        Self { connection, value: vec![7; value as usize], record: vec![9; record as usize], seq: 0 }
    }

    fn transact(&mut self, changes: usize) {
        let run = |sql: &str| self.connection.prepare_cached(sql).unwrap().execute([]).map(drop).unwrap();
        run("BEGIN IMMEDIATE");
        for _ in 0..changes {
            self.seq += 1;
            let key = [b"bench-note\0".as_slice(), &[0; 16], &fresh_id()].concat();
            let put = "INSERT INTO kv (key, version, value) VALUES (?1, 1, ?2) ON CONFLICT DO NOTHING";
            self.connection.prepare_cached(put).unwrap().execute((key, &self.value)).unwrap();
            let append = "INSERT INTO log (seq, link, record) VALUES (?1, ?2, ?3)";
            self.connection.prepare_cached(append).unwrap().execute((self.seq, [0_u8; 32], &self.record)).unwrap();
        }
        run("COMMIT");
    }

    fn measure(&mut self, at_once: usize, span: Duration) -> (f64, f64) {
        let cpu = stand::own_cpu();
        let (count, took) = stand::for_a_while(span, || self.transact(at_once));
        let count = (count * at_once as u64) as f64;
        (count / took.as_secs_f64(), (stand::own_cpu() - cpu) * 1e6 / count)
    }
}

fn main() {
    let (rounds, span) = (stand::setting("BARTIZAN_BENCH_ROUNDS", 7), stand::setting("BARTIZAN_BENCH_MILLIS", 1000));
    let span = Duration::from_millis(span);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let dir = stand::dir();
    let store = Arc::new(meta::Sqlite::open(dir.path(), Arc::new(Sha256Chain)).unwrap());
    let home = runtime.block_on(async {
        let home = Home::over(store, Arc::new(blob::Memory::new()), dir.path()).await;
        change(&home).await;
        Arc::new(home)
    });
    let mut bare = Bare::like(&dir.path().join("meta.sqlite"), dir.path());
    println!(
        "durable changes a second, {rounds} interleaved rounds of {} ms; rows of {} and {} sealed bytes",
        span.as_millis(),
        bare.value.len(),
        bare.record.len()
    );
    for writers in [1, WRITERS] {
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (rate, cpu) = runtime.block_on(through_the_gate(&home, writers, span));
            let (bare_rate, bare_cpu) = bare.measure(writers, span);
            ours.push((rate, cpu));
            theirs.push((bare_rate, bare_cpu));
            ratios.push(100.0 * rate / bare_rate);
        }
        let report = |name: &str, rounds: &[(f64, f64)]| {
            let (least, median) = stand::least_and_median(rounds.iter().map(|round| round.0).collect());
            let (cpu, _) = stand::least_and_median(rounds.iter().map(|round| round.1).collect());
            println!("  {name:<44} median {median:>8.0}/s  least {least:>8.0}/s  CPU {cpu:>6.1} µs each");
        };
        let group = if writers == 1 { "each its own transaction" } else { "32 in one transaction" };
        report(&format!("gate, {writers} concurrent writers"), &ours);
        report(&format!("SQLite alone, {group}"), &theirs);
        let (least, median) = stand::least_and_median(ratios);
        let verdict = if median >= 70.0 { "reached" } else { "MISSED" };
        println!("  ratio {median:.0} % (least {least:.0} %); target 70 %: {verdict}");
    }
    runtime.block_on(home.house.flush_reads()).unwrap();
}
