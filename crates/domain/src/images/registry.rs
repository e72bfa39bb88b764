//! The workspace's registry companion, made when the first image is built (requirement K-02).

use std::collections::BTreeMap;

use kernel::{Error, Result, WorkspaceId};
use uuid::Uuid;

use crate::{
    gate::{Changes, Cx, Op, Row},
    governance::amend,
    resources::{
        Registry, Resource, ResourceType, SystemData, Workspace, companion_name, found_address, grant_registry, row_id,
    },
};

/// Adds the registry to `changes`, with what the workspace's identity may do there, and its id to the workspace, unless there is
/// one.
pub(super) async fn make_if_missing<O: Op>(
    cx: &Cx<'_, O>,
    changes: &mut Changes,
    mut workspace: Row<Resource<Workspace>>,
) -> Result<()> {
    if workspace.value.properties.container_registry.is_some() {
        return Ok(());
    }
    let named = companion_name(workspace.value.id.name(), WorkspaceId::from(workspace.value.guid));
    let (namespace, kind) = Registry::TYPE.split_once('/').unwrap_or((Registry::TYPE, ""));
    let group = workspace.value.id.parent();
    let id = group.child(["providers", namespace, kind, &named]).map_err(|why| Error::invalid("name", why))?;
    let guid = Uuid::new_v4();
    found_address::<Registry, _>(cx, &id, guid, changes).await?;
    let mut registry = Resource {
        id: id.clone(),
        guid,
        location: workspace.value.location.clone(),
        tags: BTreeMap::new(),
        system: SystemData::new(cx),
        properties: Registry {},
    };
    amend(cx, &mut registry, None)?;
    let system = cx.system();
    changes.put(system, &Row::new(row_id::<Registry>(system, &id), registry))?;
    grant_registry(cx, &workspace.value, &id, changes).await?;
    workspace.value.properties.container_registry = Some(id);
    changes.put(system, &workspace)?;
    Ok(())
}
