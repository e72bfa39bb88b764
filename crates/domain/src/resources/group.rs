//! Resource groups.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Companion, KeyVault, LogStore, Precondition, PutResource, Registry, Resource, ResourceType, StorageAccount,
    Subscription, Telemetry, UserAssignedIdentity, Workspace, Written, account_keys, address, collection,
    companions::workspaces, deleted_vault::rest_all, deleted_workspace::resting_within, find,
    managed_group::refuse_managed, managed_identity::end_managed, name,
};
use crate::{
    alerts::{ActionGroup, MetricAlert, end_receivers},
    deployments::forget_deployments,
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Shelf},
    network::{self, remove_networks},
};

/// A resource group: a scope for resources and for access.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResourceGroup {}

impl ResourceType for ResourceGroup {
    const TYPE: &'static str = "Microsoft.Resources/resourceGroups";
    const READ: Action = Action::new("Microsoft.Resources/subscriptions/resourceGroups/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.Resources/subscriptions/resourceGroups/write", Class::Control);
    const DELETE: Action = Action::new("Microsoft.Resources/subscriptions/resourceGroups/delete", Class::Control);

    fn check(&self, id: &ResourceId) -> Result<()> {
        let name = id.name();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '(' | ')');
        if (1..=90).contains(&name.len()) && name.chars().all(fits) && !name.ends_with('.') {
            return Ok(());
        }
        Err(Error::invalid("resourceGroupName", "must be 1 to 90 letters, digits or `-_.()`, not ending with a period"))
    }
}

/// Creates or updates a resource group.
#[derive(Debug)]
pub struct PutResourceGroup {
    /// Its id.
    pub id: ResourceId,
    /// Where.
    pub location: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

#[async_trait]
impl Op for PutResourceGroup {
    const ACTION: Action = ResourceGroup::WRITE;
    type Output = Written<Resource<ResourceGroup>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        refuse_managed(cx, &self.id).await?;
        let missing = || Error::not_found("the subscription");
        let subscription = self.id.subscription_id().ok_or_else(missing)?;
        cx.get::<Subscription>(cx.system(), subscription.as_bytes()).await?.ok_or_else(missing)?;
        name::check_tags(&self.tags)?;
        let put = PutResource {
            id: self.id,
            location: self.location,
            tags: self.tags,
            properties: ResourceGroup {},
            precondition: Precondition::default(),
        };
        put.apply(cx).await
    }
}

/// Removes a resource group with the companions left in it; its vaults rest. Refused while it holds workspaces,
/// deleted ones that can still be recovered included.
#[derive(Debug)]
pub struct DeleteResourceGroup {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeleteResourceGroup {
    const ACTION: Action = ResourceGroup::DELETE;
    const GUARDS: &'static [Guard] = &[Guard::Purge, Guard::Rule];
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    fn guarded(&self, house: &House, _: &Caller) -> Result<Guarded> {
        let mut guarded = Guarded::at(Guard::Purge, &self.id, json!({}));
        guarded.places.rules = house.access().rules_within(&self.id);
        Ok(guarded)
    }

    fn removes(&self) -> Option<&ResourceId> {
        Some(&self.id)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        refuse_managed(cx, &self.id).await?;
        let (shelf, row) = find::<ResourceGroup>(cx, &self.id).await?;
        let workspaces = cx.all::<Resource<Workspace>>(&shelf, &collection::<Workspace>(&shelf, &self.id)).await?;
        if let Some(first) = workspaces.first() {
            let why = format!("the resource group holds the workspace `{}`; delete it first", first.value.id.name());
            return Err(Error::new(Kind::Conflict, why));
        }
        if let Some(first) = resting_within(cx, &self.id).await?.first() {
            let name = first.value.workspace.id.name();
            let why = format!("the resource group holds the deleted workspace `{name}`; purge or recover it first");
            return Err(Error::new(Kind::Conflict, why));
        }
        require_unused(cx, &self.id).await?;
        let mut changes = Changes::new();
        changes.delete(&shelf, &row);
        remove_companions::<StorageAccount>(cx, &shelf, &self.id, &mut changes).await?;
        rest_all(cx, &self.id, &mut changes).await?;
        remove_companions::<Telemetry>(cx, &shelf, &self.id, &mut changes).await?;
        remove_all::<LogStore>(cx, &shelf, &self.id, &mut changes).await?;
        remove_companions::<Registry>(cx, &shelf, &self.id, &mut changes).await?;
        remove_all::<MetricAlert>(cx, &shelf, &self.id, &mut changes).await?;
        for row in cx.all::<Resource<ActionGroup>>(&shelf, &collection::<ActionGroup>(&shelf, &self.id)).await? {
            end_receivers(cx, &mut changes, &row.value.id).await?;
            changes.delete(&shelf, &row);
        }
        forget_deployments(cx, &self.id, &mut changes).await?;
        remove_networks(cx, &shelf, &self.id, &mut changes).await?;
        remove_all::<UserAssignedIdentity>(cx, &shelf, &self.id, &mut changes).await?;
        end_managed(cx, &mut changes, &self.id).await?;
        cx.require_contents(&self.id).await?;
        cx.commit(changes).await
    }
}

async fn remove_companions<P: Companion>(
    cx: &Admission<'_>,
    shelf: &Shelf,
    parent: &ResourceId,
    changes: &mut Changes,
) -> Result<()> {
    for row in cx.all::<Resource<P>>(shelf, &collection::<P>(shelf, parent)).await? {
        account_keys::forget(cx, row.value.guid, changes).await?;
        network::forget(cx, changes, row.value.guid.into()).await?;
        address::end(cx, &row.value, changes).await?;
        changes.delete(shelf, &row);
    }
    Ok(())
}

async fn remove_all<P: ResourceType>(
    cx: &Admission<'_>,
    shelf: &Shelf,
    parent: &ResourceId,
    changes: &mut Changes,
) -> Result<()> {
    for row in cx.all::<Resource<P>>(shelf, &collection::<P>(shelf, parent)).await? {
        changes.delete(shelf, &row);
    }
    Ok(())
}

/// Refuses while a workspace of another group uses a companion in this one.
async fn require_unused(cx: &Admission<'_>, group: &ResourceId) -> Result<()> {
    for user in workspaces(cx).await? {
        let used = &user.value.properties;
        let ids = [StorageAccount::of(used), KeyVault::of(used), Telemetry::of(used), Registry::of(used)];
        if let Some(id) = ids.into_iter().flatten().find(|id| id.is_within(group)) {
            let why = format!("the workspace `{}` uses `{id}`; delete the workspace first", user.value.id.name());
            return Err(Error::new(Kind::Conflict, why));
        }
    }
    Ok(())
}
