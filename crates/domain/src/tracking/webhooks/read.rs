//! Reading webhooks.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};
use uuid::Uuid;

use super::{Webhook, change::WRITE, find, of_scope};
use crate::{
    delivery::open_part,
    gate::{Admission, Cx, Op},
    resources::workspace_shelf,
    tracking::Page,
};

pub(super) const READ: Action = Action::new("Microsoft.MachineLearningServices/workspaces/webhooks/read", Class::Read);

/// What the caller sees of one: who could not have said its address sees it without the query, which may be a secret.
fn shown(cx: &Admission<'_>, mut hook: Webhook) -> Webhook {
    if !cx.may(&WRITE, &hook.scope) {
        hook.url = open_part(&hook.url).to_owned();
    }
    hook
}

/// Reads one.
#[derive(Debug)]
pub struct GetWebhook {
    /// The workspace.
    pub workspace: ResourceId,
    /// Its id.
    pub id: Uuid,
}

#[async_trait]
impl Op for GetWebhook {
    const ACTION: Action = READ;
    type Output = Webhook;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Webhook> {
        workspace_shelf(cx, &self.workspace).await?;
        Ok(shown(cx, find(cx, &self.workspace, self.id).await?.value))
    }
}

/// Lists those of a workspace, the newest first.
#[derive(Debug)]
pub struct ListWebhooks {
    /// The workspace.
    pub workspace: ResourceId,
    /// How many, at most 1000.
    pub most: usize,
    /// Where the page before ended.
    pub page_token: Option<String>,
}

#[async_trait]
impl Op for ListWebhooks {
    const ACTION: Action = READ;
    type Output = Page<Webhook>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        workspace_shelf(cx, &self.workspace).await?;
        if !(1..=1000).contains(&self.most) {
            return Err(Error::new(Kind::Invalid, "max_results must be between 1 and 1000."));
        }
        let bad = || Error::new(Kind::Invalid, "Invalid page token");
        let token = self.page_token.filter(|token| !token.is_empty());
        let from = token.map_or(Ok(0_usize), |token| token.parse().map_err(|_| bad()))?;
        let rows = of_scope(cx, &self.workspace).await?;
        let (all, until) = (rows.len(), from.saturating_add(self.most));
        let items = rows.into_iter().skip(from).take(self.most).map(|row| shown(cx, row.value)).collect();
        Ok(Page { items, next: (until < all).then(|| until.to_string()) })
    }
}
