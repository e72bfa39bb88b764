//! Read, decide, commit; again when somebody else wrote in between. Writers within this process queue for what they contend
//! for, so that only other servers make an attempt stale.

use std::{
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
};

use kernel::{Error, Kind, Result};
use tokio::sync::{Mutex, MutexGuard};

use crate::gate::{Cx, Op};

/// Attempts before a writer is asked to come back later.
pub(super) const MOST: usize = 8;

static QUEUES: [Mutex<()>; 128] = [const { Mutex::const_new(()) }; 128];

/// An operation whose whole meaning is one read-decide-commit.
pub(super) trait Attempt: Op + Sync {
    /// What its writers contend for, within the workspace.
    fn contends_for(&self) -> String;
    /// One attempt; `Stale` when it lost.
    fn attempt(&self, cx: &Cx<'_, Self>) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// Runs attempts until one is not stale.
pub(super) async fn settle<O: Attempt>(op: &O, cx: &Cx<'_, O>) -> Result<O::Output> {
    let _turn = turn(&format!("{}|{}", cx.scope(), op.contends_for())).await;
    for _ in 0..MOST {
        cx.begin_attempt();
        match op.attempt(cx).await {
            Err(fault) if fault.kind() == Kind::Stale => {}
            done => return done,
        }
    }
    Err(too_busy())
}

/// Waits for the turn among those who contend for the same. Unrelated names may share a queue: that costs time, never
/// correctness, and nobody waits in two queues.
pub(super) async fn turn(name: &str) -> MutexGuard<'static, ()> {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let count = u64::try_from(QUEUES.len()).unwrap_or(1);
    let at = usize::try_from(hasher.finish() % count).unwrap_or(0);
    match QUEUES.get(at).or(QUEUES.first()) {
        Some(queue) => queue.lock().await,
        None => FALLBACK.lock().await,
    }
}

static FALLBACK: Mutex<()> = Mutex::const_new(());

pub(super) fn too_busy() -> Error {
    Error::new(Kind::Throttled, "too many writers change the same thing at once; try again")
}
