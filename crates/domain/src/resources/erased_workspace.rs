//! The end of a workspace: its key is destroyed, and what is left to say of it is written with that.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result, WorkspaceId};
use uuid::Uuid;

use super::{
    DeletedWorkspace, Resource, ResourceType, Workspace, companions::workspaces, deleted_workspace::hold_group,
    managed_identity::end_managed, quota,
};
use crate::{
    access::forget_requests_within,
    delivery::{end_settings, end_subscriptions},
    erasure::{Asked, tell},
    gate::{Admission, Census, Changes, Cx, ForgottenKey, Op, Row},
    impact, network, resealing,
    tracking::webhooks::end_webhooks,
};

/// Purges a workspace that rests.
pub(super) async fn purge(
    cx: &Admission<'_>,
    deleted: &Row<DeletedWorkspace>,
    asked: Asked,
    census: Census,
) -> Result<()> {
    let mut changes = Changes::new();
    changes.delete(cx.system(), deleted);
    hold_group(cx, &deleted.value.workspace.id, &mut changes).await?;
    forget(cx, &deleted.value.workspace, asked, census, &mut changes).await?;
    cx.commit(changes).await
}

/// Destroys the key, the identities, and the access that was given there; says so in a certificate.
pub(super) async fn forget(
    cx: &Admission<'_>,
    workspace: &Resource<Workspace>,
    asked: Asked,
    census: Census,
    changes: &mut Changes,
) -> Result<()> {
    let key = end(cx, workspace, changes).await?;
    tell(cx, (&workspace.id, workspace.guid), asked, (key, census), changes).await
}

async fn end(cx: &Admission<'_>, workspace: &Resource<Workspace>, changes: &mut Changes) -> Result<ForgottenKey> {
    let guid = WorkspaceId::from(workspace.guid);
    let key = cx.forget_shelf(guid, changes).await?;
    end_managed(cx, changes, &workspace.id).await?;
    end_settings(cx, changes, &workspace.id).await?;
    end_subscriptions(cx, changes, &workspace.id).await?;
    end_webhooks(cx, changes, &workspace.id).await?;
    network::forget(cx, changes, guid).await?;
    resealing::forget(cx, workspace.guid, changes).await?;
    quota::forget(cx, &workspace.id, changes).await?;
    forget_requests_within(cx, &workspace.id, changes).await?;
    impact::forget(cx, workspace.guid, changes).await?;
    cx.note("workspace", guid.to_string());
    cx.note("purged", "true");
    Ok(key)
}

/// Ends a workspace that was erased before and is back with an older backup, whether it lives or rests there. Whether it was
/// there. Whoever asks holds `assigning` and commits.
pub(crate) async fn erase_again(cx: &Admission<'_>, guid: Uuid, changes: &mut Changes) -> Result<bool> {
    let resting = cx.all::<DeletedWorkspace>(cx.system(), b"").await?;
    let found = match resting.into_iter().find(|row| row.value.workspace.guid == guid) {
        Some(row) => {
            changes.delete(cx.system(), &row);
            Some(row.value.workspace)
        }
        None => match workspaces(cx).await?.into_iter().find(|row| row.value.guid == guid) {
            Some(row) => {
                changes.delete(cx.system(), &row);
                Some(row.value)
            }
            None => None,
        },
    };
    let Some(workspace) = found else { return Ok(false) };
    hold_group(cx, &workspace.id, changes).await?;
    end(cx, &workspace, changes).await?;
    Ok(true)
}

/// What is to be purged now. It changes nothing, and so leaves no record.
pub(crate) struct ListDuePurges;

#[async_trait]
impl Op for ListDuePurges {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/purge/action", Class::Open);
    type Output = Vec<Row<DeletedWorkspace>>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let mut rows = cx.all::<DeletedWorkspace>(cx.system(), b"").await?;
        rows.retain(|row| row.value.purge_at <= cx.now());
        Ok(rows)
    }
}

/// Purges a workspace that has rested its time. One that was recovered meanwhile makes it `Stale`.
pub(crate) struct PurgeDue {
    /// As it was found.
    pub(crate) deleted: Row<DeletedWorkspace>,
}

#[async_trait]
impl Op for PurgeDue {
    const ACTION: Action = Workspace::DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.deleted.value.workspace.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let deleted = &self.deleted.value;
        let census = cx.census(deleted.workspace.guid).await?;
        let asked = deleted.asked.clone().unwrap_or_else(|| Asked::of(cx));
        purge(cx, &self.deleted, asked, census).await
    }
}
