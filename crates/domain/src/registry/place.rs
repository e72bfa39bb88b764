//! A registry as its data plane sees it: found by its name, with its shelf and its passwords, kept in memory until something that it
//! hangs on changes.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use kernel::{Caller, Error, Kind, ResourceId, Result};
use uuid::Uuid;

use crate::{
    customer_keys::KEY_UNAVAILABLE,
    gate::{House, Shelf, enter},
    resources::{AccountKey, FindAddress, Registry, Resource, keys_of, row_id},
};

/// Registries kept ready; more than this and all are looked up anew.
const MOST: usize = 1024;

/// A registry, ready to be asked.
pub struct RegistryPlace {
    /// Its resource.
    pub id: ResourceId,
    /// Its GUID.
    pub guid: Uuid,
    pub(super) shelf: Shelf,
    /// The passwords of its admin account; none when that is off.
    pub(super) passwords: Vec<AccountKey>,
    /// Why nothing of it opens, when its customer-managed key may not be used: whoever proves themselves is told.
    locked: Option<Error>,
}

impl std::fmt::Debug for RegistryPlace {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "RegistryPlace({})", self.id)
    }
}

impl RegistryPlace {
    /// Its name, as it is part of the address.
    pub fn name(&self) -> &str {
        self.id.name()
    }

    /// Refuses what nobody can have while the registry's customer-managed key may not be used.
    pub(super) fn require_open(&self) -> Result<()> {
        match &self.locked {
            None => Ok(()),
            Some(fault) => Err(Error::new(fault.kind(), fault.public()).coded(KEY_UNAVAILABLE)),
        }
    }
}

/// Registries that were looked up.
#[derive(Default)]
pub(crate) struct Registries {
    known: Mutex<HashMap<String, Arc<RegistryPlace>>>,
    /// Rises when registries may have changed, so that a look-up that began before is not kept.
    generation: AtomicU64,
}

impl Registries {
    /// Something that registries hang on has changed.
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<RegistryPlace>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, generation: u64, name: String, place: &Arc<RegistryPlace>) {
        let mut known = self.known();
        if self.generation.load(Ordering::SeqCst) != generation {
            return;
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(name, Arc::clone(place));
    }
}

/// Finds the registry with this name. Says nothing to a caller: that is for what is asked of it.
///
/// # Errors
/// `Unavailable` when the store is.
pub(super) async fn locate(house: &House, name: &str) -> Result<Option<Arc<RegistryPlace>>> {
    let name = name.to_ascii_lowercase();
    let known = house.registries.known().get(&name).cloned();
    if let Some(known) = known {
        // Asked each time, so that a customer's key counts as it is now.
        let is_open = house.shelf(known.guid).await.is_ok();
        if is_open && !known.shelf.is_locked() {
            return Ok(Some(known));
        }
    }
    let generation = house.registries.generation.load(Ordering::SeqCst);
    let found = enter(house, &Caller::house(), FindAddress::<Registry>::new(&name)).await?;
    let Some(found) = found else { return Ok(None) };
    let system = house.system();
    let row = house.peek::<Resource<Registry>>(system, &row_id::<Registry>(system, &found.id)).await?;
    let Some(row) = row else { return Ok(None) };
    let (shelf, locked) = match house.shelf(found.guid).await {
        Err(fault) if fault.kind() == Kind::NotFound => return Ok(None),
        Err(fault) if fault.code() == Some(KEY_UNAVAILABLE) => (Shelf::that_opens_nothing(found.guid)?, Some(fault)),
        other => (other?, None),
    };
    let passwords = if row.value.properties.admin_enabled { keys_of(house, found.guid).await? } else { Vec::new() };
    let place = Arc::new(RegistryPlace { id: found.id, guid: found.guid, shelf, passwords, locked });
    if place.locked.is_none() {
        house.registries.keep(generation, name, &place);
    }
    Ok(Some(place))
}
