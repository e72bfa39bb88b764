//! The envelope that all resources share, and the operations on it.

use std::{collections::BTreeMap, marker::PhantomData};

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, Timestamp, Who, WorkspaceId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{Workspace, name};
use crate::{
    gate::{Admission, Changes, Cx, Op, Record, Row, Shelf},
    governance::amend,
};

/// The properties of one resource type.
pub trait ResourceType: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Full type name: `Microsoft.MachineLearningServices/workspaces/datastores`.
    const TYPE: &'static str;
    /// Permission to read one.
    const READ: Action;
    /// Permission to create or change one.
    const WRITE: Action;
    /// Permission to delete one.
    const DELETE: Action;

    /// Refuses names and properties that this type does not allow.
    fn check(&self, id: &ResourceId) -> Result<()> {
        let _ = id;
        Ok(())
    }
}

/// A resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "P: ResourceType")]
pub struct Resource<P> {
    /// Its id, in the casing it was created with.
    pub id: ResourceId,
    /// Never reused, unlike the name.
    pub guid: Uuid,
    /// Any location name is accepted; `local` is the default.
    pub location: String,
    /// Free labels.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Who made and last changed it, and when.
    pub system: SystemData,
    /// What it is.
    pub properties: P,
}

impl<P: ResourceType> Record for Resource<P> {
    const TABLE: &'static str = "resource";
}

/// Who made and last changed a resource, and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemData {
    /// Object id of who made it; empty for the server itself.
    pub created_by: String,
    /// `User`, `Application` or `ManagedIdentity`.
    pub created_by_type: String,
    /// When.
    pub created_at: Timestamp,
    /// Object id of who changed it last.
    pub last_modified_by: String,
    /// What that is.
    pub last_modified_by_type: String,
    /// When.
    pub last_modified_at: Timestamp,
}

impl SystemData {
    /// For something made now.
    pub(crate) fn new(cx: &Admission<'_>) -> Self {
        let (by, kind) = initiator(cx);
        let now = cx.now();
        Self {
            created_by: by.clone(),
            created_by_type: kind.clone(),
            created_at: now,
            last_modified_by: by,
            last_modified_by_type: kind,
            last_modified_at: now,
        }
    }

    /// For something changed now.
    pub(crate) fn touch(&mut self, cx: &Admission<'_>) {
        (self.last_modified_by, self.last_modified_by_type) = initiator(cx);
        self.last_modified_at = cx.now();
    }
}

fn initiator(cx: &Admission<'_>) -> (String, String) {
    match &cx.caller().who {
        Who::Principal(principal) => {
            let kind = if principal.kind == kernel::PrincipalKind::User { "User" } else { "Application" };
            (principal.id.to_string(), kind.to_owned())
        }
        Who::Run(run) => (run.on_behalf_of.to_string(), String::from("ManagedIdentity")),
        Who::Keyed(_) | Who::House | Who::Nobody => (String::new(), String::from("ManagedIdentity")),
    }
}

/// `If-Match` and `If-None-Match: *` (RFC 9110 §13.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct Precondition {
    /// The version that must be the present one.
    pub version: Option<u64>,
    /// It must not exist.
    pub absent: bool,
    /// It must exist, at whatever version.
    pub present: bool,
}

impl Precondition {
    /// Refuses as `Stale` when the present state differs.
    pub(crate) fn hold<T>(&self, present: Option<&Row<T>>) -> Result<()> {
        let version = present.map_or(0, |row| row.version);
        let holds = self.version.is_none_or(|wanted| wanted == version && version > 0)
            && !(self.absent && version > 0)
            && !(self.present && version == 0);
        if holds {
            Ok(())
        } else {
            Err(Error::new(Kind::Stale, "the precondition on the resource's ETag does not hold"))
        }
    }
}

/// The prefix of all resources of type `P` directly below a parent.
pub(crate) fn collection<P: ResourceType>(shelf: &Shelf, parent: &ResourceId) -> Vec<u8> {
    shelf.name_id::<Resource<P>>(&format!("{}|{}", parent.folded(), P::TYPE.to_ascii_lowercase()))
}

/// The row id of a resource: its collection, then itself.
pub(crate) fn row_id<P: ResourceType>(shelf: &Shelf, id: &ResourceId) -> Vec<u8> {
    let mut row = collection::<P>(shelf, &owner_of(id));
    row.extend(shelf.name_id::<Resource<P>>(id.folded()));
    row
}

/// The resource one level up, by which collections are listed: `workspaces/w/models/m/versions/1` belongs to `models/m`.
fn owner_of(id: &ResourceId) -> ResourceId {
    id.parent()
}

/// The shelf a resource lies on: its workspace's, or the system's.
pub(crate) async fn shelf_for(cx: &Admission<'_>, id: &ResourceId) -> Result<Shelf> {
    match id.workspace() {
        Some(workspace) if workspace != *id => Ok(workspace_shelf(cx, id).await?.0),
        _ => Ok(cx.system().clone()),
    }
}

/// The workspace that a scope is or lies in, with its shelf.
pub async fn workspace_shelf(cx: &Admission<'_>, scope: &ResourceId) -> Result<(Shelf, Row<Resource<Workspace>>)> {
    let id = scope.workspace().ok_or_else(|| Error::not_found("a workspace in the address"))?;
    let system = cx.system();
    let row = cx.get::<Resource<Workspace>>(system, &row_id::<Workspace>(system, &id)).await?;
    let row = row.ok_or_else(|| Error::not_found(format_args!("the resource `{id}`")))?;
    cx.meter(row.value.guid, row.value.properties.throughput)?;
    let shelf = cx.shelf(WorkspaceId::from(row.value.guid)).await?;
    Ok((shelf, row))
}

/// Reads a resource that must exist.
pub(crate) async fn find<P: ResourceType>(cx: &Admission<'_>, id: &ResourceId) -> Result<(Shelf, Row<Resource<P>>)> {
    let shelf = shelf_for(cx, id).await?;
    let row = cx.get::<Resource<P>>(&shelf, &row_id::<P>(&shelf, id)).await?;
    let row = row.ok_or_else(|| Error::not_found(format_args!("the resource `{id}`")))?;
    Ok((shelf, row))
}

/// Reads one.
#[derive(Debug)]
pub struct GetResource<P> {
    id: ResourceId,
    kind: PhantomData<fn() -> P>,
}

impl<P> GetResource<P> {
    /// Asks for the resource with this id.
    pub fn new(id: ResourceId) -> Self {
        Self { id, kind: PhantomData }
    }
}

#[async_trait]
impl<P: ResourceType> Op for GetResource<P> {
    const ACTION: Action = P::READ;
    type Output = Row<Resource<P>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        Ok(find::<P>(cx, &self.id).await?.1)
    }
}

/// Lists those directly below a parent, by name.
#[derive(Debug)]
pub struct ListResources<P> {
    parent: ResourceId,
    kind: PhantomData<fn() -> P>,
}

impl<P> ListResources<P> {
    /// Asks for the resources of type `P` below this parent.
    pub fn new(parent: ResourceId) -> Self {
        Self { parent, kind: PhantomData }
    }
}

#[async_trait]
impl<P: ResourceType> Op for ListResources<P> {
    const ACTION: Action = P::READ;
    type Output = Vec<Row<Resource<P>>>;

    fn scope(&self) -> ResourceId {
        self.parent.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        // The parent itself may be a workspace, whose children lie on its own shelf.
        let shelf = match self.parent.workspace() {
            Some(_) => workspace_shelf(cx, &self.parent).await?.0,
            None => cx.system().clone(),
        };
        let mut rows = cx.all::<Resource<P>>(&shelf, &collection::<P>(&shelf, &self.parent)).await?;
        rows.retain(|row| cx.may(&P::READ, &row.value.id));
        rows.sort_by(|a, b| a.value.id.cmp(&b.value.id));
        Ok(rows)
    }
}

/// What a write did.
#[derive(Clone, Debug)]
pub struct Written<T> {
    /// The resource as it is now.
    pub row: Row<T>,
    /// Whether it was new.
    pub is_new: bool,
}

/// Creates one, or replaces its tags and properties.
#[derive(Debug)]
pub struct PutResource<P> {
    /// Its id.
    pub id: ResourceId,
    /// Where; kept from the present one when empty.
    pub location: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// What it shall be.
    pub properties: P,
    /// What must hold.
    pub precondition: Precondition,
}

#[async_trait]
impl<P: ResourceType> Op for PutResource<P> {
    const ACTION: Action = P::WRITE;
    type Output = Written<Resource<P>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        self.apply(cx).await
    }
}

impl<P: ResourceType> PutResource<P> {
    /// The write itself, for operations that check more before it.
    pub(crate) async fn apply(self, cx: &Admission<'_>) -> Result<Written<Resource<P>>> {
        self.apply_with(cx, Changes::new()).await
    }

    /// The write together with other changes.
    pub(crate) async fn apply_with(self, cx: &Admission<'_>, changes: Changes) -> Result<Written<Resource<P>>> {
        self.apply_as(cx, changes, Uuid::new_v4()).await
    }

    /// The write together with other changes, which name a new resource by this GUID.
    pub(crate) async fn apply_as(
        self,
        cx: &Admission<'_>,
        mut changes: Changes,
        fresh: Uuid,
    ) -> Result<Written<Resource<P>>> {
        name::check_tags(&self.tags)?;
        name::check_words("location", &self.location)?;
        self.properties.check(&self.id)?;
        let shelf = shelf_for(cx, &self.id).await?;
        let row_id = row_id::<P>(&shelf, &self.id);
        let present = cx.get::<Resource<P>>(&shelf, &row_id).await?;
        self.precondition.hold(present.as_ref())?;
        let is_new = present.is_none();
        let mut row = match present {
            Some(mut row) => {
                row.value.system.touch(cx);
                row
            }
            None => Row::new(
                row_id,
                Resource {
                    id: self.id,
                    guid: fresh,
                    location: String::new(),
                    tags: BTreeMap::new(),
                    system: SystemData::new(cx),
                    properties: self.properties.clone(),
                },
            ),
        };
        if !self.location.is_empty() {
            row.value.location = self.location;
        }
        row.value.tags = self.tags;
        row.value.properties = self.properties;
        amend(cx, &mut row.value, None)?;
        changes.put(&shelf, &row)?;
        cx.commit(changes).await?;
        row.version = row.version.saturating_add(1);
        Ok(Written { row, is_new })
    }
}

/// Removes one. `NotFound` when it is not there.
#[derive(Debug)]
pub struct DeleteResource<P> {
    id: ResourceId,
    kind: PhantomData<fn() -> P>,
}

impl<P> DeleteResource<P> {
    /// Asks for the removal of the resource with this id.
    pub fn new(id: ResourceId) -> Self {
        Self { id, kind: PhantomData }
    }
}

#[async_trait]
impl<P: ResourceType> Op for DeleteResource<P> {
    const ACTION: Action = P::DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, row) = find::<P>(cx, &self.id).await?;
        let mut changes = Changes::new();
        changes.delete(&shelf, &row);
        cx.commit(changes).await
    }
}
