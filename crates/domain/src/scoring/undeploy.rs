//! Removing deployments.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, WorkspaceId};

use super::{
    Deployment,
    endpoint::{ATTEMPTS, deployments_of, find_endpoint},
    index, keys, traffic,
};
use crate::{
    compute::{end_launch, wake},
    gate::{Admission, Changes, Cx, Op, Row},
    operations::{self, Failure},
    resources::{Resource, ResourceType, Workspace, row_id, workspace_shelf},
    tracking::release_model_version,
};

const DELETE_ACI: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/services/aci/delete", Class::Control);
const DELETE_AKS: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/services/aks/delete", Class::Control);

/// Removes a deployment and ends its replicas. One that is called, or that is the default of others, stays: so no call is lost.
#[derive(Debug)]
pub struct DeleteDeployment {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeleteDeployment {
    const ACTION: Action = Deployment::DELETE;
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

impl DeleteDeployment {
    async fn apply(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, workspace) = workspace_shelf(cx, &self.id).await?;
        let missing = || Error::not_found(format_args!("the resource `{}`", self.id));
        let row = cx.get::<Resource<Deployment>>(&shelf, &row_id::<Deployment>(&shelf, &self.id)).await?;
        let row = row.ok_or_else(missing)?;
        keys::require_for_kind(cx, Some(row.value.properties.kind), &DELETE_ACI, &DELETE_AKS, &self.id).await?;
        let mut endpoint = find_endpoint(cx, &shelf, &self.id.parent()).await?;
        let deployments = deployments_of(cx, &shelf, &endpoint.value.id).await?;
        let known: Vec<&str> = traffic::names(&deployments).collect();
        traffic::refuse_removal(&endpoint.value.properties, row.value.id.name(), &known)?;
        let mut changes = Changes::new();
        for replica in row.value.properties.replicas() {
            end_launch(cx, &shelf, &mut changes, &replica.launch).await?;
        }
        let used = &row.value.properties.image;
        release_model_version(cx, &shelf, &mut changes, (&used.model, used.version), row.value.id.as_str()).await?;
        if let Some(operation) = row.value.properties.operation {
            let failure =
                Failure { code: String::from("Deleted"), message: String::from("the deployment was deleted") };
            operations::end(cx, &shelf, &mut changes, operation, Some(failure)).await?;
        }
        let properties = &mut endpoint.value.properties;
        properties.traffic.remove(row.value.id.name());
        if properties.default_deployment.as_deref() == Some(row.value.id.name()) {
            properties.default_deployment = None;
        }
        changes.put(&shelf, &endpoint)?;
        unlist(cx, &mut changes, &workspace, &row.value.id).await?;
        changes.delete(&shelf, &row);
        cx.commit(changes).await?;
        wake(cx);
        Ok(())
    }
}

async fn unlist(
    cx: &Admission<'_>,
    changes: &mut Changes,
    workspace: &Row<Resource<Workspace>>,
    deployment: &ResourceId,
) -> Result<()> {
    let mut listed = index::row_of(cx, WorkspaceId::from(workspace.value.guid), &deployment.parent()).await?;
    listed.value.remove(deployment);
    changes.put(cx.system(), &listed)?;
    Ok(())
}
