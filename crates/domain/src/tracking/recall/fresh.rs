//! Bringing what is kept up to date before it is searched.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLockWriteGuard},
};

use kernel::{Kind, ResourceId, Result};

use super::{
    Slot,
    rows::{Key, Rows, Table},
};
use crate::{
    gate::{Admission, Record, Shelf, Stored},
    resources::workspace_shelf,
    tracking::{Run, RunLinks, experiment, metric::Heads, scan::STRIDE},
};

/// More touched rows than this and looking through all of them is no slower.
const MANY: usize = 5000;

/// By what a search knows that it may keep runs in memory, and how fresh they have to be.
pub(in crate::tracking) struct Moment {
    pub(super) epoch: u64,
    pub(super) workspace: Arc<[u8]>,
    /// The newest number of the log.
    head: u64,
}

impl Moment {
    /// Whether something had to go since.
    pub(in crate::tracking) fn is_over(&self, cx: &Admission<'_>) -> bool {
        cx.house().recall.epoch() != self.epoch
    }
}

/// A workspace's shelf, and the moment at which its runs may be kept. None where they may not: nothing that is of high business impact
/// stays in memory after the search.
///
/// # Errors
/// As [`workspace_shelf`].
pub(in crate::tracking) async fn begin(cx: &Admission<'_>, workspace: &ResourceId) -> Result<(Shelf, Option<Moment>)> {
    let recall = &cx.house().recall;
    // First of all: what has to go from here on is not kept by what is read below.
    let epoch = recall.epoch();
    let (shelf, row) = workspace_shelf(cx, workspace).await?;
    if row.value.properties.hbi {
        recall.forget_shelves(&[shelf.id().to_vec()]);
        return Ok((shelf, None));
    }
    let (head, _) = cx.house().log_head().await?;
    Ok((shelf, Some(Moment { epoch, workspace: row.id.into(), head })))
}

/// The runs of an experiment as they are now, or were at the moment that is given. None where they are not kept: they are to be read
/// row by row.
///
/// # Errors
/// What reading the store says. Nothing is kept then.
pub(in crate::tracking) async fn recall(
    cx: &Admission<'_>,
    shelf: &Shelf,
    experiment: &str,
    moment: &Moment,
) -> Result<Option<Arc<Slot>>> {
    let (house, prefix) = (cx.house(), experiment::row_id(shelf, experiment));
    let Ok(id) = Key::try_from(prefix.as_slice()) else { return Ok(None) };
    let Some(slot) = house.recall.slot(shelf, (*shelf.id(), id), moment, cx.now()) else { return Ok(None) };
    let outcome = refresh(cx, &slot, &prefix, moment.head).await;
    if outcome.is_err() {
        house.recall.forget(|held| held.place == slot.place);
    }
    // It may have been forgotten meanwhile, with the key that opened it.
    if !outcome? || !house.recall.holds(&slot) {
        return Ok(None);
    }
    cx.charge_kept(shelf, slot.rows().bytes());
    Ok(Some(slot))
}

async fn refresh(cx: &Admission<'_>, slot: &Arc<Slot>, prefix: &[u8], head: u64) -> Result<bool> {
    let mut synced = slot.turn.lock().await;
    let recall = &cx.house().recall;
    let known = synced.unwrap_or(0);
    let foreign = if synced.is_some() { cx.house().tide.foreign(head, known).await } else { head };
    let touched = slot.touched();
    let update = Update { cx, slot, prefix };
    if synced.is_none() || foreign > known || touched.len() > MANY {
        *synced = None;
        for table in [Table::Runs, Table::Heads, Table::Links] {
            let fits = match table {
                Table::Runs => update.look_through::<Run>(table).await?,
                Table::Heads => update.look_through::<Heads>(table).await?,
                Table::Links => update.look_through::<RunLinks>(table).await?,
            };
            if !fits {
                return Ok(false);
            }
        }
        // What own commits brought is known from here on by being touched.
        *synced = Some(head.max(known));
    } else {
        for ((table, key), _) in &touched {
            match table {
                Table::Runs => update.read::<Run>(*table, key).await?,
                Table::Heads => update.read::<Heads>(*table, key).await?,
                Table::Links => update.read::<RunLinks>(*table, key).await?,
            }
        }
    }
    slot.settled(&touched);
    Ok(touched.is_empty() || recall.weigh(slot, cx.now()))
}

/// A record of which a part is kept.
trait Packed: Record {
    fn put(rows: &mut Rows, key: Key, mark: u64, row: crate::gate::Row<Self>);
}

impl Packed for Run {
    fn put(rows: &mut Rows, key: Key, mark: u64, row: crate::gate::Row<Self>) {
        rows.put_run(key, mark, row);
    }
}

impl Packed for Heads {
    fn put(rows: &mut Rows, key: Key, mark: u64, row: crate::gate::Row<Self>) {
        rows.put_heads(&key, mark, Some(row.value));
    }
}

impl Packed for RunLinks {
    fn put(rows: &mut Rows, key: Key, mark: u64, row: crate::gate::Row<Self>) {
        rows.put_links(&key, mark, Some(&row.value));
    }
}

struct Update<'a> {
    cx: &'a Admission<'a>,
    slot: &'a Arc<Slot>,
    prefix: &'a [u8],
}

impl Update<'_> {
    fn rows(&self) -> RwLockWriteGuard<'_, Rows> {
        self.slot.rows.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one row again.
    async fn read<T: Packed>(&self, table: Table, key: &Key) -> Result<()> {
        let id = [self.prefix, key].concat();
        match self.cx.stored::<T>(&self.slot.shelf, &id).await? {
            Some(stored) => self.put::<T>(&stored, *key),
            None => {
                self.rows().remove(table, key);
                Ok(())
            }
        }
    }

    fn put<T: Packed>(&self, stored: &Stored, key: Key) -> Result<()> {
        let row = stored.open::<T>(&self.slot.shelf)?;
        T::put(&mut self.rows(), key, stored.mark(), row);
        Ok(())
    }

    /// Looks through all stored rows and opens those that differ from what is kept. Whether all of it fits.
    async fn look_through<T: Packed>(&self, table: Table) -> Result<bool> {
        let recall = &self.cx.house().recall;
        let mut gone: HashSet<Key> = self.slot.rows().keys(table);
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.cx.stored_page::<T>(&self.slot.shelf, self.prefix, after.as_deref(), STRIDE).await?;
            for stored in &page {
                let Some(key) = stored.id.get(self.prefix.len()..).and_then(|key| Key::try_from(key).ok()) else {
                    return Err(kernel::Error::new(Kind::Internal, "a row beside a run has another id than the run"));
                };
                gone.remove(&key);
                if self.slot.rows().mark(table, &key) != stored.mark() {
                    self.put::<T>(stored, key)?;
                }
            }
            let was_last = page.len() < STRIDE;
            after = page.into_iter().next_back().map(|stored| stored.id);
            if !recall.weigh(self.slot, self.cx.now()) {
                return Ok(false);
            }
            if was_last {
                break;
            }
        }
        let mut rows = self.rows();
        gone.iter().for_each(|key| rows.remove(table, key));
        Ok(true)
    }
}
