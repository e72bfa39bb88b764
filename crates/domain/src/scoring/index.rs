//! Which services there are, in all workspaces: what the gateway finds a service by, and what supervision goes through.

use kernel::{ResourceId, Result, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::gate::{Admission, House, Record, Row, Shelf};

/// One endpoint. On the system's shelf, written with every change of the endpoint's deployments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Listed {
    /// Its workspace.
    pub(super) workspace: WorkspaceId,
    /// Its id.
    pub(super) endpoint: ResourceId,
    /// Its deployments.
    #[serde(default)]
    pub(super) deployments: Vec<ResourceId>,
    /// Its only deployment, in rows from before there could be several. Never written.
    #[serde(default, skip_serializing)]
    deployment: Option<ResourceId>,
}

impl Listed {
    /// All its deployments.
    pub(super) fn deployments(&self) -> impl Iterator<Item = &ResourceId> {
        self.deployments.iter().chain(&self.deployment)
    }

    /// Adds one.
    pub(super) fn add(&mut self, deployment: &ResourceId) {
        self.remove(deployment);
        self.deployments.push(deployment.clone());
    }

    /// Takes one away.
    pub(super) fn remove(&mut self, deployment: &ResourceId) {
        self.deployments.extend(self.deployment.take());
        self.deployments.retain(|known| known != deployment);
    }
}

impl Record for Listed {
    const TABLE: &'static str = "service";
}

fn row_id(system: &Shelf, workspace: WorkspaceId, name: &str) -> Vec<u8> {
    let mut id = workspace.as_bytes().to_vec();
    id.extend(system.name_id::<Listed>(name));
    id
}

/// The row of an endpoint; a new one when it has none yet.
pub(super) async fn row_of(cx: &Admission<'_>, workspace: WorkspaceId, endpoint: &ResourceId) -> Result<Row<Listed>> {
    let id = row_id(cx.system(), workspace, endpoint.name());
    let row = cx.get::<Listed>(cx.system(), &id).await?;
    let fresh = Listed { workspace, endpoint: endpoint.clone(), deployments: Vec::new(), deployment: None };
    Ok(row.unwrap_or_else(|| Row::new(id, fresh)))
}

/// Looks an endpoint up by what its address says.
pub(super) async fn look_up(house: &House, workspace: WorkspaceId, name: &str) -> Result<Option<Listed>> {
    let id = row_id(house.system(), workspace, name);
    Ok(house.peek::<Listed>(house.system(), &id).await?.map(|row| row.value))
}

/// All of them.
pub(super) async fn all(cx: &Admission<'_>) -> Result<Vec<Row<Listed>>> {
    cx.all::<Listed>(cx.system(), b"").await
}
