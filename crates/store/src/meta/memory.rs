//! Metadata in memory: the whole contract, nothing kept.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use kernel::{Batch, Chain, Change, Link, LogRow, MetaStore, Sealed, StoreError, StoreResult, Versioned};

use super::{bounds, cuttable, well_formed};

/// Keeps metadata and the activity log in memory.
pub struct Memory {
    chain: Arc<dyn Chain>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    values: BTreeMap<Bytes, (u64, Sealed)>,
    log: Vec<LogRow>,
}

impl Memory {
    /// An empty store whose log is linked by `chain`.
    pub fn new(chain: Arc<dyn Chain>) -> Self {
        Self { chain, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn version(&self, key: &[u8]) -> u64 {
        self.values.get(key).map_or(0, |(version, _)| *version)
    }

    fn head(&self) -> (u64, Link) {
        self.log.last().map_or((0, [0; 32]), |row| (row.seq, row.link))
    }

    fn holds(&self, change: &Change) -> bool {
        let stored = self.version(change.key());
        match change {
            Change::Put { version, .. } => stored.checked_add(1) == Some(*version),
            Change::Reseal { version, .. } | Change::Delete { version, .. } => stored == *version,
        }
    }

    fn apply(&mut self, chain: &dyn Chain, batch: Batch) -> StoreResult<u64> {
        well_formed(&batch)?;
        if let Some(change) = batch.changes.iter().position(|change| !self.holds(change)) {
            return Err(StoreError::Stale { change });
        }
        for change in batch.changes {
            match change {
                Change::Put { key, version, value } | Change::Reseal { key, version, value } => {
                    self.values.insert(key, (version, value))
                }
                Change::Delete { key, .. } => self.values.remove(&key),
            };
        }
        let mut last = 0;
        for record in batch.records {
            let (seq, previous) = self.head();
            last = seq.saturating_add(1);
            let link = chain.link(&previous, last, &record);
            self.log.push(LogRow { seq: last, link, record });
        }
        Ok(last)
    }
}

#[async_trait]
impl MetaStore for Memory {
    async fn get(&self, key: &[u8]) -> StoreResult<Option<Versioned>> {
        let found = self.state().values.get_key_value(key).map(versioned);
        Ok(found)
    }

    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> StoreResult<Vec<Versioned>> {
        let (lower, upper) = bounds(prefix, after);
        let upper = upper.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        if matches!(upper, Bound::Excluded(end) if end <= lower.as_slice()) {
            return Ok(Vec::new());
        }
        let state = self.state();
        let range = state.values.range::<[u8], _>((Bound::Included(lower.as_slice()), upper));
        Ok(range.take(limit).map(versioned).collect())
    }

    async fn commit(&self, batch: Batch) -> StoreResult<u64> {
        self.state().apply(self.chain.as_ref(), batch)
    }

    async fn commit_cut(&self, batch: Batch, through: u64) -> StoreResult<u64> {
        cuttable(&batch)?;
        let mut state = self.state();
        let last = state.apply(self.chain.as_ref(), batch)?;
        state.log.retain(|row| row.seq > through);
        Ok(last)
    }

    async fn log(&self, from: u64, limit: usize) -> StoreResult<Vec<LogRow>> {
        let state = self.state();
        let first = state.log.partition_point(|row| row.seq < from);
        Ok(state.log.iter().skip(first).take(limit).cloned().collect())
    }

    async fn log_head(&self) -> StoreResult<(u64, Link)> {
        Ok(self.state().head())
    }

    async fn check(&self) -> StoreResult<()> {
        Ok(())
    }
}

fn versioned((key, (version, value)): (&Bytes, &(u64, Sealed))) -> Versioned {
    Versioned { key: key.clone(), version: *version, value: value.clone() }
}
