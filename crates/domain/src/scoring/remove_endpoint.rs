//! Removing endpoints with all that is below them.

use async_trait::async_trait;
use kernel::{Action, Kind, ResourceId, Result, WorkspaceId};

use super::{
    Endpoint,
    endpoint::{ATTEMPTS, deployments_of, find_endpoint},
    index, keys, named_keys,
};
use crate::{
    compute::{end_launch, wake},
    gate::{Admission, Changes, Cx, Op, Row, Shelf},
    resources::{Resource, ResourceType, Workspace, collection, workspace_shelf},
    tracking::release_model_version,
};

/// Removes an endpoint with its deployments, and ends their replicas.
#[derive(Debug)]
pub struct DeleteEndpoint {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeleteEndpoint {
    const ACTION: Action = Endpoint::DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.apply(cx).await {
                Err(fault) if fault.kind() == Kind::Stale && attempt < ATTEMPTS => {}
                other => return other,
            }
        }
    }
}

impl DeleteEndpoint {
    async fn apply(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, workspace) = workspace_shelf(cx, &self.id).await?;
        let row = find_endpoint(cx, &shelf, &self.id).await?;
        let mut changes = Changes::new();
        for deployment in deployments_of(cx, &shelf, &self.id).await? {
            for replica in deployment.value.properties.replicas() {
                end_launch(cx, &shelf, &mut changes, &replica.launch).await?;
            }
        }
        remove(cx, &shelf, WorkspaceId::from(workspace.value.guid), &row, &mut changes).await?;
        cx.commit(changes).await?;
        wake(cx);
        Ok(())
    }
}

/// Removes all that there is of an endpoint but its replicas.
async fn remove(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: WorkspaceId,
    row: &Row<Resource<Endpoint>>,
    changes: &mut Changes,
) -> Result<()> {
    for deployment in deployments_of(cx, shelf, &row.value.id).await? {
        let used = &deployment.value.properties.image;
        let holder = deployment.value.id.as_str();
        release_model_version(cx, shelf, changes, (&used.model, used.version), holder).await?;
        changes.delete(shelf, &deployment);
    }
    if let Some(keys) = keys::read(cx, shelf, row.value.guid).await? {
        changes.delete(shelf, &keys);
    }
    for key in named_keys::all(cx, shelf, row.value.guid).await? {
        changes.delete(shelf, &key);
    }
    let listed = index::row_of(cx, workspace, &row.value.id).await?;
    if listed.version > 0 {
        changes.delete(cx.system(), &listed);
    }
    changes.delete(shelf, row);
    Ok(())
}

/// Removes all endpoints of a workspace with their deployments and keys. Whoever asks ends their replicas, as it ends all
/// runs of the workspace.
pub(crate) async fn remove_all_services(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &Resource<Workspace>,
    changes: &mut Changes,
) -> Result<()> {
    let guid = WorkspaceId::from(workspace.guid);
    for row in cx.all::<Resource<Endpoint>>(shelf, &collection::<Endpoint>(shelf, &workspace.id)).await? {
        remove(cx, shelf, guid, &row, changes).await?;
    }
    Ok(())
}
