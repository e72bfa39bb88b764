//! Names that are part of an address: one resource's alone in the whole house, and where that resource is.

use std::{collections::BTreeSet, marker::PhantomData};

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Companion, KeyVault, Registry, Resource, ResourceType, StorageAccount, collection, companions::groups};
use crate::{
    customer_keys::CustomerKey,
    gate::{Admission, Changes, Cx, Op, Record, Row, Shelf},
};

/// Whose a name is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addressed {
    /// The resource, in the casing it was created with.
    pub id: ResourceId,
    /// Its GUID, by which its shelf is found.
    pub guid: Uuid,
}

impl Record for Addressed {
    const TABLE: &'static str = "address";
}

fn row_id<P: ResourceType>(system: &Shelf, name: &str) -> Vec<u8> {
    system.name_id::<Addressed>(&format!("{}|{}", P::TYPE, name).to_ascii_lowercase())
}

/// Who has a name.
pub(super) async fn holder<P: Companion>(cx: &Admission<'_>, name: &str) -> Result<Option<Row<Addressed>>> {
    if !P::HAS_ADDRESS {
        return Ok(None);
    }
    cx.get(cx.system(), &row_id::<P>(cx.system(), name)).await
}

/// Gives a new resource its name and a shelf of its own, once `changes` are committed. `Conflict` when the name is taken; of two
/// who take it at once, one finds its commit stale.
pub(crate) async fn found<P: Companion>(
    cx: &Admission<'_>,
    id: &ResourceId,
    guid: Uuid,
    changes: &mut Changes,
) -> Result<()> {
    found_held::<P>(cx, id, guid, None, changes).await
}

/// The same, where a customer's key closes the shelf.
pub(super) async fn found_held<P: Companion>(
    cx: &Admission<'_>,
    id: &ResourceId,
    guid: Uuid,
    key: Option<&CustomerKey>,
    changes: &mut Changes,
) -> Result<()> {
    if !P::HAS_ADDRESS {
        return Ok(());
    }
    if holder::<P>(cx, id.name()).await?.is_some() {
        let why = format!("the name `{}` is already taken; it is part of an address, so choose another", id.name());
        return Err(Error::new(Kind::Conflict, why));
    }
    let row = Row::new(row_id::<P>(cx.system(), id.name()), Addressed { id: id.clone(), guid });
    changes.put(cx.system(), &row)?;
    match key {
        Some(key) => cx.found_closed_shelf(guid, key.clone(), changes).await.map(drop),
        None => cx.found_shelf(guid, changes).map(drop),
    }
}

/// Frees the name of a resource that goes, and destroys its key: what it held cannot be read again.
pub(super) async fn end<P: Companion>(cx: &Admission<'_>, resource: &Resource<P>, changes: &mut Changes) -> Result<()> {
    let held = holder::<P>(cx, resource.id.name()).await?;
    // One that shares its name with another, from before names were one resource's alone, has neither.
    if let Some(row) = held.filter(|row| row.value.guid == resource.guid) {
        changes.delete(cx.system(), &row);
        cx.forget_shelf(resource.guid, changes).await?;
    }
    Ok(())
}

/// Finds the resource whose own name is part of the address that was asked. For the server itself: what is found is then asked for
/// as the caller.
#[derive(Debug)]
pub struct FindAddress<P> {
    name: String,
    kind: PhantomData<fn() -> P>,
}

impl<P> FindAddress<P> {
    /// Looks for this name, in any casing.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: PhantomData }
    }
}

#[async_trait]
impl<P: Companion> Op for FindAddress<P> {
    const ACTION: Action = Action::new("Microsoft.Resources/addresses/find/read", Class::Open);
    type Output = Option<Addressed>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        Ok(holder::<P>(cx, &self.name).await?.map(|row| row.value))
    }
}

/// Gives their names and shelves to the resources of releases that had none. Called when the server starts.
#[derive(Debug)]
pub struct FoundAddresses;

#[async_trait]
impl Op for FoundAddresses {
    const ACTION: Action = Action::new("Microsoft.Resources/addresses/found/action", Class::Open);
    type Output = usize;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<usize> {
        let mut changes = Changes::new();
        let mut names = BTreeSet::new();
        for group in groups(cx).await? {
            found_below::<KeyVault>(cx, &group, &mut names, &mut changes).await?;
            found_below::<StorageAccount>(cx, &group, &mut names, &mut changes).await?;
            found_below::<Registry>(cx, &group, &mut names, &mut changes).await?;
        }
        let count = names.len();
        if count > 0 {
            cx.note("founded", count.to_string());
            cx.commit(changes).await?;
        }
        Ok(count)
    }
}

/// `names` are those that were given out in this run: there may have been two of one name.
async fn found_below<P: Companion>(
    cx: &Admission<'_>,
    group: &ResourceId,
    names: &mut BTreeSet<Vec<u8>>,
    changes: &mut Changes,
) -> Result<()> {
    for row in cx.all::<Resource<P>>(cx.system(), &collection::<P>(cx.system(), group)).await? {
        let (id, guid) = (&row.value.id, row.value.guid);
        if holder::<P>(cx, id.name()).await?.is_some() {
            continue;
        }
        if names.insert(row_id::<P>(cx.system(), id.name())) {
            found::<P>(cx, id, guid, changes).await?;
        } else {
            tracing::warn!(%id, "shares its name with another resource, and so has no address of its own");
        }
    }
    Ok(())
}
