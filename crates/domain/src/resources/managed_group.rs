//! The managed resource group of a workspace under a customer's key (requirement F-10): what the server keeps for it, as resources that
//! people see and that end with the workspace alone. Nothing of it is stored: it is read off the workspace, so it cannot say otherwise.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};
use uuid::Uuid;

use super::{
    Resource, ResourceGroup, ResourceType, SystemData, Workspace, collection, companions::workspaces, find, row_id,
};
use crate::gate::{Admission, Cx, Op, Row};

/// Characters of a GUID in a name.
const GUID: usize = 36;

/// What the server keeps for such a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagedPart {
    /// Its rows: the shelf of its own.
    Metadata,
    /// What its rows name: files, logs, images.
    Storage,
    /// Searching its rows, which happens where they are.
    Search,
}

impl ManagedPart {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Metadata, Self::Storage, Self::Search];

    /// The type of resource that Azure keeps the same in.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Metadata => "Microsoft.DocumentDB/databaseAccounts",
            Self::Storage => "Microsoft.Storage/storageAccounts",
            Self::Search => "Microsoft.Search/searchServices",
        }
    }

    fn of_id(id: &ResourceId) -> Option<Self> {
        let folded = id.folded();
        let is = |part: &Self| folded.contains(&format!("/providers/{}/", part.kind().to_ascii_lowercase()));
        Self::ALL.into_iter().find(is)
    }
}

/// A part as a resource.
#[derive(Clone, Debug)]
pub struct Managed {
    /// Its id.
    pub id: ResourceId,
    /// Which part.
    pub part: ManagedPart,
    /// The workspace that it is a part of.
    pub workspace: Resource<Workspace>,
}

/// Group and GUID that a group's name is made of, if it can be a managed one.
fn parts_of(group: &ResourceId) -> Option<(&str, Uuid)> {
    let name = group.name();
    let (of, guid) = name.split_at_checked(name.len().checked_sub(GUID)?)?;
    let guid = guid.parse().ok().filter(|_| !of.is_empty())?;
    Some((of, guid))
}

/// Whether the resource lies in what can be a managed group, by its name.
pub fn is_managed_name(id: &ResourceId) -> bool {
    id.resource_group().is_some_and(|group| parts_of(&group).is_some())
}

/// The managed group of a workspace: `<resource group><GUID>`; none of one that the server's own keyring holds.
pub fn managed_group_of(workspace: &Resource<Workspace>) -> Option<ResourceId> {
    workspace.properties.encryption.as_ref()?;
    let name = format!("{}{}", workspace.id.resource_group()?.name(), workspace.guid);
    ResourceId::subscription(workspace.id.subscription_id()?).child(["resourceGroups", &name]).ok()
}

/// The workspace whose managed group this is. A group that has a row of its own, since it was made before the workspace got a customer's
/// key, is nobody's: it stays what it was made as, until it is removed.
pub(super) async fn manager_of(cx: &Admission<'_>, group: &ResourceId) -> Result<Option<Resource<Workspace>>> {
    let (Some((of, guid)), Some(subscription)) = (parts_of(group), group.subscription_id()) else { return Ok(None) };
    let Ok(parent) = ResourceId::subscription(subscription).child(["resourceGroups", of]) else { return Ok(None) };
    let system = cx.system();
    if cx.get::<Resource<ResourceGroup>>(system, &row_id::<ResourceGroup>(system, group)).await?.is_some() {
        return Ok(None);
    }
    let rows = cx.all::<Resource<Workspace>>(system, &collection::<Workspace>(system, &parent)).await?;
    let found = rows.into_iter().map(|row| row.value).find(|workspace| workspace.guid == guid);
    Ok(found.filter(|workspace| workspace.properties.encryption.is_some()))
}

/// Refuses to change or remove what lies in a managed group, or the group.
///
/// # Errors
/// `Conflict` (`ManagedResourceGroup`).
pub(super) async fn refuse_managed(cx: &Admission<'_>, id: &ResourceId) -> Result<()> {
    let Some(group) = id.resource_group() else { return Ok(()) };
    match manager_of(cx, &group).await? {
        None => Ok(()),
        Some(workspace) => {
            let why = format!(
                "`{}` is managed by the workspace `{}`: it is not changed, moved or removed but with that",
                group.name(),
                workspace.id.name()
            );
            Err(Error::new(Kind::Conflict, why).coded("ManagedResourceGroup"))
        }
    }
}

/// A resource group, with the workspace that manages it if one does.
#[derive(Clone, Debug)]
pub struct Group {
    /// The group.
    pub row: Row<Resource<ResourceGroup>>,
    /// The workspace.
    pub managed_by: Option<ResourceId>,
}

fn managed(id: ResourceId, workspace: &Resource<Workspace>) -> Group {
    let system: SystemData = workspace.system.clone();
    let (guid, location, tags) = (workspace.guid, workspace.location.clone(), BTreeMap::new());
    let row = Row::new(Vec::new(), Resource { id, guid, location, tags, system, properties: ResourceGroup {} });
    Group { row, managed_by: Some(workspace.id.clone()) }
}

/// Reads one group.
#[derive(Debug)]
pub struct GetGroup {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for GetGroup {
    const ACTION: Action = ResourceGroup::READ;
    type Output = Group;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Group> {
        match find::<ResourceGroup>(cx, &self.id).await {
            Ok((_, row)) => Ok(Group { row, managed_by: None }),
            Err(fault) if fault.kind() == Kind::NotFound => {
                let manager = manager_of(cx, &self.id).await?.ok_or(fault)?;
                Ok(managed(managed_group_of(&manager).unwrap_or(self.id), &manager))
            }
            Err(fault) => Err(fault),
        }
    }
}

/// Lists the groups of a subscription that the caller may read, managed ones among them.
#[derive(Debug)]
pub struct ListGroups {
    /// The subscription.
    pub subscription: ResourceId,
}

#[async_trait]
impl Op for ListGroups {
    const ACTION: Action = ResourceGroup::READ;
    type Output = Vec<Group>;

    fn scope(&self) -> ResourceId {
        self.subscription.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<Group>> {
        let system = cx.system();
        let rows =
            cx.all::<Resource<ResourceGroup>>(system, &collection::<ResourceGroup>(system, &self.subscription)).await?;
        let own: BTreeSet<ResourceId> = rows.iter().map(|row| row.value.id.clone()).collect();
        let mut found: Vec<Group> = rows.into_iter().map(|row| Group { row, managed_by: None }).collect();
        for workspace in workspaces(cx).await? {
            let group = managed_group_of(&workspace.value);
            let group = group.filter(|group| group.is_within(&self.subscription) && !own.contains(group));
            found.extend(group.map(|group| managed(group, &workspace.value)));
        }
        found.retain(|group| cx.may(&ResourceGroup::READ, &group.row.value.id));
        found.sort_by(|a, b| a.row.value.id.cmp(&b.row.value.id));
        Ok(found)
    }
}

/// What lies in a managed group.
pub(super) fn parts(group: &ResourceId, workspace: &Resource<Workspace>) -> Result<Vec<Managed>> {
    let name = workspace.guid.to_string();
    let one = |part: ManagedPart| {
        let (provider, kind) = part.kind().split_once('/').unwrap_or_default();
        let id = group.child(["providers", provider, kind, &name]).map_err(Error::internal)?;
        Ok(Managed { id, part, workspace: workspace.clone() })
    };
    ManagedPart::ALL.into_iter().map(one).collect()
}

const READ: Action = Action::new("Microsoft.Resources/subscriptions/resourceGroups/resources/read", Class::Read);

/// Reads a part.
#[derive(Debug)]
pub struct GetManaged {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for GetManaged {
    const ACTION: Action = READ;
    type Output = Managed;

    fn scope(&self) -> ResourceId {
        self.id.resource_group().unwrap_or_else(|| self.id.clone())
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Managed> {
        let missing = || Error::not_found(format_args!("the resource `{}`", self.id));
        let group = self.id.resource_group().ok_or_else(missing)?;
        let workspace = manager_of(cx, &group).await?.ok_or_else(missing)?;
        let part = ManagedPart::of_id(&self.id);
        let found = parts(&group, &workspace)?.into_iter().find(|one| Some(one.part) == part && one.id == self.id);
        found.ok_or_else(missing)
    }
}

/// Removes a part: always refused, since it ends with its workspace.
#[derive(Debug)]
pub struct DeleteManaged {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeleteManaged {
    const ACTION: Action =
        Action::new("Microsoft.Resources/subscriptions/resourceGroups/resources/delete", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.resource_group().unwrap_or_else(|| self.id.clone())
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        refuse_managed(cx, &self.id).await?;
        Err(Error::not_found(format_args!("the resource `{}`", self.id)))
    }
}
