//! The workspace's registry companion, made when the first image is built (requirement K-02): what is built is pushed there.

use std::collections::BTreeMap;

use kernel::{Error, Kind, ResourceId, Result, WorkspaceId};
use uuid::Uuid;

use crate::{
    gate::{Admission, Changes, Row, Shelf},
    governance::amend,
    resources::{
        Registry, Resource, ResourceType, SystemData, Workspace, companion_name, find, found_address, grant_registry,
        require_for_images, row_id, workspace_shelf,
    },
};

/// How often two builders of the first image try again.
const ATTEMPTS: usize = 8;

/// The registry that images of a workspace go to.
pub(super) struct Home {
    /// Its GUID.
    pub(super) guid: Uuid,
    /// Its own shelf.
    pub(super) shelf: Shelf,
}

/// The registry of the workspace that is asked about, made when it has none.
pub(super) async fn ensure(cx: &Admission<'_>) -> Result<Home> {
    for _ in 0..ATTEMPTS {
        let (shelf, workspace) = workspace_shelf(cx, cx.scope()).await?;
        if let Some(id) = &workspace.value.properties.container_registry {
            return home(cx, id).await;
        }
        require_for_images(cx, &shelf, &workspace.value).await?;
        let mut changes = Changes::new();
        let id = make(cx, &mut changes, workspace).await?;
        match cx.commit(changes).await {
            Ok(()) => return home(cx, &id).await,
            Err(fault) if fault.kind() == Kind::Stale => {}
            Err(fault) => return Err(fault),
        }
    }
    Err(Error::new(Kind::Throttled, "the workspace changes too fast just now; try again"))
}

async fn home(cx: &Admission<'_>, id: &ResourceId) -> Result<Home> {
    let (_, registry) = find::<Registry>(cx, id).await?;
    let guid = registry.value.guid;
    Ok(Home { guid, shelf: cx.shelf(guid).await? })
}

/// Adds the registry to `changes`, with what the workspace's identity may do there, and its id to the workspace.
async fn make(
    cx: &Admission<'_>,
    changes: &mut Changes,
    mut workspace: Row<Resource<Workspace>>,
) -> Result<ResourceId> {
    let named = companion_name(workspace.value.id.name(), WorkspaceId::from(workspace.value.guid));
    let (namespace, kind) = Registry::TYPE.split_once('/').unwrap_or((Registry::TYPE, ""));
    let group = workspace.value.id.parent();
    let id = group.child(["providers", namespace, kind, &named]).map_err(|why| Error::invalid("name", why))?;
    let guid = Uuid::new_v4();
    found_address::<Registry>(cx, &id, guid, changes).await?;
    let mut registry = Resource {
        id: id.clone(),
        guid,
        location: workspace.value.location.clone(),
        tags: BTreeMap::new(),
        system: SystemData::new(cx),
        // Workspaces hand out its passwords (requirement K-08).
        properties: Registry::with_admin(true),
    };
    amend(cx, &mut registry, None)?;
    let system = cx.system();
    changes.put(system, &Row::new(row_id::<Registry>(system, &id), registry))?;
    grant_registry(cx, &workspace.value, &id, changes).await?;
    workspace.value.properties.container_registry = Some(id.clone());
    changes.put(system, &workspace)?;
    Ok(id)
}
