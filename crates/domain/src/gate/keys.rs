//! The house's keyrings: one for the system under the root key; one per workspace, vault, storage account and registry under the
//! system's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kernel::{Batch, Change, Error, KeyProvider, Kind, MetaStore, Result, Sealed, Secret, StoreError, Timestamp, Versioned};
use seal::Keyring;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{House, Record, Row, Shelf, shelf::Latch};
use crate::customer_keys::{CustomerKey, HeldKeyring, Refusal};

/// How long a shelf is used after its customer's key was last known to be allowed. The server's own work asks more often; this
/// holds when that work is stuck.
const TRUSTED: Duration = Duration::from_secs(45);
/// How long a refusal is believed, so that whoever asks often does not fill the log.
const AGAIN: Duration = Duration::from_secs(5);
const ROOT_KEY: &[u8] = b"root\0keyring";
const PURPOSE: &[u8] = b"system keyring";

/// The keyring of what has data of its own (a workspace, a vault, a storage account, a registry), sealed for the system's shelf:
/// its material, or what its customer's key opens.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct OwnKeyring {
    #[serde(default)]
    material: Vec<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<HeldKeyring>,
}

impl Record for OwnKeyring {
    const TABLE: &'static str = "keyring";
}

impl OwnKeyring {
    /// The shelf that this keyring opens.
    pub(super) async fn open(&self, house: &House, id: Uuid) -> Result<Shelf> {
        let material = match &self.held {
            Some(held) => held.open(house, id).await?,
            None => Secret::new(self.material.clone()),
        };
        Ok(Shelf::new(*id.as_bytes(), Arc::new(Keyring::from_bytes(&material)?.ring()?)))
    }

    /// The same keyring under a customer's key.
    pub(super) async fn under(&self, house: &House, id: Uuid, key: CustomerKey) -> Result<Self> {
        let material = match &self.held {
            Some(held) => held.open(house, id).await?,
            None => Secret::new(self.material.clone()),
        };
        Ok(Self { material: Vec::new(), held: Some(HeldKeyring::close(house, id, key, &material).await?) })
    }

    /// The customer's key that opens it, if it is a customer's.
    pub(super) fn key(&self) -> Option<&CustomerKey> {
        self.held.as_ref().map(HeldKeyring::key)
    }
}

/// The keyring of a deleted workspace, until it is recovered or purged. It lies in a table of its own: whatever looks for a
/// workspace's key finds none meanwhile, by whichever door it came.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct RestingKeyring(pub(super) OwnKeyring);

impl Record for RestingKeyring {
    const TABLE: &'static str = "resting-keyring";
}

impl Drop for OwnKeyring {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.material)));
    }
}

pub(super) async fn unwrapped(wrapped: &Sealed, root: &dyn KeyProvider) -> Result<Secret<Vec<u8>>> {
    root.unwrap(PURPOSE, wrapped).await.map_err(|fault| {
        let why = format!("the root key ({}) does not open this data directory: {fault}", root.describe());
        Error::new(Kind::Unavailable, why)
    })
}

/// What a provider says when it does not want, in words that its operator can act on.
pub(super) fn root_fault(root: &dyn KeyProvider, fault: &StoreError) -> Error {
    let kind = if matches!(fault, StoreError::KeyAway(_)) { Kind::Unavailable } else { Kind::Conflict };
    Error::new(kind, format!("the root key ({}) cannot be used for that: {fault}", root.describe()))
}

/// Opened rings.
pub(super) struct Keys {
    system: Shelf,
    opened: Mutex<Opened>,
}

/// Rings that were opened, and how often all of them were forgotten: a ring that was read before a key was destroyed must
/// not be kept after it.
#[derive(Default)]
struct Opened {
    shelves: HashMap<Uuid, Ready>,
    /// What a customer's key did not open just now, and until when that is not tried again.
    refused: HashMap<Uuid, (Timestamp, Refusal)>,
    /// Whoever holds a shelf that a customer's key opened shares its latch, and finds it locked when the key may not be used.
    latches: HashMap<Uuid, Latch>,
    generation: u64,
}

impl Opened {
    /// The latch of what is open, or a new one when it was locked.
    fn latch(&mut self, id: Uuid) -> Latch {
        let held = self.latches.entry(id).or_default();
        if held.is_locked() {
            *held = Latch::default();
        }
        held.clone()
    }

    /// Forgets a shelf, and locks it for whoever holds it still.
    fn close(&mut self, id: Uuid) {
        self.shelves.remove(&id);
        if let Some(latch) = self.latches.get(&id) {
            latch.lock();
        }
    }
}

/// A shelf ready for use.
#[derive(Clone)]
struct Ready {
    shelf: Shelf,
    /// The customer's key that opened it, and when that was last known to be allowed.
    key: Option<(CustomerKey, Timestamp)>,
}

impl Ready {
    /// Whether it may be used without asking for the customer's key again.
    fn is_good(&self, now: Timestamp) -> bool {
        self.key.as_ref().is_none_or(|(_, known_at)| now < known_at.plus(TRUSTED))
    }
}

impl Keys {
    /// Opens the system keyring with the root key, or makes one when the store is empty.
    pub(super) async fn open(meta: &dyn MetaStore, root: &dyn KeyProvider) -> Result<Self> {
        let keyring = match meta.get(ROOT_KEY).await? {
            Some(stored) => Keyring::from_bytes(&unwrapped(&stored.value, root).await?)?,
            None => {
                let fresh = Keyring::generate()?;
                let value = root.wrap(PURPOSE, &fresh.to_bytes()).await?;
                let change = Change::Put { key: ROOT_KEY.into(), version: 1, value };
                meta.commit(Batch { changes: vec![change], records: Vec::new() }).await?;
                fresh
            }
        };
        let system = Shelf::new(Shelf::SYSTEM, Arc::new(keyring.ring()?));
        Ok(Self { system, opened: Mutex::default() })
    }

    /// The system's keyring as it lies in a store, under another root key or another version of the same one.
    pub(super) async fn rewrapped(
        meta: &dyn MetaStore,
        from: &dyn KeyProvider,
        to: &dyn KeyProvider,
    ) -> Result<Change> {
        let stored = Self::stored(meta).await?;
        let material = unwrapped(&stored.value, from).await?;
        let value = to.wrap(PURPOSE, &material).await.map_err(|fault| root_fault(to, &fault))?;
        // Nothing is replaced by what does not open.
        let again = unwrapped(&value, to).await?;
        if again.expose() != material.expose() {
            return Err(Error::internal("the root key did not give back what it wrapped"));
        }
        Ok(Change::Put { key: ROOT_KEY.into(), version: stored.version.saturating_add(1), value })
    }

    pub(super) async fn stored(meta: &dyn MetaStore) -> Result<Versioned> {
        let stored = meta.get(ROOT_KEY).await?;
        stored.ok_or_else(|| Error::new(Kind::Unavailable, "the store holds no keyring; restore it from a backup"))
    }

    pub(super) fn system(&self) -> &Shelf {
        &self.system
    }

    /// A new shelf, and the row that makes it last.
    pub(super) fn found(&self, id: Uuid) -> Result<(Shelf, Row<OwnKeyring>)> {
        let keyring = Keyring::generate()?;
        let shelf = Shelf::new(*id.as_bytes(), Arc::new(keyring.ring()?));
        let material = keyring.to_bytes().expose().clone();
        Ok((shelf, Row::new(id.as_bytes().as_slice(), OwnKeyring { material, held: None })))
    }

    /// The shelf of what has this GUID.
    pub(super) async fn shelf(&self, house: &House, id: Uuid) -> Result<Shelf> {
        let (now, generation) = (house.now(), {
            let opened = self.opened();
            match (opened.shelves.get(&id), opened.refused.get(&id)) {
                (Some(ready), _) if ready.is_good(house.now()) => return Ok(ready.shelf.clone()),
                (_, Some((until, refusal))) if house.now() < *until => return Err(refusal.error()),
                _ => opened.generation,
            }
        });
        let row = house.peek::<OwnKeyring>(&self.system, id.as_bytes()).await?;
        let row = row.ok_or_else(|| Error::not_found("the key of what was asked for"))?;
        let outcome = row.value.open(house, id).await;
        let mut opened = self.opened();
        if opened.generation != generation {
            return outcome;
        }
        match outcome {
            Ok(shelf) => {
                let key = row.value.key().map(|key| (key.clone(), now));
                opened.refused.remove(&id);
                let shelf = if key.is_some() { shelf.behind(opened.latch(id)) } else { shelf };
                opened.shelves.insert(id, Ready { shelf: shelf.clone(), key });
                Ok(shelf)
            }
            Err(fault) => {
                opened.close(id);
                if let Some(refusal) = Refusal::of(&fault) {
                    opened.refused.insert(id, (now.plus(AGAIN), refusal));
                }
                drop(opened);
                house.scoring.forget_services();
                Err(fault)
            }
        }
    }

    /// The opened shelves that a customer's key opened, with that key.
    pub(super) fn held(&self) -> Vec<(Uuid, CustomerKey)> {
        let opened = self.opened();
        let held = opened.shelves.iter().filter_map(|(id, ready)| Some((*id, ready.key.as_ref()?.0.clone())));
        held.collect()
    }

    /// A customer's key was looked at again, at this time: it may be used on, or its shelf is closed. Whether it was closed.
    pub(super) fn looked_at(&self, id: Uuid, key: &CustomerKey, at: Timestamp, outcome: &Result<()>) -> bool {
        let mut opened = self.opened();
        // Another key holds it by now.
        if opened.shelves.get(&id).and_then(|ready| ready.key.as_ref()).is_none_or(|(held, _)| held != key) {
            return false;
        }
        match outcome.as_ref().map_err(Refusal::of) {
            Ok(()) => {
                if let Some((_, known_at)) = opened.shelves.get_mut(&id).and_then(|ready| ready.key.as_mut()) {
                    *known_at = at;
                }
                false
            }
            // That it cannot be found out says nothing, until the trust has run out.
            Err(None) => false,
            Err(Some(refusal)) => {
                opened.close(id);
                opened.refused.insert(id, (at.plus(AGAIN), refusal));
                // A ring that is being opened meanwhile is not kept.
                opened.generation = opened.generation.wrapping_add(1);
                true
            }
        }
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops every opened ring, after keys were made or destroyed; the next use reads them again, where they still are.
    pub(super) fn forget_opened(&self) {
        let mut opened = self.opened();
        opened.shelves.clear();
        opened.refused.clear();
        opened.generation = opened.generation.wrapping_add(1);
    }
}
