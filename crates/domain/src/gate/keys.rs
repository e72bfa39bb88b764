//! The house's keyrings: one for the system under the root key; one per workspace, vault, storage account and registry under the
//! system's.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use kernel::{
    Batch, Change, Error, KeyProvider, Kind, MetaStore, Result, Sealed, Secret, StoreError, Timestamp, Versioned,
};
use seal::{Keyring, Ring};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    House, Record, Row, Shelf,
    opened::{Opened, Trust},
    turns::Turns,
};
use crate::customer_keys::{CustomerKey, HeldKeyring, Terms};

/// How often a shelf is opened anew when keys change meanwhile.
const ATTEMPTS: usize = 4;
pub(super) const ROOT_KEY: &[u8] = b"root\0keyring";
const PURPOSE: &[u8] = b"system keyring";

/// The keyring of what has data of its own (a workspace, a vault, a storage account, a registry), sealed for the system's shelf:
/// its material, or what its customer's key opens.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct OwnKeyring {
    #[serde(default)]
    material: Vec<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<HeldKeyring>,
    /// The numbers of its versions, so that they can be told without the customer's key; none in rows of before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    versions: Vec<u32>,
}

impl Record for OwnKeyring {
    const TABLE: &'static str = "keyring";
}

impl OwnKeyring {
    /// A keyring in the clear.
    fn plain(keyring: &Keyring) -> Self {
        Self { material: keyring.to_bytes().expose().clone(), held: None, versions: keyring.versions() }
    }

    /// What this keyring opens.
    pub(super) async fn open(&self, house: &House, id: Uuid) -> Result<Arc<Ring>> {
        Ok(Arc::new(self.keyring(house, id).await?.ring()?))
    }

    async fn keyring(&self, house: &House, id: Uuid) -> Result<Keyring> {
        let material = match &self.held {
            Some(held) => held.open(house, id).await?,
            None => Secret::new(self.material.clone()),
        };
        Ok(Keyring::from_bytes(&material)?)
    }

    /// The same keyring under a customer's key. What was agreed to with the holder of another key holds no more.
    pub(super) async fn under(&self, house: &House, id: Uuid, key: CustomerKey) -> Result<Self> {
        let keyring = self.keyring(house, id).await?;
        let terms = self.terms().filter(|_| self.key().is_some_and(|before| before.is_version_of(&key))).cloned();
        Self::closed(house, id, key, &keyring, terms).await
    }

    /// The same keyring under the same key, prepared for custodians too. The customer's key itself must open it: what opens it in its
    /// stead prepares nothing.
    pub(super) async fn prepared(&self, house: &House, id: Uuid, terms: Terms) -> Result<Self> {
        let key = self.key().cloned().ok_or_else(|| Error::new(Kind::Stale, "no customer's key holds it any more"))?;
        let keyring = self.keyring(house, id).await?;
        Self::closed(house, id, key, &keyring, Some(terms)).await
    }

    async fn closed(
        house: &House,
        id: Uuid,
        key: CustomerKey,
        keyring: &Keyring,
        terms: Option<Terms>,
    ) -> Result<Self> {
        let held = HeldKeyring::close(house, id, key, &keyring.to_bytes(), terms).await?;
        Ok(Self { material: Vec::new(), held: Some(held), versions: keyring.versions() })
    }

    fn terms(&self) -> Option<&Terms> {
        Some(self.held.as_ref()?.recovery()?.terms())
    }

    /// Takes out what custodians were prepared to open it with; whether there was any.
    pub(super) fn drop_recovery(&mut self) -> bool {
        self.held.as_mut().is_some_and(HeldKeyring::drop_recovery)
    }

    /// What this keyring opens, by the key that two custodians' shares gave.
    fn open_broken(&self, id: Uuid, inner: &Secret<Vec<u8>>) -> Option<Arc<Ring>> {
        let material = self.held.as_ref()?.open_broken(id, inner).ok()?;
        Some(Arc::new(Keyring::from_bytes(&material).ok()?.ring().ok()?))
    }

    /// Another edition of this keyring, held as this one is.
    async fn replaced(&self, house: &House, id: Uuid, keyring: &Keyring) -> Result<Self> {
        match self.key() {
            Some(key) => Self::closed(house, id, key.clone(), keyring, self.terms().cloned()).await,
            None => Ok(Self::plain(keyring)),
        }
    }

    /// The same with one more version, and what that opens.
    pub(super) async fn rotated(&self, house: &House, id: Uuid) -> Result<(Self, Arc<Ring>)> {
        let next = self.keyring(house, id).await?.rotated()?;
        Ok((self.replaced(house, id, &next).await?, Arc::new(next.ring()?)))
    }

    /// The same with the newest version alone.
    pub(super) async fn newest(&self, house: &House, id: Uuid) -> Result<Self> {
        let newest = self.keyring(house, id).await?.newest();
        self.replaced(house, id, &newest).await
    }

    /// The numbers of its versions, as far as they are known without the customer's key.
    pub(super) fn versions(&self) -> Vec<u32> {
        if self.versions.is_empty() && self.held.is_none() {
            let keyring = Keyring::from_bytes(&Secret::new(self.material.clone()));
            return keyring.map(|keyring| keyring.versions()).unwrap_or_default();
        }
        self.versions.clone()
    }

    /// The same keyring without a customer's key.
    pub(super) async fn freed(&self, house: &House, id: Uuid) -> Result<Self> {
        Ok(Self::plain(&self.keyring(house, id).await?))
    }

    /// The customer's key that opens it, if it is a customer's.
    pub(super) fn key(&self) -> Option<&CustomerKey> {
        self.held.as_ref().map(HeldKeyring::key)
    }
}

/// A keyring that was destroyed, as far as it can be told.
#[derive(Debug, Default)]
pub(crate) struct ForgottenKey {
    /// The numbers of its versions; none when only the customer's key could tell.
    pub(crate) versions: Vec<u32>,
    /// The customer's key that held it, if one did.
    pub(crate) customer_key: Option<CustomerKey>,
}

impl ForgottenKey {
    pub(super) fn of(keyring: &OwnKeyring) -> Self {
        Self { versions: keyring.versions(), customer_key: keyring.key().cloned() }
    }
}

/// The keyring of a deleted workspace, until it is recovered or purged. It lies in a table of its own: whatever looks for a
/// workspace's key finds none meanwhile, by whichever door it came.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct RestingKeyring(pub(super) OwnKeyring);

/// The keyring of a deleted workspace or vault, opened before it is where others find it.
pub(crate) struct RestingShelf {
    pub(super) of: Uuid,
    pub(super) row: Row<RestingKeyring>,
    pub(super) ring: Arc<Ring>,
}

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
    turns: Turns,
}

impl Keys {
    /// Opens the system keyring with the root key, or makes one when the store is empty.
    pub(super) async fn open(meta: &dyn MetaStore, root: &dyn KeyProvider, grace: Duration) -> Result<Self> {
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
        let system = Shelf::new(Shelf::SYSTEM, Arc::new(ArcSwap::from_pointee(keyring.ring()?)));
        Ok(Self { system, opened: Mutex::new(Opened::new(grace)), turns: Turns::default() })
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
        let shelf = self.enroll(id, Arc::new(keyring.ring()?));
        Ok((shelf, Row::new(id.as_bytes().as_slice(), OwnKeyring::plain(&keyring))))
    }

    /// The shelf that a ring opens: whoever holds it has the newer ring too, once there is one.
    pub(super) fn enroll(&self, id: Uuid, ring: Arc<Ring>) -> Shelf {
        self.opened().placed(id, ring)
    }

    /// The shelf of what has this GUID.
    pub(super) async fn shelf(&self, house: &House, id: Uuid) -> Result<Shelf> {
        for _ in 0..ATTEMPTS {
            if let Some(ready) = self.opened().ready(id, house.now()) {
                return ready;
            }
            // One asks a customer's key, and the others wait for what it says.
            let _turn = self.turns.take(id).await;
            let (now, generation) = (house.now(), {
                let opened = self.opened();
                if let Some(ready) = opened.ready(id, house.now()) {
                    return ready;
                }
                opened.generation
            });
            let row = house.peek::<OwnKeyring>(&self.system, id.as_bytes()).await?;
            let row = row.ok_or_else(|| Error::not_found("the key of what was asked for"))?;
            let broken = house
                .glass
                .key(id, now)
                .and_then(|(inner, until)| row.value.open_broken(id, &inner).map(|ring| (ring, Trust::Until(until))));
            let outcome = match broken {
                Some(opened) => Ok(opened),
                None => row.value.open(house, id).await.map(|ring| (ring, Trust::KnownAt(now))),
            };
            let mut opened = self.opened();
            if opened.generation != generation {
                // Keys were made, destroyed or taken away meanwhile.
                continue;
            }
            let fault = match outcome {
                Ok((ring, trust)) => return Ok(opened.keep(id, ring, row.value.key().map(|key| (key, trust)))),
                Err(fault) => fault,
            };
            // The answer may have been long in coming.
            let now = house.now();
            let closed = opened.failed(id, &fault, now);
            let said = opened.ready(id, now);
            drop(opened);
            if closed {
                house.scoring.forget_services();
                house.recall.forget_locked();
            }
            return said.unwrap_or(Err(fault));
        }
        Err(Error::new(Kind::Unavailable, "keys change too fast just now; try again"))
    }

    /// What customers' keys opened and somebody holds, with those keys.
    pub(super) fn held(&self) -> Vec<(Uuid, CustomerKey)> {
        self.opened().held()
    }

    /// A customer's key was looked at again, at this time. Whether what it opened is closed by that.
    pub(super) async fn looked_at(
        &self,
        house: &House,
        (id, key): (Uuid, &CustomerKey),
        at: Timestamp,
        outcome: &Result<()>,
    ) -> Result<bool> {
        if outcome.is_err() {
            // It may be that key no more: whoever changed it may do with the old one what they like.
            let row = house.peek::<OwnKeyring>(&self.system, id.as_bytes()).await?;
            let present = row.as_ref().and_then(|row| row.value.key());
            if present != Some(key) {
                self.opened().changed_hands(id, key, present);
                return Ok(false);
            }
        }
        Ok(self.opened().looked_at(id, key, (at, house.now()), outcome))
    }

    /// Closes what was opened by keys of which nothing was heard for too long; whether anything was.
    pub(super) fn close_untrusted(&self, now: Timestamp) -> bool {
        self.opened().close_untrusted(now)
    }

    /// What is locked since the holder of its key does not answer.
    pub(super) fn silent(&self) -> Vec<Uuid> {
        self.opened().silent()
    }

    /// A holder answers again: whoever asks next finds out what it says.
    pub(super) fn heard(&self, id: Uuid) {
        self.opened().heard(id);
    }

    /// How a customer's key holds the keyring of what has this GUID; none when none does, or there is none.
    pub(super) async fn held_by(&self, house: &House, id: Uuid) -> Result<Option<HeldKeyring>> {
        let row = house.peek::<OwnKeyring>(&self.system, id.as_bytes()).await?;
        Ok(row.and_then(|row| row.value.held.clone()))
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what has this GUID has a keyring where it is looked for.
    pub(super) async fn is_there(&self, meta: &dyn MetaStore, id: Uuid) -> Result<bool> {
        Ok(meta.get(&self.system.key(OwnKeyring::TABLE, id.as_bytes())).await?.is_some())
    }

    /// What was opened without its customer's key begins or ends: whoever asks next opens it anew, and at its end whoever holds it is
    /// locked out. Whether anything was closed.
    pub(super) fn glass_turned(&self, id: Uuid) -> bool {
        self.opened().turn(id)
    }

    /// Drops shelves whose keys were made, changed or destroyed; the next use reads them again, where they still are.
    pub(super) fn forget_opened(&self, ids: &[Vec<u8>]) {
        self.opened().forget(ids.iter().filter_map(|id| Uuid::from_slice(id).ok()));
    }
}
