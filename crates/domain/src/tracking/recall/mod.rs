//! Opened runs that are kept in memory between searches, so that a search opens only what changed since the last one.
//!
//! They are kept by experiment. A house knows which rows its own commits touch; that somebody else wrote to the same store it
//! sees by the log's newest number (the gate's `Tide`), and then looks through the stored rows for those that differ.
//! Memory is bounded for the whole house: what was asked for longest ago goes first, and an experiment that alone exceeds the bound
//! is searched row by row as if nothing were kept.
//!
//! **Invariant:** what is kept goes with the key that opened it: when a workspace's key is made anew, destroyed, laid to rest or
//! locked by its holder, nothing of it stays. Nothing is kept of workspaces of high business impact. A search that is under way in
//! such a moment may not keep anything by what it knew before: the moments are counted (`epoch`).

mod fresh;
mod rows;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use kernel::{Change, Timestamp};
use uuid::Uuid;

pub(super) use fresh::{Moment, begin, recall};
pub(super) use rows::Kept;
use rows::{Key, Rows, Table};

use super::{Run, RunLinks, metric::Heads};
use crate::gate::{Record, Shelf};

/// Bytes kept at most, of all workspaces together.
const MOST: usize = 256 << 20;
/// What nobody searched for so long goes.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// Rows of an experiment that this house wrote since it was searched; beyond that nothing of it is kept.
const MOST_TOUCHED: usize = 100_000;
/// How long an experiment that does not fit is not tried again.
const AGAIN: Duration = Duration::from_secs(10 * 60);

/// Tables whose rows are kept: whatever changes them has its record in the log.
pub(crate) const TABLES: &[&str] = &[Run::TABLE, Heads::TABLE, RunLinks::TABLE];

/// Which experiment: the shelf's id and the experiment's row id.
type Place = ([u8; 16], Key);

/// What is kept.
pub(crate) struct Recall {
    slots: Mutex<HashMap<Place, Arc<Slot>>>,
    bytes: AtomicUsize,
    most: AtomicUsize,
    /// Another's newest number of the log, up to which keys were looked at.
    pub(crate) looked: AtomicU64,
    /// How often something had to go since it may not be kept any more; counted with `slots` held.
    epoch: AtomicU64,
}

impl Default for Recall {
    fn default() -> Self {
        Self {
            slots: Mutex::default(),
            bytes: AtomicUsize::new(0),
            most: AtomicUsize::new(MOST),
            looked: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
        }
    }
}

/// One experiment.
pub(super) struct Slot {
    place: Place,
    /// The workspace's row, which says whether anything may be kept.
    workspace: Arc<[u8]>,
    /// Held so that the key's holder is asked as long as anything is kept, and to see that it was locked.
    shelf: Shelf,
    rows: RwLock<Rows>,
    bytes: AtomicUsize,
    used_at: AtomicI64,
    /// Not tried again before.
    outgrown_until: AtomicI64,
    /// Rows that this house wrote since they were read, and when in the order of writes.
    touched: Mutex<Touched>,
    /// Through which number of the log everything of others is in it. Held by whoever brings it up to date.
    turn: tokio::sync::Mutex<Option<u64>>,
}

#[derive(Default)]
struct Touched {
    stamp: u64,
    rows: HashMap<(Table, Key), u64>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    fn new(place: Place, workspace: Arc<[u8]>, shelf: Shelf, now: Timestamp) -> Self {
        Self {
            place,
            workspace,
            shelf,
            rows: RwLock::default(),
            bytes: AtomicUsize::new(0),
            used_at: AtomicI64::new(now.0),
            outgrown_until: AtomicI64::new(i64::MIN),
            touched: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn rows(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are touched.
    fn touch(&self, table: Table, key: Key) -> usize {
        let mut touched = locked(&self.touched);
        touched.stamp = touched.stamp.wrapping_add(1);
        let stamp = touched.stamp;
        touched.rows.insert((table, key), stamp);
        touched.rows.len()
    }

    /// What was touched until now.
    fn touched(&self) -> Vec<((Table, Key), u64)> {
        let mut all: Vec<_> = locked(&self.touched).rows.iter().map(|(row, stamp)| (*row, *stamp)).collect();
        // A run before what lies beside it.
        all.sort_unstable();
        all
    }

    /// These were read since; what was touched again meanwhile stays.
    fn settled(&self, read: &[((Table, Key), u64)]) {
        let mut touched = locked(&self.touched);
        for (row, stamp) in read {
            if touched.rows.get(row) == Some(stamp) {
                touched.rows.remove(row);
            }
        }
    }
}

impl Recall {
    /// To be asked before the workspace is read.
    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The slot of an experiment; none for one that is known not to fit, and none when something had to go since the workspace was
    /// read: it may have been this.
    fn slot(&self, shelf: &Shelf, place: Place, moment: &Moment, now: Timestamp) -> Option<Arc<Slot>> {
        let mut slots = locked(&self.slots);
        if self.epoch() != moment.epoch {
            return None;
        }
        let slot = slots
            .entry(place)
            .or_insert_with(|| Arc::new(Slot::new(place, Arc::clone(&moment.workspace), shelf.clone(), now)));
        slot.used_at.store(now.0, Ordering::Relaxed);
        (slot.outgrown_until.load(Ordering::Relaxed) <= now.0).then(|| Arc::clone(slot))
    }

    /// Whether a slot is still the one that is kept: it may have been forgotten meanwhile.
    fn holds(&self, slot: &Arc<Slot>) -> bool {
        locked(&self.slots).get(&slot.place).is_some_and(|held| Arc::ptr_eq(held, slot))
    }

    /// Counts what a slot takes now, and makes room. Whether it fits.
    fn weigh(&self, slot: &Arc<Slot>, now: Timestamp) -> bool {
        let bytes = slot.rows().bytes().saturating_add(size_of::<Slot>());
        let mut slots = locked(&self.slots);
        if !slots.get(&slot.place).is_some_and(|held| Arc::ptr_eq(held, slot)) {
            return false;
        }
        let before = slot.bytes.swap(bytes, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes.fetch_sub(before, Ordering::Relaxed);
        let most = self.most.load(Ordering::Relaxed);
        if bytes > most {
            let outgrown = Slot::new(slot.place, Arc::clone(&slot.workspace), slot.shelf.clone(), now);
            outgrown.outgrown_until.store(now.plus(AGAIN).0, Ordering::Relaxed);
            slots.insert(slot.place, Arc::new(outgrown));
            self.released(slot);
            return false;
        }
        while self.bytes.load(Ordering::Relaxed) > most {
            let others = slots.values().filter(|other| other.place != slot.place);
            let Some(oldest) = others.min_by_key(|other| other.used_at.load(Ordering::Relaxed)).cloned() else { break };
            slots.remove(&oldest.place);
            self.released(&oldest);
        }
        true
    }

    /// A slot is kept no more. Its rows are left as they are: a search may be looking at them, and takes them with it at its end.
    fn released(&self, slot: &Slot) {
        self.bytes.fetch_sub(slot.bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }

    fn forget(&self, goes: impl Fn(&Slot) -> bool) {
        self.remove(&mut locked(&self.slots), goes);
    }

    /// The same for what may not be kept any more. Searches that are under way may have learnt before that it might.
    fn revoke(&self, goes: impl Fn(&Slot) -> bool) {
        let mut slots = locked(&self.slots);
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.remove(&mut slots, goes);
    }

    fn remove(&self, slots: &mut HashMap<Place, Arc<Slot>>, goes: impl Fn(&Slot) -> bool) {
        let gone: Vec<Place> = slots.values().filter(|slot| goes(slot)).map(|slot| slot.place).collect();
        for place in gone {
            if let Some(slot) = slots.remove(&place) {
                self.released(&slot);
            }
        }
    }

    /// Drops what shelves with these GUIDs hold.
    pub(crate) fn forget_shelves(&self, ids: &[Vec<u8>]) {
        self.revoke(|slot| ids.iter().any(|id| *id == slot.place.0));
    }

    /// Drops what customers' keys opened that may not be used any more.
    pub(crate) fn forget_locked(&self) {
        self.revoke(|slot| slot.shelf.is_locked());
    }

    /// Drops what nobody searched for a while.
    pub(crate) fn forget_idle(&self, now: Timestamp) {
        self.forget(|slot| Timestamp(slot.used_at.load(Ordering::Relaxed)).plus(IDLE) < now);
    }

    /// The GUIDs of workspaces of which something is kept, and their row ids.
    pub(crate) fn workspaces(&self) -> Vec<(Uuid, Arc<[u8]>)> {
        let slots = locked(&self.slots);
        let mut all: Vec<_> =
            slots.values().map(|slot| (Uuid::from_bytes(slot.place.0), Arc::clone(&slot.workspace))).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// This house wrote these rows: they are read again before they are searched.
    pub(crate) fn touch(&self, rows: &[Touch]) {
        for Touch { place, table, key } in rows {
            let slot = locked(&self.slots).get(place).cloned();
            if slot.is_some_and(|slot| slot.touch(*table, *key) > MOST_TOUCHED) {
                self.forget(|slot| slot.place == *place);
            }
        }
    }

    /// Bytes kept, and experiments.
    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize) {
        (
            self.bytes.load(Ordering::Relaxed),
            locked(&self.slots).values().filter(|slot| !slot.rows().rows.is_empty()).count(),
        )
    }

    /// Another bound.
    #[cfg(test)]
    pub(crate) fn bound(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }
}

/// A row that is kept where its experiment is, and that a commit changes.
pub(crate) struct Touch {
    place: Place,
    table: Table,
    key: Key,
}

impl Touch {
    /// Those among the changes of a commit.
    pub(crate) fn of(changes: &[Change]) -> Vec<Self> {
        changes.iter().filter_map(|change| Self::parse(change.key())).collect()
    }

    /// From `table ‖ 0 ‖ shelf ‖ experiment ‖ run`; none for what is not kept.
    fn parse(key: &[u8]) -> Option<Self> {
        let tables = [(Run::TABLE, Table::Runs), (Heads::TABLE, Table::Heads), (RunLinks::TABLE, Table::Links)];
        tables.into_iter().find_map(|(name, table)| {
            let rest = key.strip_prefix(name.as_bytes())?.strip_prefix(&[0])?;
            let (shelf, rest) = rest.split_first_chunk::<16>()?;
            let (experiment, rest) = rest.split_first_chunk::<16>()?;
            Some(Self { place: (*shelf, *experiment), table, key: Key::try_from(rest).ok()? })
        })
    }
}
