//! The two keys of a storage account or a registry: held sealed in a row of their own, so that no list ever carries them,
//! and shown again to whoever may list them.

use std::marker::PhantomData;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Registry, Resource, ResourceType, StorageAccount, find, registry::require_admin_for_credentials};
use crate::gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Record, Row};

const ATTEMPTS: usize = 8;

/// A resource with two keys.
pub trait Keyed: ResourceType {
    /// Permission to see them.
    const LIST: Action;
    /// Permission to make one anew.
    const REGENERATE: Action;
    /// Their names.
    const NAMES: [&'static str; 2];

    /// Refuses what is asked of keys that are not taken.
    ///
    /// # Errors
    /// `Conflict`.
    fn require_keys(_: &Resource<Self>) -> Result<()> {
        Ok(())
    }
}

impl Keyed for StorageAccount {
    const LIST: Action = Action::new("Microsoft.Storage/storageAccounts/listKeys/action", Class::Vault);
    const REGENERATE: Action = Action::new("Microsoft.Storage/storageAccounts/regenerateKey/action", Class::Control);
    const NAMES: [&'static str; 2] = ["key1", "key2"];
}

impl Keyed for Registry {
    const LIST: Action = Action::new("Microsoft.ContainerRegistry/registries/listCredentials/action", Class::Vault);
    const REGENERATE: Action =
        Action::new("Microsoft.ContainerRegistry/registries/regenerateCredential/action", Class::Control);
    const NAMES: [&'static str; 2] = ["password", "password2"];

    fn require_keys(registry: &Resource<Self>) -> Result<()> {
        require_admin_for_credentials(registry)
    }
}

/// The keys of one resource, by its GUID; on the system's shelf.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AccountKeys {
    keys: Vec<Stored>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    name: String,
    value: String,
    made_at: Timestamp,
}

impl Record for AccountKeys {
    const TABLE: &'static str = "account-keys";
}

impl Drop for Stored {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.value)));
    }
}

/// One key.
#[derive(Clone, Debug)]
pub struct AccountKey {
    /// Its name.
    pub name: String,
    /// The key: base64 of 512 random bits.
    pub value: Secret<String>,
    /// When it was made.
    pub made_at: Timestamp,
}

impl AccountKeys {
    fn fresh<P: Keyed>(now: Timestamp) -> Result<Self> {
        let make = |name: &str| Ok(Stored { name: name.to_owned(), value: fresh_value()?, made_at: now });
        Ok(Self { keys: P::NAMES.iter().map(|name| make(name)).collect::<Result<_>>()? })
    }

    /// As they are shown.
    pub(super) fn shown(&self) -> Vec<AccountKey> {
        let show = |key: &Stored| AccountKey {
            name: key.name.clone(),
            value: Secret::new(key.value.clone()),
            made_at: key.made_at,
        };
        self.keys.iter().map(show).collect()
    }
}

/// The keys of a resource, as the server itself checks signatures with them; none for one from before there were keys that
/// nobody has looked at yet.
pub(crate) async fn keys_of(house: &House, of: Uuid) -> Result<Vec<AccountKey>> {
    let row = house.peek::<AccountKeys>(house.system(), of.as_bytes()).await?;
    Ok(row.map(|row| row.value.shown()).unwrap_or_default())
}

/// The table of keys.
pub(crate) const KEYS_TABLE: &str = AccountKeys::TABLE;

fn fresh_value() -> Result<String> {
    Ok(seal::new_account_key()?.expose().clone())
}

/// The keys of a resource. One from before there were keys gets them with `changes`.
pub(super) async fn ensure<P: Keyed>(cx: &Admission<'_>, of: Uuid, changes: &mut Changes) -> Result<Row<AccountKeys>> {
    if let Some(row) = cx.get::<AccountKeys>(cx.system(), of.as_bytes()).await? {
        return Ok(row);
    }
    let row = Row::new(of.as_bytes().as_slice(), AccountKeys::fresh::<P>(cx.now())?);
    changes.put(cx.system(), &row)?;
    Ok(row)
}

/// Removes the keys of a resource that goes.
pub(super) async fn forget(cx: &Admission<'_>, of: Uuid, changes: &mut Changes) -> Result<()> {
    if let Some(row) = cx.get::<AccountKeys>(cx.system(), of.as_bytes()).await? {
        changes.delete(cx.system(), &row);
    }
    Ok(())
}

/// Shows both keys.
#[derive(Debug)]
pub struct ListAccountKeys<P> {
    id: ResourceId,
    kind: PhantomData<fn() -> P>,
}

impl<P> ListAccountKeys<P> {
    /// Asks for the keys of this resource.
    pub fn new(id: ResourceId) -> Self {
        Self { id, kind: PhantomData }
    }
}

#[async_trait]
impl<P: Keyed> Op for ListAccountKeys<P> {
    const ACTION: Action = P::LIST;
    type Output = (Resource<P>, Vec<AccountKey>);

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        for _ in 0..ATTEMPTS {
            let (_, row) = find::<P>(cx, &self.id).await?;
            P::require_keys(&row.value)?;
            let mut changes = Changes::new();
            let keys = ensure::<P>(cx, row.value.guid, &mut changes).await?;
            let done = if changes.is_empty() { Ok(()) } else { cx.commit(changes).await };
            match done {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done.map(|()| (row.value, keys.value.shown())),
            }
        }
        Err(Error::new(Kind::Throttled, "the keys change too fast; try again"))
    }
}

/// Makes one key anew. The old one is worth nothing from then on.
#[derive(Debug)]
pub struct RegenerateAccountKey<P> {
    id: ResourceId,
    name: String,
    kind: PhantomData<fn() -> P>,
}

impl<P> RegenerateAccountKey<P> {
    /// Asks for another key of this name.
    pub fn new(id: ResourceId, name: String) -> Self {
        Self { id, name, kind: PhantomData }
    }
}

#[async_trait]
impl<P: Keyed> Op for RegenerateAccountKey<P> {
    const ACTION: Action = P::REGENERATE;
    const GUARDS: &'static [Guard] = &[Guard::KeyChange];
    type Output = (Resource<P>, Vec<AccountKey>);

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        Ok(Guarded::at(Guard::KeyChange, &self.id, json!({"key": self.name.to_ascii_lowercase()})))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let [first, second] = P::NAMES;
        let Some(name) = P::NAMES.into_iter().find(|name| name.eq_ignore_ascii_case(&self.name)) else {
            return Err(Error::invalid("keyName", format_args!("must be `{first}` or `{second}`")));
        };
        cx.note("key", name);
        for _ in 0..ATTEMPTS {
            let (_, row) = find::<P>(cx, &self.id).await?;
            P::require_keys(&row.value)?;
            let of = row.value.guid;
            let mut keys = match cx.get::<AccountKeys>(cx.system(), of.as_bytes()).await? {
                Some(keys) => keys,
                None => Row::new(of.as_bytes().as_slice(), AccountKeys::fresh::<P>(cx.now())?),
            };
            for key in keys.value.keys.iter_mut().filter(|key| key.name == name) {
                key.value = fresh_value()?;
                key.made_at = cx.now();
            }
            let mut changes = Changes::new();
            changes.put(cx.system(), &keys)?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done.map(|()| (row.value, keys.value.shown())),
            }
        }
        Err(Error::new(Kind::Throttled, "the keys change too fast; try again"))
    }
}
