//! Reading certificates of erasure. The workspace is gone, so what counts is what one may read around it.

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result};
use uuid::Uuid;

use super::{certificate::Certificate, record::StoredErasure, sign::signed};
use crate::gate::{Cx, Op};

const READ: Action = Action::new("Microsoft.MachineLearningServices/erasedWorkspaces/read", Class::Read);

/// Lists the certificates of workspaces that were erased in a subscription or a resource group, the newest first.
#[derive(Debug)]
pub struct ListErasures {
    /// The subscription or the group.
    pub parent: ResourceId,
}

#[async_trait]
impl Op for ListErasures {
    const ACTION: Action = READ;
    type Output = Vec<Certificate>;

    fn scope(&self) -> ResourceId {
        self.parent.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let mut rows = cx.all::<StoredErasure>(cx.system(), b"").await?;
        rows.retain(|row| {
            let of = &row.value.erasure.workspace;
            of.is_within(&self.parent) && cx.may(&READ, of)
        });
        rows.sort_by(|a, b| b.value.erasure.erased_at.cmp(&a.value.erasure.erased_at));
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            // One that cannot be signed hides no other.
            let text = signed(cx, &row.value).await.unwrap_or_else(|fault| {
                tracing::warn!(guid = %row.value.erasure.workspace_guid, ?fault, "a certificate of erasure could not be signed");
                String::new()
            });
            found.push(row.value.certificate(&text)?);
        }
        Ok(found)
    }
}

/// Gives one certificate.
#[derive(Debug)]
pub struct GetErasure {
    /// The subscription or the group.
    pub parent: ResourceId,
    /// The GUID that the workspace had.
    pub workspace: Uuid,
}

#[async_trait]
impl Op for GetErasure {
    const ACTION: Action = READ;
    type Output = Certificate;

    fn scope(&self) -> ResourceId {
        self.parent.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Certificate> {
        let row = cx.get::<StoredErasure>(cx.system(), self.workspace.as_bytes()).await?;
        let row = row.filter(|row| {
            let of = &row.value.erasure.workspace;
            of.is_within(&self.parent) && cx.may(&READ, of)
        });
        let none = || Error::not_found(format_args!("an erased workspace with the GUID `{}` here", self.workspace));
        let stored = row.ok_or_else(none)?.value;
        stored.certificate(&signed(cx, &stored).await?)
    }
}
