//! Lists across types and groups: what there is in a group or a subscription.

use std::{collections::BTreeMap, marker::PhantomData};

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result, SubscriptionId};

use super::{
    KeyVault, LogStore, Registry, Resource, ResourceGroup, ResourceType, StorageAccount, SystemData, Telemetry,
    UserAssignedIdentity, Workspace, collection,
    companions::workspaces,
    find,
    managed_group::{managed_group_of, manager_of, parts},
    signed_in,
};
use crate::{
    gate::{Admission, Cx, Op, Row},
    network::{PrivateEndpoint, VirtualNetwork},
};

/// A resource, whatever it is: what its envelope says.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its id.
    pub id: ResourceId,
    /// Full type name.
    pub kind: &'static str,
    /// Where.
    pub location: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// Who made and last changed it, and when.
    pub system: SystemData,
}

/// Lists the resources of a group, of those types that lie directly in groups. Only what the caller may read.
#[derive(Debug)]
pub struct ListGroupInventory {
    /// The group.
    pub group: ResourceId,
}

#[async_trait]
impl Op for ListGroupInventory {
    const ACTION: Action = Action::new("Microsoft.Resources/subscriptions/resourceGroups/resources/read", Class::Read);
    type Output = Vec<Item>;

    fn scope(&self) -> ResourceId {
        self.group.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        if let Some(workspace) = manager_of(cx, &self.group).await? {
            add_managed(&workspace, &mut items)?;
            return Ok(items);
        }
        let (_, group) = find::<ResourceGroup>(cx, &self.group).await?;
        add_all(cx, &group.value.id, &mut items).await?;
        items.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(items)
    }
}

/// The same of all groups of a subscription.
#[derive(Debug)]
pub struct ListSubscriptionInventory {
    /// The subscription.
    pub subscription: SubscriptionId,
}

#[async_trait]
impl Op for ListSubscriptionInventory {
    const ACTION: Action = Action::new("Microsoft.Resources/subscriptions/resources/read", Class::Read);
    type Output = Vec<Item>;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        let own = groups(cx, self.subscription).await?;
        for group in &own {
            add_all(cx, group, &mut items).await?;
        }
        for workspace in workspaces(cx).await? {
            let group = managed_group_of(&workspace.value);
            let group = group.filter(|group| group.is_within(&self.scope()) && !own.contains(group));
            if group.is_some_and(|group| cx.may(&ListGroupInventory::ACTION, &group)) {
                add_managed(&workspace.value, &mut items)?;
            }
        }
        items.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(items)
    }
}

/// Lists the resources of one type in all groups of a subscription. Only what the caller may read.
#[derive(Debug)]
pub struct ListInSubscription<P> {
    subscription: SubscriptionId,
    kind: PhantomData<fn() -> P>,
}

impl<P> ListInSubscription<P> {
    /// Asks for the resources of type `P` in this subscription.
    pub fn new(subscription: SubscriptionId) -> Self {
        Self { subscription, kind: PhantomData }
    }
}

#[async_trait]
impl<P: ResourceType> Op for ListInSubscription<P> {
    const ACTION: Action = P::READ;
    type Output = Vec<Row<Resource<P>>>;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let mut found = Vec::new();
        for group in groups(cx, self.subscription).await? {
            found.extend(readable::<P>(cx, &group).await?);
        }
        found.sort_by(|a, b| a.value.id.cmp(&b.value.id));
        Ok(found)
    }
}

/// Asks whether the caller holds anything in a subscription, for what is the same for all who do: which providers there are.
#[derive(Debug)]
pub struct ListProviders {
    /// The subscription.
    pub subscription: SubscriptionId,
}

#[async_trait]
impl Op for ListProviders {
    /// Whoever holds a role in one group alone may ask too, as in Azure: clients look api-versions up before they read by id.
    const ACTION: Action = Action::public("Microsoft.Resources/subscriptions/providers/list", Class::Read);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let caller = signed_in(cx)?;
        if cx.house().access().touches(caller, &ResourceId::subscription(self.subscription)) {
            return Ok(());
        }
        Err(Error::not_found(format_args!("the subscription `{}`", self.subscription)))
    }
}

async fn groups(cx: &Admission<'_>, subscription: SubscriptionId) -> Result<Vec<ResourceId>> {
    let system = cx.system();
    let all = collection::<ResourceGroup>(system, &ResourceId::subscription(subscription));
    let rows = cx.all::<Resource<ResourceGroup>>(system, &all).await?;
    Ok(rows.into_iter().map(|row| row.value.id).collect())
}

async fn readable<P: ResourceType>(cx: &Admission<'_>, group: &ResourceId) -> Result<Vec<Row<Resource<P>>>> {
    let system = cx.system();
    let mut rows = cx.all::<Resource<P>>(system, &collection::<P>(system, group)).await?;
    rows.retain(|row| cx.may(&P::READ, &row.value.id));
    Ok(rows)
}

async fn add<P: ResourceType>(cx: &Admission<'_>, group: &ResourceId, items: &mut Vec<Item>) -> Result<()> {
    let item = |row: Row<Resource<P>>| {
        let Resource { id, location, tags, system, .. } = row.value;
        Item { id, kind: P::TYPE, location, tags, system }
    };
    items.extend(readable::<P>(cx, group).await?.into_iter().map(item));
    Ok(())
}

/// What lies in a workspace's managed group.
fn add_managed(workspace: &Resource<Workspace>, items: &mut Vec<Item>) -> Result<()> {
    let Some(group) = managed_group_of(workspace) else { return Ok(()) };
    items.extend(parts(&group, workspace)?.into_iter().map(|one| Item {
        id: one.id,
        kind: one.part.kind(),
        location: workspace.location.clone(),
        tags: BTreeMap::new(),
        system: workspace.system.clone(),
    }));
    Ok(())
}

async fn add_all(cx: &Admission<'_>, group: &ResourceId, items: &mut Vec<Item>) -> Result<()> {
    add::<Workspace>(cx, group, items).await?;
    add::<KeyVault>(cx, group, items).await?;
    add::<StorageAccount>(cx, group, items).await?;
    add::<Registry>(cx, group, items).await?;
    add::<Telemetry>(cx, group, items).await?;
    add::<LogStore>(cx, group, items).await?;
    add::<UserAssignedIdentity>(cx, group, items).await?;
    add::<VirtualNetwork>(cx, group, items).await?;
    add::<PrivateEndpoint>(cx, group, items).await
}
