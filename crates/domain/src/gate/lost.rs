//! What the store of blobs holds and no row names: found by reading every row there is.
//!
//! No table is asked which of its fields name objects: whatever looks like an object's id, in whichever row, keeps that object. A
//! table that somebody forgot would be data that is lost.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use kernel::{BlobId, Error, Kind, Result, Versioned};
use uuid::Uuid;

use super::{
    Admission, Changes, House, Shelf,
    keys::{OwnKeyring, ROOT_KEY, RestingKeyring},
};

/// Rows that are read at once.
const PAGE: usize = 500;
/// Characters of an id.
const ID: usize = 36;

/// Objects on trial: those that nothing named so far. Whoever commits meanwhile takes out what they name.
#[derive(Default)]
pub(crate) struct Suspects {
    ids: Mutex<Option<BTreeSet<BlobId>>>,
    /// Whoever tries objects waits here: two at once would put back what the other has acquitted.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Suspects {
    fn held(&self) -> MutexGuard<'_, Option<BTreeSet<BlobId>>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with these. From now on every commit is looked at.
    pub(crate) fn begin(&self, ids: BTreeSet<BlobId>) {
        *self.held() = Some(ids);
    }

    /// Those that nothing named.
    pub(crate) fn end(&self) -> BTreeSet<BlobId> {
        self.held().take().unwrap_or_default()
    }

    /// Those that nothing named so far, in order.
    pub(crate) fn left(&self) -> Vec<BlobId> {
        self.held().iter().flatten().copied().collect()
    }

    /// Whether one of them is named by nothing still.
    pub(crate) fn holds(&self, id: BlobId) -> bool {
        self.held().as_ref().is_some_and(|ids| ids.contains(&id))
    }

    fn clear(&self, plain: &[u8]) {
        if let Some(ids) = self.held().as_mut() {
            for id in ids_in(plain) {
                ids.remove(&id);
            }
        }
    }

    /// Looks at what is about to be committed.
    pub(super) fn clear_named(&self, changes: &Changes) {
        if self.held().is_some() {
            changes.plain().for_each(|plain| self.clear(plain));
        }
    }
}

/// Everything in a row that looks like an object's id.
fn ids_in(plain: &[u8]) -> impl Iterator<Item = BlobId> + '_ {
    let has_hyphens = |text: &&[u8]| [8, 13, 18, 23].iter().all(|at| text.get(*at) == Some(&b'-'));
    plain.windows(ID).filter(has_hyphens).filter_map(|text| std::str::from_utf8(text).ok()?.parse().ok())
}

impl Admission<'_> {
    /// At most `limit` ids of stored objects greater than `after`, in order.
    pub(crate) async fn stored_objects(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>> {
        Ok(self.house().blobs().list(after, limit).await?)
    }

    /// Removes an object that no row names.
    pub(crate) async fn remove_object(&self, id: BlobId) -> Result<()> {
        Ok(self.house().blobs().delete(id).await?)
    }

    /// Takes out of the suspects whatever any row names.
    ///
    /// # Errors
    /// When one row cannot be opened: a key that a customer has taken away for now, damage. Then nothing is known of anything. What
    /// lies under a key that was destroyed cannot be opened by anybody ever again, and names nothing.
    pub(crate) async fn clear_suspects(&self, suspects: &Suspects) -> Result<()> {
        let house = self.house();
        let mut shelves: HashMap<Uuid, Option<Shelf>> = HashMap::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = house.meta().scan(b"", after.as_deref(), PAGE).await?;
            let is_last = rows.len() < PAGE;
            for row in &rows {
                clear_row(house, row, &mut shelves, suspects).await?;
            }
            after = rows.last().map(|row| row.key.to_vec());
            if is_last {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn clear_row(
    house: &House,
    row: &Versioned,
    shelves: &mut HashMap<Uuid, Option<Shelf>>,
    suspects: &Suspects,
) -> Result<()> {
    if row.key == ROOT_KEY {
        return Ok(());
    }
    let strange = || Error::internal("a row whose key is not of a table and a shelf");
    let end = row.key.iter().position(|byte| *byte == 0).ok_or_else(strange)?;
    let (table, rest) = row.key.split_at_checked(end).ok_or_else(strange)?;
    let table = std::str::from_utf8(table).map_err(|_| strange())?;
    let (shelf, id) = rest.get(1..).and_then(|rest| rest.split_at_checked(16)).ok_or_else(strange)?;
    let shelf = Uuid::from_slice(shelf).map_err(|_| strange())?;
    let shelf = match shelves.entry(shelf) {
        std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
        std::collections::hash_map::Entry::Vacant(free) => {
            let found = shelf_of(house, shelf).await;
            if let Err(fault) = &found {
                tracing::warn!(%shelf, ?fault, "a shelf could not be opened: what nothing names is not known");
            }
            free.insert(found?)
        }
    };
    if let Some(shelf) = shelf {
        suspects.clear(shelf.open_any(table, id, row)?.expose());
    }
    Ok(())
}

/// A shelf, also of what was deleted and can be had back; none when its key was destroyed.
async fn shelf_of(house: &House, id: Uuid) -> Result<Option<Shelf>> {
    if *id.as_bytes() == Shelf::SYSTEM {
        return Ok(Some(house.system().clone()));
    }
    let mut unopened = None;
    // Twice: what is recovered between two looks is in neither place.
    for _ in 0..2 {
        let fault = match house.shelf(id).await {
            Ok(shelf) => return Ok(Some(shelf)),
            Err(fault) if fault.kind() == Kind::NotFound => fault,
            Err(fault) => return Err(fault),
        };
        if let Some(resting) = house.peek::<RestingKeyring>(house.system(), id.as_bytes()).await? {
            let ring = resting.value.0.open(house, id).await?;
            // In a place of its own: in the one that all holders share, this ring would replace a newer one of whoever recovers it
            // meanwhile.
            return Ok(Some(Shelf::new(*id.as_bytes(), Arc::new(ArcSwap::new(ring)))));
        }
        // `NotFound` means that the key was destroyed only where its row is gone too: that something else which it takes to open one
        // is not there now is no end of what lies under it.
        let is_there = house.peek::<OwnKeyring>(house.system(), id.as_bytes()).await?.is_some();
        unopened = is_there.then_some(fault);
    }
    unopened.map_or(Ok(None), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_looks_like_an_id_is_one() {
        let (one, two) = (BlobId::random(), BlobId::random());
        let plain =
            format!("\u{1}{{\"blob\":{{\"id\":\"{one}\"}},\"note\":\"see {two}, or \\\"{one}\\\"\",\"x\":\"ü-ü\"}}");
        assert_eq!(ids_in(plain.as_bytes()).collect::<Vec<_>>(), [one, two, one]);
        assert_eq!(ids_in(b"").count() + ids_in(&[b'-'; 80]).count() + ids_in(&[0xff; 80]).count(), 0);
        let suspects = Suspects::default();
        suspects.begin(BTreeSet::from([one, two]));
        suspects.clear(format!("[\"{one}\"]").as_bytes());
        assert_eq!(suspects.end(), BTreeSet::from([two]));
        assert!(!suspects.holds(two), "the trial is over");
    }
}
