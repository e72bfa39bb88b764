//! What the house's keyrings have opened: shelves ready for use, and those of them that a customer's key opened, which are watched.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use kernel::{Error, Result, Timestamp};
use seal::Ring;
use uuid::Uuid;

use super::{Shelf, shelf::Latch};
use crate::customer_keys::{CustomerKey, Refusal};

/// How long a refusal is believed, so that whoever asks often does not fill the log.
const AGAIN: Duration = Duration::from_secs(5);
/// How long silence is: whoever asks does not wait for a holder that is away, the server's own work does. This holds when that work
/// is stuck.
const SILENCE: Duration = Duration::from_secs(60);

/// Shelves that were opened, and how often all of them were forgotten: one that was read before a key was destroyed must not be
/// kept after it.
pub(super) struct Opened {
    /// How long a shelf is used after its customer's key was last known to be allowed.
    grace: Duration,
    shelves: HashMap<Uuid, Shelf>,
    /// The rings of shelves that somebody holds, each in its one place: a newer one is there for all of them at once.
    rings: HashMap<Uuid, Weak<ArcSwap<Ring>>>,
    /// What a customer's key opened, for as long as anybody holds it; forgetting the shelves does not end that.
    watched: HashMap<Uuid, Watched>,
    /// What a customer's key did not open just now, and until when that is not tried again.
    refused: HashMap<Uuid, Refused>,
    pub(super) generation: u64,
}

struct Refused {
    until: Timestamp,
    refusal: Refusal,
    /// Whether it was no answer.
    is_silence: bool,
}

struct Watched {
    key: CustomerKey,
    trust: Trust,
    /// Shared by all who hold the shelf.
    latch: Latch,
}

/// For how long what was opened may be used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The key was last known to be allowed then.
    KnownAt(Timestamp),
    /// Two custodians opened it in the key's stead, until then; what becomes of the key is nothing to it.
    Until(Timestamp),
}

impl Watched {
    fn is_trusted(&self, now: Timestamp, grace: Duration) -> bool {
        match self.trust {
            Trust::KnownAt(at) => now < at.plus(grace),
            Trust::Until(end) => now < end,
        }
    }

    /// Whether what becomes of this key decides.
    fn hangs_on(&self, key: &CustomerKey) -> bool {
        self.key == *key && matches!(self.trust, Trust::KnownAt(_))
    }
}

impl Opened {
    /// Nothing is open yet.
    pub(super) fn new(grace: Duration) -> Self {
        let (shelves, rings) = (HashMap::new(), HashMap::new());
        Self { grace, shelves, rings, watched: HashMap::new(), refused: HashMap::new(), generation: 0 }
    }

    fn is_trusted(&self, id: Uuid, now: Timestamp) -> bool {
        self.watched.get(&id).is_some_and(|watched| watched.is_trusted(now, self.grace))
    }

    /// A shelf that may be used now, or the refusal that is believed still; none when it has to be opened.
    pub(super) fn ready(&self, id: Uuid, now: Timestamp) -> Option<Result<Shelf>> {
        if let Some(shelf) = self.shelves.get(&id)
            && (!self.watched.contains_key(&id) || self.is_trusted(id, now))
        {
            return Some(Ok(shelf.clone()));
        }
        let refused = self.refused.get(&id)?;
        (now < refused.until).then(|| Err(refused.refusal.error()))
    }

    /// Keeps a shelf that was opened just now; behind this customer's key if it has one. Gives it as it is to be used.
    pub(super) fn keep(&mut self, id: Uuid, ring: Arc<Ring>, key: Option<(&CustomerKey, Trust)>) -> Shelf {
        self.refused.remove(&id);
        let shelf = self.placed(id, ring);
        let before = self.watched.remove(&id);
        let shelf = match key {
            None => shelf,
            Some((key, trust)) => {
                let latch = before.map(|before| before.latch).filter(|latch| !latch.is_locked()).unwrap_or_default();
                self.watched.insert(id, Watched { key: key.clone(), trust, latch: latch.clone() });
                shelf.behind(latch)
            }
        };
        self.shelves.insert(id, shelf.clone());
        shelf
    }

    /// A shelf with this ring, which whoever holds the shelf already has from now on too.
    pub(super) fn placed(&mut self, id: Uuid, ring: Arc<Ring>) -> Shelf {
        let place = match self.rings.get(&id).and_then(Weak::upgrade) {
            Some(place) => {
                place.store(ring);
                place
            }
            None => {
                let place = Arc::new(ArcSwap::new(ring));
                self.rings.insert(id, Arc::downgrade(&place));
                place
            }
        };
        Shelf::new(*id.as_bytes(), place)
    }

    /// A shelf could not be opened. Whether something that was open is closed by that.
    pub(super) fn failed(&mut self, id: Uuid, fault: &Error, now: Timestamp) -> bool {
        // That it cannot be found out says nothing of the key, until the trust has run out.
        let is_trusted = self.is_trusted(id, now);
        let answer = Refusal::of(fault).map(|refusal| Refused { until: now.plus(AGAIN), refusal, is_silence: false });
        let silence = || {
            let refusal = Refusal::of_silence(fault).filter(|_| !is_trusted)?;
            Some(Refused { until: now.plus(SILENCE), refusal, is_silence: true })
        };
        match answer.or_else(silence) {
            Some(refused) => {
                self.refused.insert(id, refused);
                self.close(id)
            }
            None if self.watched.contains_key(&id) && !is_trusted => self.close(id),
            None => false,
        }
    }

    /// Closes what was opened by keys of which nothing was heard for longer than the grace; whether anything was.
    pub(super) fn close_untrusted(&mut self, now: Timestamp) -> bool {
        let over: Vec<Uuid> = self.watched.keys().copied().filter(|id| !self.is_trusted(*id, now)).collect();
        for id in &over {
            self.close(*id);
        }
        if !over.is_empty() {
            self.generation = self.generation.wrapping_add(1);
        }
        !over.is_empty()
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
        let hangs = self.watched.iter().filter(|(_, watched)| matches!(watched.trust, Trust::KnownAt(_)));
        hangs.map(|(id, watched)| (*id, watched.key.clone())).collect()
    }

    /// What is locked since the holder of its key does not answer.
    pub(super) fn silent(&self) -> Vec<Uuid> {
        self.refused.iter().filter(|(_, refused)| refused.is_silence).map(|(id, _)| *id).collect()
    }

    /// A holder answers again, whatever it says: whoever asks next finds out.
    pub(super) fn heard(&mut self, id: Uuid) {
        self.refused.remove(&id);
    }

    /// A customer's key was looked at, at this time, and the answer came at the other. Whether what it opened is closed by that.
    pub(super) fn looked_at(
        &mut self,
        id: Uuid,
        key: &CustomerKey,
        (at, now): (Timestamp, Timestamp),
        outcome: &Result<()>,
    ) -> bool {
        // Another key holds it by now.
        let Some(watched) = self.watched.get_mut(&id).filter(|watched| watched.hangs_on(key)) else { return false };
        let Err(fault) = outcome else {
            watched.trust = Trust::KnownAt(at);
            return false;
        };
        let closed = self.failed(id, fault, now);
        if closed {
            // What is being opened meanwhile is not kept.
            self.generation = self.generation.wrapping_add(1);
        }
        closed
    }

    /// Another key holds what was opened, or none does: that one is looked at from now on.
    pub(super) fn changed_hands(&mut self, id: Uuid, from: &CustomerKey, to: Option<&CustomerKey>) {
        let Some(watched) = self.watched.get_mut(&id).filter(|watched| watched.hangs_on(from)) else { return };
        match to {
            Some(key) => watched.key = key.clone(),
            None => drop(self.watched.remove(&id)),
        }
    }

    /// Closes what is open, and forgets a refusal; whoever opens it at this moment opens it anew. Whether anything was open.
    pub(super) fn turn(&mut self, id: Uuid) -> bool {
        self.refused.remove(&id);
        self.generation = self.generation.wrapping_add(1);
        self.close(id)
    }

    /// Drops these shelves, after their keys were made, changed or destroyed; the next use opens them again, where that still
    /// works. The others stay: opening one may take a call to whoever holds its key.
    pub(super) fn forget(&mut self, ids: impl Iterator<Item = Uuid>) {
        for id in ids {
            self.shelves.remove(&id);
            self.refused.remove(&id);
        }
        self.rings.retain(|_, place| place.strong_count() > 0);
        self.generation = self.generation.wrapping_add(1);
    }
}
