//! A storage account as its data plane sees it: found by its name, with its shelf and its keys, and kept in memory until something
//! that it hangs on changes.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Caller, Error, Kind, ResourceId, Result, Secret};
use uuid::Uuid;

use super::{ContainerName, staged::StagedCounts};
use crate::{
    customer_keys::KEY_UNAVAILABLE,
    gate::{House, Shelf, Suspects, enter},
    resources::{FindAddress, Resource, StorageAccount, keys_of, row_id},
};

/// Accounts kept ready; more than this and all are looked up anew.
const MOST: usize = 1024;

/// A storage account, ready to be asked.
pub struct Account {
    /// Its resource.
    pub id: ResourceId,
    /// Its GUID.
    pub guid: Uuid,
    pub(super) shelf: Shelf,
    /// Name and bytes of each key.
    pub(super) keys: Vec<(String, Secret<Vec<u8>>)>,
    /// Whether the keys, and what was signed with them, are taken at all.
    pub(super) takes_keys: bool,
    /// Why nothing of it opens, when its customer-managed key may not be used: whoever proves themselves is told.
    pub(super) locked: Option<Error>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Account({})", self.id)
    }
}

impl Account {
    /// Its name, as it is part of the address.
    pub fn name(&self) -> &str {
        self.id.name()
    }

    /// Refuses what nobody can have while the account's customer-managed key may not be used.
    pub(super) fn require_open(&self) -> Result<()> {
        match &self.locked {
            None => Ok(()),
            Some(fault) => Err(Error::new(fault.kind(), fault.public()).coded(KEY_UNAVAILABLE)),
        }
    }

    /// Where permissions for the whole service are looked up.
    pub fn service(&self) -> ResourceId {
        self.id.child(["blobServices", "default"]).unwrap_or_else(|_| self.id.clone())
    }

    /// Where permissions for a container, and for what lies in it, are looked up.
    pub fn container(&self, name: &ContainerName) -> ResourceId {
        self.service().child(["containers", name.as_str()]).unwrap_or_else(|_| self.id.clone())
    }
}

/// Accounts that were looked up.
#[derive(Default)]
pub(crate) struct Accounts {
    known: Mutex<HashMap<String, Arc<Account>>>,
    /// Rises when accounts may have changed, so that a look-up that began before is not kept.
    generation: AtomicU64,
    /// How many blocks wait for the lists of blobs.
    pub(super) staged: StagedCounts,
    /// Stored objects that nothing names, while these are looked for.
    pub(crate) suspects: Suspects,
}

impl Accounts {
    /// The tables that an account hangs on.
    pub(crate) const TABLES: &'static [&'static str] = &["address", "resource", crate::resources::KEYS_TABLE];

    /// Something that accounts hang on has changed.
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Account>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, generation: u64, name: String, account: &Arc<Account>) {
        let mut known = self.known();
        if self.generation.load(Ordering::SeqCst) != generation {
            return;
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(name, Arc::clone(account));
    }
}

/// Finds the account with this name. Says nothing to a caller: that is for what is asked of it.
///
/// # Errors
/// `Unavailable` when the store is.
pub(super) async fn locate(house: &House, name: &str) -> Result<Option<Arc<Account>>> {
    let name = name.to_ascii_lowercase();
    let known = house.accounts.known().get(&name).cloned();
    if let Some(known) = known {
        // Asked each time, so that a customer's key counts as it is now.
        let is_open = house.shelf(known.guid).await.is_ok();
        if is_open && !known.shelf.is_locked() {
            return Ok(Some(known));
        }
    }
    let generation = house.accounts.generation.load(Ordering::SeqCst);
    let found = enter(house, &Caller::house(), FindAddress::<StorageAccount>::new(&name)).await?;
    let Some(found) = found else { return Ok(None) };
    let system = house.system();
    let row = house.peek::<Resource<StorageAccount>>(system, &row_id::<StorageAccount>(system, &found.id)).await?;
    let Some(row) = row else { return Ok(None) };
    let (shelf, locked) = match house.shelf(found.guid).await {
        Err(fault) if fault.kind() == Kind::NotFound => return Ok(None),
        Err(fault) if fault.code() == Some(KEY_UNAVAILABLE) => (Shelf::that_opens_nothing(found.guid)?, Some(fault)),
        other => (other?, None),
    };
    let keys = keys_of(house, found.guid).await?.into_iter().map(|key| {
        let bytes = STANDARD.decode(key.value.expose()).map_err(Error::internal)?;
        Ok((key.name, Secret::new(bytes)))
    });
    let account = Arc::new(Account {
        id: found.id,
        guid: found.guid,
        shelf,
        keys: keys.collect::<Result<_>>()?,
        takes_keys: row.value.properties.takes_keys(),
        locked,
    });
    if account.locked.is_none() {
        house.accounts.keep(generation, name, &account);
    }
    Ok(Some(account))
}

/// The account with this resource id, for whoever was admitted there.
///
/// # Errors
/// `NotFound` when there is none.
pub async fn account_at(house: &House, id: &ResourceId) -> Result<Arc<Account>> {
    let found = locate(house, id.name()).await?.filter(|account| account.id == *id);
    found.ok_or_else(|| Error::not_found(format_args!("the resource `{id}`")))
}
