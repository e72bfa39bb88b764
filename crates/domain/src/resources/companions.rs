//! Companions as resources of their own: making one, removing one that nobody uses.

use std::{collections::BTreeMap, marker::PhantomData};

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, SubscriptionId, TenantId};
use uuid::Uuid;

use super::{
    KeyVault, Precondition, PutResource, Registry, Resource, ResourceGroup, ResourceType, StorageAccount, Subscription,
    Telemetry, Workspace, Written, account_keys, address, collection, find, managed_group::refuse_managed,
    managed_identity::end_managed, row_id,
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row},
    network,
};

/// What can be a companion of a workspace.
pub trait Companion: ResourceType {
    /// Whether its name is part of an address, and so is one resource's alone in the whole house. What has an address has data of
    /// its own too, under a key of its own.
    const HAS_ADDRESS: bool;

    /// A new one.
    fn fresh(tenant: TenantId) -> Self;

    /// The one that a workspace uses.
    fn of(workspace: &Workspace) -> Option<&ResourceId>;

    /// Refuses names that Azure does not allow.
    fn check_name(name: &str) -> Result<()>;
}

impl Companion for StorageAccount {
    const HAS_ADDRESS: bool = true;

    fn fresh(_: TenantId) -> Self {
        Self::default()
    }

    fn of(workspace: &Workspace) -> Option<&ResourceId> {
        Some(&workspace.storage_account)
    }

    fn check_name(name: &str) -> Result<()> {
        let fits = (3..=24).contains(&name.len()) && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        named("accountName", fits, "3 to 24 lowercase letters and digits")
    }
}

impl Companion for KeyVault {
    const HAS_ADDRESS: bool = true;

    fn fresh(tenant: TenantId) -> Self {
        Self::of_tenant(tenant)
    }

    fn of(workspace: &Workspace) -> Option<&ResourceId> {
        Some(&workspace.key_vault)
    }

    fn check_name(name: &str) -> Result<()> {
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
        let ends = name.ends_with(|c: char| c.is_ascii_alphanumeric());
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !name.contains("--");
        let fits = (3..=24).contains(&name.len()) && begins && ends && is_plain;
        named("vaultName", fits, "3 to 24 letters, digits and single `-`, beginning with a letter, not ending with `-`")
    }
}

impl Companion for Registry {
    const HAS_ADDRESS: bool = true;

    fn fresh(_: TenantId) -> Self {
        Self::with_admin(false)
    }

    fn of(workspace: &Workspace) -> Option<&ResourceId> {
        workspace.container_registry.as_ref()
    }

    fn check_name(name: &str) -> Result<()> {
        let fits = (5..=50).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric());
        named("registryName", fits, "5 to 50 letters and digits")
    }
}

impl Companion for Telemetry {
    const HAS_ADDRESS: bool = false;

    fn fresh(_: TenantId) -> Self {
        Self { instrumentation_key: Uuid::new_v4() }
    }

    fn of(workspace: &Workspace) -> Option<&ResourceId> {
        Some(&workspace.application_insights)
    }

    fn check_name(name: &str) -> Result<()> {
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.()".contains(c));
        let fits = (1..=260).contains(&name.len()) && is_plain && !name.ends_with('.');
        named("resourceName", fits, "1 to 260 letters, digits or `-_.()`, not ending with a period")
    }
}

fn named(field: &str, fits: bool, rule: &str) -> Result<()> {
    if fits { Ok(()) } else { Err(Error::invalid(field, format_args!("must be {rule}"))) }
}

/// Creates a companion, or changes its tags and place.
#[derive(Debug)]
pub struct PutCompanion<P> {
    /// Its id, directly below a resource group.
    pub id: ResourceId,
    /// Where; kept when empty.
    pub location: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// What must hold.
    pub precondition: Precondition,
    kind: PhantomData<fn() -> P>,
}

impl<P> PutCompanion<P> {
    /// Asks for this companion.
    pub fn new(id: ResourceId, location: String, tags: BTreeMap<String, String>, precondition: Precondition) -> Self {
        Self { id, location, tags, precondition, kind: PhantomData }
    }
}

#[async_trait]
impl<P: Companion> Op for PutCompanion<P> {
    const ACTION: Action = P::WRITE;
    type Output = Written<Resource<P>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let system = cx.system();
        let (_, group) = find::<ResourceGroup>(cx, &self.id.parent()).await?;
        let mut changes = Changes::new();
        let guid = Uuid::new_v4();
        let properties = match cx.get::<Resource<P>>(system, &row_id::<P>(system, &self.id)).await? {
            Some(row) => row.value.properties,
            None => {
                P::check_name(self.id.name())?;
                address::found::<P>(cx, &self.id, guid, &mut changes).await?;
                // A group that is deleted meanwhile makes this commit stale, and the reverse.
                changes.put(system, &group)?;
                P::fresh(cx.house().tenant().ok_or_else(|| Error::internal("a house without a tenant"))?)
            }
        };
        let Self { id, location, tags, precondition, .. } = self;
        PutResource { id, location, tags, properties, precondition }.apply_as(cx, changes, guid).await
    }
}

/// Whether a name can be had for a new companion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameAnswer {
    /// It can.
    Free,
    /// It is not one of this type's names; why.
    Unfit(String),
    /// It is part of somebody's address.
    Taken,
}

/// Asks whether a name can be had, for clients that ask before they create.
#[derive(Debug)]
pub struct CheckCompanionName<P> {
    subscription: SubscriptionId,
    name: String,
    kind: PhantomData<fn() -> P>,
}

impl<P> CheckCompanionName<P> {
    /// Asks for this name.
    pub fn new(subscription: SubscriptionId, name: String) -> Self {
        Self { subscription, name, kind: PhantomData }
    }

    pub(super) fn place(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }
}

impl<P: Companion> CheckCompanionName<P> {
    pub(super) async fn answer(&self, cx: &Admission<'_>) -> Result<NameAnswer> {
        if let Err(why) = P::check_name(&self.name) {
            return Ok(NameAnswer::Unfit(why.public().to_owned()));
        }
        let holder = address::holder::<P>(cx, &self.name).await?;
        Ok(if holder.is_some() { NameAnswer::Taken } else { NameAnswer::Free })
    }
}

#[async_trait]
impl Op for CheckCompanionName<StorageAccount> {
    const ACTION: Action = Action::new("Microsoft.Storage/checkNameAvailability/read", Class::Read);
    type Output = NameAnswer;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<NameAnswer> {
        if let Err(why) = StorageAccount::check_name(&self.name) {
            return Ok(NameAnswer::Unfit(why.public().to_owned()));
        }
        let holder = address::holder::<StorageAccount>(cx, &self.name).await?;
        Ok(if holder.is_some() { NameAnswer::Taken } else { NameAnswer::Free })
    }
}

#[async_trait]
impl Op for CheckCompanionName<KeyVault> {
    const ACTION: Action = Action::new("Microsoft.KeyVault/checkNameAvailability/read", Class::Read);
    type Output = NameAnswer;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<NameAnswer> {
        if let Err(why) = KeyVault::check_name(&self.name) {
            return Ok(NameAnswer::Unfit(why.public().to_owned()));
        }
        let holder = address::holder::<KeyVault>(cx, &self.name).await?;
        Ok(if holder.is_some() { NameAnswer::Taken } else { NameAnswer::Free })
    }
}

/// Every resource group there is.
pub(super) async fn groups(cx: &Admission<'_>) -> Result<Vec<ResourceId>> {
    let system = cx.system();
    let mut found = Vec::new();
    for subscription in cx.all::<Subscription>(system, b"").await? {
        let place = collection::<ResourceGroup>(system, &ResourceId::subscription(subscription.value.id));
        found.extend(cx.all::<Resource<ResourceGroup>>(system, &place).await?.into_iter().map(|row| row.value.id));
    }
    Ok(found)
}

/// Every resource of a type that lies directly below a resource group.
pub(crate) async fn everywhere<P: ResourceType>(cx: &Admission<'_>) -> Result<Vec<Row<Resource<P>>>> {
    let system = cx.system();
    let mut found = Vec::new();
    for group in groups(cx).await? {
        found.extend(cx.all::<Resource<P>>(system, &collection::<P>(system, &group)).await?);
    }
    Ok(found)
}

/// Every workspace there is.
pub(super) async fn workspaces(cx: &Admission<'_>) -> Result<Vec<Row<Resource<Workspace>>>> {
    let system = cx.system();
    let mut found = Vec::new();
    for group in groups(cx).await? {
        found.extend(cx.all::<Resource<Workspace>>(system, &collection::<Workspace>(system, &group)).await?);
    }
    Ok(found)
}

/// Removes a companion, with what access was given to it. Refused while a workspace uses it.
#[derive(Debug)]
pub struct DeleteCompanion<P> {
    id: ResourceId,
    kind: PhantomData<fn() -> P>,
}

impl<P> DeleteCompanion<P> {
    /// Asks for the removal of this companion.
    pub fn new(id: ResourceId) -> Self {
        Self { id, kind: PhantomData }
    }
}

#[async_trait]
impl<P: Companion> Op for DeleteCompanion<P> {
    const ACTION: Action = P::DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        refuse_managed(cx, &self.id).await?;
        let (shelf, row) = find::<P>(cx, &self.id).await?;
        let users = workspaces(cx).await?;
        if let Some(user) = users.iter().find(|user| P::of(&user.value.properties) == Some(&self.id)) {
            let name = user.value.id.name();
            let why = format!("the workspace `{name}` uses `{}`; delete the workspace first", self.id);
            return Err(Error::new(Kind::Conflict, why));
        }
        let mut changes = Changes::new();
        changes.delete(&shelf, &row);
        account_keys::forget(cx, row.value.guid, &mut changes).await?;
        network::forget(cx, &mut changes, row.value.guid.into()).await?;
        address::end(cx, &row.value, &mut changes).await?;
        end_managed(cx, &mut changes, &self.id).await?;
        cx.commit(changes).await
    }
}
