//! The server's own purge of deleted objects whose time is over.

use std::marker::PhantomData;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Kind as Fault, ResourceId, Result};

use super::{
    Certificate, Key, Kind, ObjectName, Secret,
    delete::purge,
    object::{Object, Resting},
    opened::{open, scope_of},
};
use crate::{
    gate::{Cx, House, Op, enter},
    resources::{Addressed, every_vault},
};

/// The vaults there are. It changes nothing, and so leaves no record.
pub(super) struct ListVaults;

#[async_trait]
impl Op for ListVaults {
    const ACTION: Action = Action::new("Microsoft.KeyVault/vaults/purgeDue/action", Class::Open);
    type Output = Vec<Addressed>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        every_vault(cx).await
    }
}

/// The deleted objects of a vault whose time is over.
struct ListDue<K> {
    vault: Addressed,
    kind: PhantomData<fn() -> K>,
}

#[async_trait]
impl<K: Kind> Op for ListDue<K> {
    const ACTION: Action = ListVaults::ACTION;
    type Output = Vec<ObjectName>;

    fn scope(&self) -> ResourceId {
        self.vault.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let opened = open(cx, &self.vault).await?;
        let mut due = Vec::new();
        for resting in cx.all::<Resting<K>>(&opened.shelf, b"").await? {
            if resting.value.purge_at <= cx.now()
                && let Some(row) = cx.get::<Object<K>>(&opened.shelf, &resting.id).await?
                // What came with a certificate goes with it.
                && !row.value.is_managed
            {
                due.push(ObjectName::new(&row.value.name)?);
            }
        }
        Ok(due)
    }
}

/// Purges one of them. One that was recovered meanwhile is `NotFound`, or makes it `Stale`.
struct PurgeDue<K> {
    vault: Addressed,
    name: ObjectName,
    kind: PhantomData<fn() -> K>,
}

#[async_trait]
impl<K: Kind> Op for PurgeDue<K> {
    const ACTION: Action = K::PURGE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        scope_of::<K>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let opened = open(cx, &self.vault).await?;
        let (_, deletion) = opened.deleted::<K>(cx, &self.name).await?;
        if deletion.purge_at > cx.now() {
            return Ok(());
        }
        purge::<K>(cx, &opened, &self.name).await
    }
}

/// Purges the deleted objects of all vaults whose time is over, also where purging is otherwise protected against.
///
/// # Errors
/// When the vaults cannot be listed; what fails for one vault or object is logged and left to the next look.
pub async fn purge_objects_due(house: &House) -> Result<()> {
    for vault in enter(house, &Caller::house(), ListVaults).await? {
        let looked = [
            purge_in::<Certificate>(house, &vault).await,
            purge_in::<Secret>(house, &vault).await,
            purge_in::<Key>(house, &vault).await,
        ];
        for looked in looked {
            if let Err(fault) = looked {
                tracing::warn!(vault = %vault.id, ?fault, "what is due in a vault could not be found out");
            }
        }
    }
    Ok(())
}

async fn purge_in<K: Kind>(house: &House, vault: &Addressed) -> Result<()> {
    let due = ListDue::<K> { vault: vault.clone(), kind: PhantomData };
    let due = match enter(house, &Caller::house(), due).await {
        // It was deleted since.
        Err(fault) if fault.kind() == Fault::NotFound => return Ok(()),
        due => due?,
    };
    for name in due {
        let op = PurgeDue::<K> { vault: vault.clone(), name, kind: PhantomData };
        if let Err(fault) = enter(house, &Caller::house(), op).await {
            tracing::warn!(vault = %vault.id, ?fault, "a deleted object of a vault could not be purged");
        }
    }
    Ok(())
}
