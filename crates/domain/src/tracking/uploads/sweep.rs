//! Uploads that were given up are removed with what came of them, and completed ones are forgotten.

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Kind, ResourceId, Result, WorkspaceId};
use uuid::Uuid;

use super::{Upload, finish::remove};
use crate::{
    gate::{Cx, House, Op, enter},
    resources::Workspace,
};

/// Looks through one workspace. Says how many uploads went.
#[derive(Debug)]
pub struct SweepUploads {
    /// The workspace, for the record.
    pub workspace: ResourceId,
    /// Its GUID.
    pub guid: Uuid,
}

#[async_trait]
impl Op for SweepUploads {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/metadata/artifacts/sweep", Class::Open);
    type Output = usize;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<usize> {
        let shelf = cx.shelf(WorkspaceId::from(self.guid)).await?;
        let mut rows = cx.all::<Upload>(&shelf, b"").await?;
        rows.retain(|row| row.value.is_over(cx.now()));
        for row in &rows {
            remove(cx, &shelf, row).await?;
        }
        Ok(rows.len())
    }
}

/// Finds the workspaces there are.
#[derive(Debug)]
struct ListSwept;

#[async_trait]
impl Op for ListSwept {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/metadata/artifacts/sweep/read", Class::Open);
    type Output = Vec<(ResourceId, Uuid)>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let rows = crate::resources::everywhere::<Workspace>(cx).await?;
        Ok(rows.into_iter().map(|row| (row.value.id, row.value.guid)).collect())
    }
}

/// Removes what is over in all workspaces.
///
/// # Errors
/// When the workspaces cannot be listed; what fails for one is logged and left to the next look.
pub async fn sweep_uploads(house: &House) -> Result<()> {
    let caller = Caller::house();
    for (workspace, guid) in enter(house, &caller, ListSwept).await? {
        match enter(house, &caller, SweepUploads { workspace: workspace.clone(), guid }).await {
            Ok(_) => {}
            // Somebody went on with one of them just now; it is looked at again the next time.
            Err(fault) if fault.kind() == Kind::Stale => {}
            Err(fault) => tracing::warn!(%workspace, ?fault, "uploads that are over could not be removed"),
        }
    }
    Ok(())
}
