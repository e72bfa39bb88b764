//! A program in its jail, from its first line to its last: output, limits, and the reasons to end it.

use std::{future::Future, path::Path, time::Duration};

use bytes::Bytes;
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    sync::watch,
    time::{Instant, interval, sleep, sleep_until},
};

use super::{
    heartbeat::{Stop, stopped},
    logs::Log,
};
use crate::jail::{Ending, Jail};

/// How long a program may take to end itself after it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How often memory is looked at where no control group does it.
const LOOK: Duration = Duration::from_millis(250);
/// What is read from a program at once.
const PIECE: usize = 32 << 10;

/// Why a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// By itself.
    Itself,
    /// Somebody asked for it.
    Stopped(Stop),
    /// It used up its time.
    Time,
    /// It used up its memory.
    Memory,
}

/// Bounds that are held from outside the jail.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Wall-clock time.
    pub time: Option<Duration>,
    /// Memory of all processes together, where no control group bounds it.
    pub memory_bytes: Option<u64>,
}

/// Waits for the program's end, or brings it about. Returns when nothing of the jail runs any more.
pub async fn supervise(jail: &mut Jail, stop: &mut watch::Receiver<Stop>, bounds: Bounds) -> (Cause, Ending) {
    let deadline = bounds.time.map(|time| Instant::now() + time);
    let stage = jail.stage_id();
    let cause = tokio::select! {
        biased;
        ending = jail.ended() => return (Cause::Itself, ending),
        reason = stopped(stop) => Cause::Stopped(reason),
        () = maybe(deadline.map(sleep_until)) => Cause::Time,
        () = maybe(bounds.memory_bytes.zip(stage).map(|(most, stage)| exceeds(stage, most))) => Cause::Memory,
    };
    if cause == Cause::Memory {
        jail.kill();
    } else {
        jail.terminate();
    }
    tokio::select! {
        biased;
        ending = jail.ended() => return (cause, ending),
        () = sleep(GRACE) => jail.kill(),
    }
    (cause, jail.ended().await)
}

/// Carries the program's output to its log until the program and all it started are gone.
pub async fn carry(mut output: pipe::Receiver, log: Log) {
    let mut piece = vec![0; PIECE];
    loop {
        match output.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(count) => log.write(Bytes::copy_from_slice(piece.get(..count).unwrap_or_default())).await,
        }
    }
}

async fn maybe(future: Option<impl Future<Output = ()>>) {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Returns when the processes below `stage` hold more than `most` bytes of memory together.
async fn exceeds(stage: u32, most: u64) {
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        // Resident pages that processes share after a fork count once for each; only when that sum is too high is the
        // exact share of each asked for, which costs a walk through its page tables.
        if used(stage, 0, resident) > most && used(stage, 0, share) > most {
            return;
        }
    }
}

/// Memory that a process and its children hold, by a measure of one process.
fn used(process: u32, depth: u32, measure: fn(&str) -> u64) -> u64 {
    if depth > 64 {
        return 0;
    }
    let base = format!("/proc/{process}");
    let mut total = measure(&base);
    let Ok(tasks) = std::fs::read_dir(Path::new(&base).join("task")) else { return total };
    for task in tasks.flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            total = total.saturating_add(used(child, depth + 1, measure));
        }
    }
    total
}

/// Pages of its own and of memory files that are resident.
fn resident(base: &str) -> u64 {
    sum(&format!("{base}/status"), &["RssAnon:", "RssShmem:"])
}

/// The same, each page divided by how many processes share it.
fn share(base: &str) -> u64 {
    sum(&format!("{base}/smaps_rollup"), &["Pss_Anon:", "Pss_Shmem:"])
}

fn sum(file: &str, names: &[&str]) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
    let kibibytes: u64 = lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum();
    kibibytes.saturating_mul(1024)
}
