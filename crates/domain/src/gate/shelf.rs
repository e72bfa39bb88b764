//! A shelf: the sealed view of one scope. Rooms get their own shelf, never the warehouse.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwap;
use kernel::{Result, Sealed, Secret, Versioned, WorkspaceId};
use seal::{Keyring, Place, Ring};

use super::{Record, Row, table};
use crate::customer_keys::Refusal;

/// Whose data, under whose key.
#[derive(Clone, Debug)]
pub struct Shelf {
    id: [u8; 16],
    /// Shared by all who hold the shelf: a newer key is there for all of them at once.
    ring: Arc<ArcSwap<Ring>>,
    latch: Latch,
}

/// Whether what a customer's key opened is locked again: shared by all who hold it.
#[derive(Clone, Debug, Default)]
pub(super) struct Latch(Arc<AtomicBool>);

impl Latch {
    pub(super) fn lock(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn is_locked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Whether anybody holds it beside whoever asks.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Refuses when it is locked.
    pub(super) fn hold(&self) -> Result<()> {
        if self.is_locked() { Err(Refusal::later()) } else { Ok(()) }
    }
}

impl Shelf {
    /// The shelf of the system itself has an id of zeros.
    pub(super) const SYSTEM: [u8; 16] = [0; 16];

    pub(super) fn new(id: [u8; 16], ring: Arc<ArcSwap<Ring>>) -> Self {
        Self { id, ring, latch: Latch::default() }
    }

    /// The same behind a latch.
    pub(super) fn behind(self, latch: Latch) -> Self {
        Self { latch, ..self }
    }

    /// A shelf that is locked from the start, in the place of one whose key may not be used.
    pub(crate) fn that_opens_nothing(of: uuid::Uuid) -> Result<Self> {
        let shelf = Self::new(*of.as_bytes(), Arc::new(ArcSwap::from_pointee(Keyring::generate()?.ring()?)));
        shelf.latch.lock();
        Ok(shelf)
    }

    /// Whether it was locked since it was opened.
    pub(crate) fn is_locked(&self) -> bool {
        self.latch.is_locked()
    }

    /// Locks it, as its customer's refusal does.
    #[cfg(test)]
    pub(crate) fn lock(&self) {
        self.latch.lock();
    }

    pub(super) fn latch(&self) -> &Latch {
        &self.latch
    }

    /// The workspace this shelf belongs to; none for the system's.
    pub fn workspace(&self) -> Option<WorkspaceId> {
        (self.id != Self::SYSTEM).then(|| WorkspaceId::from(uuid::Uuid::from_bytes(self.id)))
    }

    /// The opaque id of a name in table `T`: a keyed hash.
    pub fn name_id<T: Record>(&self, name: &str) -> Vec<u8> {
        self.ring().name_id(T::TABLE, name).to_vec()
    }

    /// The fingerprint under which a high-entropy credential is kept.
    pub fn fingerprint(&self, purpose: &str, credential: &str) -> seal::Fingerprint {
        self.ring().fingerprint(purpose, credential)
    }

    /// Whether a credential has this fingerprint; in constant time.
    pub fn matches(&self, purpose: &str, credential: &str, fingerprint: &seal::Fingerprint) -> bool {
        self.ring().matches(purpose, credential, fingerprint)
    }

    pub(crate) fn id(&self) -> &[u8; 16] {
        &self.id
    }

    pub(super) fn ring(&self) -> arc_swap::Guard<Arc<Ring>> {
        self.ring.load()
    }

    /// `table ‖ 0 ‖ shelf ‖ id`: sorted by table, then shelf, then id.
    pub(super) fn key(&self, table: &str, id: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(table.len().saturating_add(17).saturating_add(id.len()));
        key.extend_from_slice(table.as_bytes());
        key.push(0);
        key.extend_from_slice(&self.id);
        key.extend_from_slice(id);
        key
    }

    pub(super) fn seal(&self, table: &str, id: &[u8], version: u64, plain: &[u8]) -> Result<Sealed> {
        self.latch.hold()?;
        Ok(self.ring().seal(Place { shelf: &self.id, table, id, version }, plain)?)
    }

    /// What a row of any table holds: the version of its shape, and the shape.
    pub(super) fn open_any(&self, table: &str, id: &[u8], stored: &Versioned) -> Result<Secret<Vec<u8>>> {
        self.latch.hold()?;
        let place = Place { shelf: &self.id, table, id, version: stored.version };
        Ok(Secret::new(self.ring().open(place, &stored.value)?))
    }

    pub(super) fn open<T: Record>(&self, stored: &Versioned) -> Result<Row<T>> {
        self.latch.hold()?;
        let prefix = T::TABLE.len().saturating_add(17);
        let id = stored.key.get(prefix..).unwrap_or_default();
        let place = Place { shelf: &self.id, table: T::TABLE, id, version: stored.version };
        let plain = self.ring().open(place, &stored.value)?;
        Ok(Row { id: id.to_vec(), version: stored.version, value: table::decode(&plain)? })
    }
}
