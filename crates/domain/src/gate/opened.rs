//! What the house's keyrings have opened: shelves ready for use, and those of them that a customer's key opened, which are watched.

use std::{collections::HashMap, time::Duration};

use kernel::{Error, Result, Timestamp};
use uuid::Uuid;

use super::{Shelf, shelf::Latch};
use crate::customer_keys::{CustomerKey, Refusal};

/// How long a shelf is used after its customer's key was last known to be allowed. The server's own work asks more often; this
/// holds when that work is stuck, or nothing can be found out.
const TRUSTED: Duration = Duration::from_secs(45);
/// How long a refusal is believed, so that whoever asks often does not fill the log.
const AGAIN: Duration = Duration::from_secs(5);

/// Shelves that were opened, and how often all of them were forgotten: one that was read before a key was destroyed must not be
/// kept after it.
#[derive(Default)]
pub(super) struct Opened {
    shelves: HashMap<Uuid, Shelf>,
    /// What a customer's key opened, for as long as anybody holds it; forgetting the shelves does not end that.
    watched: HashMap<Uuid, Watched>,
    /// What a customer's key did not open just now, and until when that is not tried again.
    refused: HashMap<Uuid, (Timestamp, Refusal)>,
    pub(super) generation: u64,
}

struct Watched {
    key: CustomerKey,
    /// When the key was last known to be allowed.
    known_at: Timestamp,
    /// Shared by all who hold the shelf.
    latch: Latch,
}

impl Watched {
    fn is_trusted(&self, now: Timestamp) -> bool {
        now < self.known_at.plus(TRUSTED)
    }
}

impl Opened {
    /// A shelf that may be used now, or the refusal that is believed still; none when it has to be opened.
    pub(super) fn ready(&self, id: Uuid, now: Timestamp) -> Option<Result<Shelf>> {
        if let Some(shelf) = self.shelves.get(&id)
            && self.watched.get(&id).is_none_or(|watched| watched.is_trusted(now))
        {
            return Some(Ok(shelf.clone()));
        }
        let (until, refusal) = self.refused.get(&id)?;
        (now < *until).then(|| Err(refusal.error()))
    }

    /// Keeps a shelf that was opened just now, by this customer's key if it was one. Gives it as it is to be used.
    pub(super) fn keep(&mut self, id: Uuid, shelf: Shelf, key: Option<&CustomerKey>, now: Timestamp) -> Shelf {
        self.refused.remove(&id);
        let before = self.watched.remove(&id);
        let shelf = match key {
            None => shelf,
            Some(key) => {
                let latch = before.map(|before| before.latch).filter(|latch| !latch.is_locked()).unwrap_or_default();
                self.watched.insert(id, Watched { key: key.clone(), known_at: now, latch: latch.clone() });
                shelf.behind(latch)
            }
        };
        self.shelves.insert(id, shelf.clone());
        shelf
    }

    /// A shelf could not be opened. Whether something that was open is closed by that.
    pub(super) fn failed(&mut self, id: Uuid, fault: &Error, now: Timestamp) -> bool {
        match Refusal::of(fault) {
            Some(refusal) => {
                self.refused.insert(id, (now.plus(AGAIN), refusal));
                self.close(id)
            }
            // That it cannot be found out says nothing of the key, until the trust has run out.
            None if self.watched.get(&id).is_some_and(|watched| !watched.is_trusted(now)) => self.close(id),
            None => false,
        }
    }

    /// Forgets a shelf, and locks it for whoever holds it still.
    fn close(&mut self, id: Uuid) -> bool {
        let had = self.shelves.remove(&id).is_some();
        match self.watched.remove(&id) {
            Some(watched) => {
                watched.latch.lock();
                true
            }
            None => had,
        }
    }

    /// What customers' keys opened and somebody holds, with those keys.
    pub(super) fn held(&mut self) -> Vec<(Uuid, CustomerKey)> {
        let shelves = &self.shelves;
        self.watched.retain(|id, watched| shelves.contains_key(id) || watched.latch.is_shared());
        self.watched.iter().map(|(id, watched)| (*id, watched.key.clone())).collect()
    }

    /// A customer's key was looked at, at this time. Whether what it opened is closed by that.
    pub(super) fn looked_at(&mut self, id: Uuid, key: &CustomerKey, at: Timestamp, outcome: &Result<()>) -> bool {
        // Another key holds it by now.
        let Some(watched) = self.watched.get_mut(&id).filter(|watched| watched.key == *key) else { return false };
        let Err(fault) = outcome else {
            watched.known_at = at;
            return false;
        };
        let closed = self.failed(id, fault, at);
        if closed {
            // What is being opened meanwhile is not kept.
            self.generation = self.generation.wrapping_add(1);
        }
        closed
    }

    /// Another key holds what was opened, or none does: that one is looked at from now on.
    pub(super) fn changed_hands(&mut self, id: Uuid, from: &CustomerKey, to: Option<&CustomerKey>) {
        let Some(watched) = self.watched.get_mut(&id).filter(|watched| watched.key == *from) else { return };
        match to {
            Some(key) => watched.key = key.clone(),
            None => drop(self.watched.remove(&id)),
        }
    }

    /// Drops every shelf, after keys were made or destroyed; the next use opens them again, where that still works.
    pub(super) fn forget(&mut self) {
        self.shelves.clear();
        self.refused.clear();
        self.generation = self.generation.wrapping_add(1);
    }
}
