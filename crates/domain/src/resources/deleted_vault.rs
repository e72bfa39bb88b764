//! Vaults that were deleted: they rest with their key, can be recovered, and are purged when their time is over.
//!
//! **Invariant:** while a vault rests, its row and its key are where nobody looks for them. **Invariant:** its name is nobody else's
//! until it is purged, and protection against purging holds to its end.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result, SubscriptionId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Companion, KeyVault, Resource, ResourceGroup, ResourceType, Workspace, Written, address, collection,
    companions::workspaces, find, row_id,
};
use crate::{
    access::remove_within,
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Record, Row, Shelf},
    governance::amend,
    network,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A deleted vault. On the system's shelf, by its name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeletedVault {
    /// The vault as it was.
    pub vault: Resource<KeyVault>,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// When it is purged by the server itself.
    pub purge_at: Timestamp,
}

impl Record for DeletedVault {
    const TABLE: &'static str = "deleted-vault";
}

fn deleted_id(system: &Shelf, name: &str) -> Vec<u8> {
    system.name_id::<DeletedVault>(&name.to_ascii_lowercase())
}

/// The deleted vault that has this name, if one rests.
pub(super) async fn resting(cx: &Admission<'_>, name: &str) -> Result<Option<Row<DeletedVault>>> {
    cx.get::<DeletedVault>(cx.system(), &deleted_id(cx.system(), name)).await
}

/// What whoever wants the name of a deleted vault is told.
pub(super) fn rests(deleted: &DeletedVault) -> Error {
    let (name, until) = (deleted.vault.id.name(), deleted.purge_at.rfc3339());
    let why = format!(
        "a vault named `{name}` is deleted and rests until {until}: recover it (`createMode` `recover`, in its own resource group), or \
         purge it"
    );
    Error::new(Kind::Conflict, why)
}

/// Lets a vault rest, with `changes`: its key with it, so that no door finds what it holds.
async fn lay_to_rest(cx: &Admission<'_>, row: Row<Resource<KeyVault>>, changes: &mut Changes) -> Result<()> {
    let now = cx.now();
    let days = u32::from(row.value.properties.retention_days);
    let deleted =
        DeletedVault { vault: row.value.clone(), deleted_at: now, purge_at: now.plus(DAY.saturating_mul(days)) };
    cx.note("purgeAt", deleted.purge_at.rfc3339());
    cx.rest_shelf(row.value.guid, changes).await?;
    changes.delete(cx.system(), &row);
    changes.put(cx.system(), &Row::new(deleted_id(cx.system(), row.value.id.name()), deleted))?;
    Ok(())
}

/// Lets all vaults of a resource group rest that goes itself.
pub(super) async fn rest_all(cx: &Admission<'_>, group: &ResourceId, changes: &mut Changes) -> Result<()> {
    for row in cx.all::<Resource<KeyVault>>(cx.system(), &collection::<KeyVault>(cx.system(), group)).await? {
        lay_to_rest(cx, row, changes).await?;
    }
    Ok(())
}

/// Deletes a vault: it rests with what it holds. Refused while a workspace uses it.
#[derive(Debug)]
pub struct DeleteVault {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeleteVault {
    const ACTION: Action = KeyVault::DELETE;
    const GUARDS: &'static [Guard] = &[Guard::Purge];
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        // The purge comes by itself: to delete it is to begin that.
        Ok(Guarded::at(Guard::Purge, &self.id, json!({})))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (_, row) = find::<KeyVault>(cx, &self.id).await?;
        let is_user = |user: &Row<Resource<Workspace>>| KeyVault::of(&user.value.properties) == Some(&self.id);
        if let Some(user) = workspaces(cx).await?.iter().find(|user| is_user(user)) {
            let name = user.value.id.name();
            let why = format!("the workspace `{name}` uses `{}`; delete the workspace first", self.id);
            return Err(Error::new(Kind::Conflict, why));
        }
        let mut changes = Changes::new();
        lay_to_rest(cx, row, &mut changes).await?;
        cx.commit(changes).await
    }
}

/// Puts a resting vault back where it was, with everything it held and the roles that were given there.
///
/// # Errors
/// `NotFound` when its resource group is gone.
pub(super) async fn recover(cx: &Admission<'_>, deleted: Row<DeletedVault>) -> Result<Written<Resource<KeyVault>>> {
    let mut vault = deleted.value.vault.clone();
    let (system, group) = find::<ResourceGroup>(cx, &vault.id.parent()).await?;
    let mut changes = Changes::new();
    changes.put(&system, &group)?;
    changes.delete(&system, &deleted);
    cx.reopen_shelf(cx.open_resting(vault.guid).await?, &mut changes)?;
    vault.system.touch(cx);
    amend(cx, &mut vault, None)?;
    let mut row = Row::new(row_id::<KeyVault>(&system, &vault.id), vault);
    changes.put(&system, &row)?;
    cx.note("recovered", deleted.value.deleted_at.rfc3339());
    cx.commit(changes).await?;
    row.version = row.version.saturating_add(1);
    Ok(Written { row, is_new: false })
}

/// Destroys the key of a deleted vault: nothing that it held can be read again here. Backups of its objects open as long as the server's own keyring does.
async fn purge(cx: &Admission<'_>, deleted: &Row<DeletedVault>) -> Result<()> {
    // Roles go with it, and their changes wait for one another.
    let _turn = cx.house().assigning.lock().await;
    let vault = &deleted.value.vault;
    let mut changes = Changes::new();
    changes.delete(cx.system(), deleted);
    address::end(cx, vault, &mut changes).await?;
    network::forget(cx, &mut changes, vault.guid.into()).await?;
    remove_within(cx, std::slice::from_ref(&vault.id), &[], &mut changes).await?;
    cx.note("vault", vault.id.to_string());
    cx.note("purged", "true");
    cx.commit(changes).await
}

/// Lists deleted vaults of a subscription that the caller may read.
#[derive(Debug)]
pub struct ListDeletedVaults {
    /// The subscription.
    pub subscription: SubscriptionId,
}

#[async_trait]
impl Op for ListDeletedVaults {
    const ACTION: Action = Action::new("Microsoft.KeyVault/deletedVaults/read", Class::Read);
    type Output = Vec<Row<DeletedVault>>;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let mut rows = cx.all::<DeletedVault>(cx.system(), b"").await?;
        rows.retain(|row| row.value.vault.id.subscription_id() == Some(self.subscription));
        rows.sort_by(|a, b| a.value.vault.id.cmp(&b.value.vault.id));
        Ok(rows)
    }
}

async fn find_deleted(cx: &Admission<'_>, subscription: SubscriptionId, name: &str) -> Result<Row<DeletedVault>> {
    let found = resting(cx, name).await?;
    let found = found.filter(|row| row.value.vault.id.subscription_id() == Some(subscription));
    found.ok_or_else(|| Error::not_found(format_args!("the deleted vault `{name}`")).coded("DeletedVaultNotFound"))
}

/// Reads a deleted vault.
#[derive(Debug)]
pub struct GetDeletedVault {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The vault's name.
    pub name: String,
}

#[async_trait]
impl Op for GetDeletedVault {
    const ACTION: Action = Action::new("Microsoft.KeyVault/locations/deletedVaults/read", Class::Read);
    type Output = Row<DeletedVault>;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        find_deleted(cx, self.subscription, &self.name).await
    }
}

/// Finds where a deleted vault was. For the server itself: what is found is then asked for as the caller.
#[derive(Debug)]
pub struct FindDeletedVault {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The vault's name.
    pub name: String,
}

#[async_trait]
impl Op for FindDeletedVault {
    const ACTION: Action = Action::new("Microsoft.KeyVault/locations/deletedVaults/find/read", Class::Open);
    type Output = Option<ResourceId>;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        match find_deleted(cx, self.subscription, &self.name).await {
            Ok(row) => Ok(Some(row.value.vault.id)),
            Err(fault) if fault.kind() == Kind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

/// Purges a deleted vault before its time. Refused where it is protected against that.
#[derive(Debug)]
pub struct PurgeVault {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The vault's name.
    pub name: String,
    /// The vault itself, as it was found: rules about its purge may be where it was.
    pub vault: Option<ResourceId>,
}

#[async_trait]
impl Op for PurgeVault {
    const ACTION: Action = Action::new("Microsoft.KeyVault/locations/deletedVaults/purge/action", Class::Control);
    const GUARDS: &'static [Guard] = &[Guard::Purge];
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        let place = self.vault.clone().unwrap_or_else(|| self.scope());
        Ok(Guarded::at(Guard::Purge, &place, json!({"vault": self.name.to_ascii_lowercase()})))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let deleted = find_deleted(cx, self.subscription, &self.name).await?;
        if self.vault.as_ref() != Some(&deleted.value.vault.id) {
            return Err(Error::new(Kind::Conflict, "the vault was deleted while it was looked up; try again"));
        }
        if deleted.value.vault.properties.purge_protection {
            let until = deleted.value.purge_at.rfc3339();
            let why = format!("the vault `{}` is protected against purging: it ends at {until}", self.name);
            return Err(Error::new(Kind::Denied, why).coded("OperationNotAllowed"));
        }
        purge(cx, &deleted).await
    }
}

/// The deleted vaults whose time is over. It changes nothing, and so leaves no record.
pub(crate) struct ListDueVaults;

#[async_trait]
impl Op for ListDueVaults {
    const ACTION: Action = Action::new("Microsoft.KeyVault/vaults/purgeDue/action", Class::Open);
    type Output = Vec<Row<DeletedVault>>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let mut rows = cx.all::<DeletedVault>(cx.system(), b"").await?;
        rows.retain(|row| row.value.purge_at <= cx.now());
        Ok(rows)
    }
}

/// Purges a vault that has rested its time. One that was recovered meanwhile makes it `Stale`.
pub(crate) struct PurgeDueVault {
    /// As it was found.
    pub(crate) deleted: Row<DeletedVault>,
}

#[async_trait]
impl Op for PurgeDueVault {
    const ACTION: Action = KeyVault::DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.deleted.value.vault.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        purge(cx, &self.deleted).await
    }
}
