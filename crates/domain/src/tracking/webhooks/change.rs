//! Making, changing and removing webhooks.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, Secret};
use uuid::Uuid;

use super::{MOST, Webhook, find, of_scope, remove, row_id};
use crate::{
    delivery::{SinkKey, begin_cursor, open_part, skip_to_now},
    gate::{Changes, Cx, Op, Row},
    resources::workspace_shelf,
    tracking::action::READ_MODELS,
};

pub(super) const WRITE: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/webhooks/write", Class::Control);
const DELETE: Action = Action::new("Microsoft.MachineLearningServices/workspaces/webhooks/delete", Class::Control);
/// How often a removal that meets a delivery tries again.
const ATTEMPTS: usize = 8;

/// What a webhook shall be. What is absent stays as it is.
#[derive(Debug, Default)]
pub struct WebhookChange {
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Where events go.
    pub url: Option<String>,
    /// Which events.
    pub events: Option<Vec<&'static str>>,
    /// What signs them; an empty one takes the signature away.
    pub secret: Option<Secret<String>>,
    /// Whether events go there.
    pub is_active: Option<bool>,
}

impl WebhookChange {
    fn apply(self, hook: &mut Webhook) -> Result<()> {
        let Self { name, description, url, events, secret, is_active } = self;
        hook.name = name.unwrap_or(std::mem::take(&mut hook.name));
        hook.description = description.unwrap_or(std::mem::take(&mut hook.description));
        hook.url = url.unwrap_or(std::mem::take(&mut hook.url));
        if let Some(events) = events {
            hook.events = events.into_iter().map(str::to_owned).collect();
            hook.events.sort_unstable();
            hook.events.dedup();
        }
        if let Some(secret) = secret {
            hook.secret = if secret.expose().is_empty() { None } else { Some(SinkKey::of_text(&secret)?) };
        }
        hook.is_active = is_active.unwrap_or(hook.is_active);
        Ok(())
    }
}

/// Makes a webhook. Whoever makes one must be allowed to read what it tells.
#[derive(Debug)]
pub struct CreateWebhook {
    /// The workspace.
    pub workspace: ResourceId,
    /// What it shall be.
    pub wanted: WebhookChange,
}

#[async_trait]
impl Op for CreateWebhook {
    const ACTION: Action = WRITE;
    type Output = Webhook;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Webhook> {
        let (_, workspace) = workspace_shelf(cx, &self.workspace).await?;
        cx.require(&READ_MODELS, &self.workspace).await?;
        let mut hook = Webhook {
            id: Uuid::new_v4(),
            scope: self.workspace,
            name: String::new(),
            description: String::new(),
            url: String::new(),
            events: Vec::new(),
            secret: None,
            is_active: true,
            created_at: cx.now(),
            updated_at: cx.now(),
        };
        self.wanted.apply(&mut hook)?;
        hook.check(cx)?;
        if of_scope(cx, &hook.scope).await?.len() >= MOST {
            let why = format!("a workspace has at most {MOST} webhooks; delete one first");
            return Err(Error::new(Kind::Conflict, why));
        }
        let mut changes = Changes::new();
        let id = row_id(cx.system(), &hook.scope, hook.id);
        begin_cursor(cx, &mut changes, &id, Webhook::SINK).await?;
        changes.put(cx.system(), &Row::new(id, hook.clone()))?;
        // Two at once count the same; and one of a workspace that ends meanwhile would be left over.
        changes.put(cx.system(), &workspace)?;
        cx.note("webhook", hook.id.to_string());
        cx.note("url", open_part(&hook.url));
        cx.commit(changes).await?;
        Ok(hook)
    }
}

/// Changes a webhook.
#[derive(Debug)]
pub struct UpdateWebhook {
    /// The workspace.
    pub workspace: ResourceId,
    /// Its id.
    pub id: Uuid,
    /// What it shall be.
    pub wanted: WebhookChange,
}

#[async_trait]
impl Op for UpdateWebhook {
    const ACTION: Action = WRITE;
    type Output = Webhook;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Webhook> {
        workspace_shelf(cx, &self.workspace).await?;
        cx.require(&READ_MODELS, &self.workspace).await?;
        let mut row = find(cx, &self.workspace, self.id).await?;
        let was_active = row.value.is_active;
        self.wanted.apply(&mut row.value)?;
        row.value.updated_at = cx.now();
        row.value.check(cx)?;
        let mut changes = Changes::new();
        if row.value.is_active && !was_active {
            skip_to_now(cx, &mut changes, &row.id, Webhook::SINK).await?;
        }
        changes.put(cx.system(), &row)?;
        cx.note("webhook", self.id.to_string());
        cx.note("url", open_part(&row.value.url));
        cx.commit(changes).await?;
        Ok(row.value)
    }
}

/// Removes a webhook, with what it was not told yet.
#[derive(Debug)]
pub struct DeleteWebhook {
    /// The workspace.
    pub workspace: ResourceId,
    /// Its id.
    pub id: Uuid,
}

#[async_trait]
impl Op for DeleteWebhook {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        // What is told meanwhile writes down how far it came.
        for _ in 0..ATTEMPTS {
            cx.begin_attempt();
            workspace_shelf(cx, &self.workspace).await?;
            let row = find(cx, &self.workspace, self.id).await?;
            let mut changes = Changes::new();
            remove(cx, &mut changes, &row).await?;
            cx.note("webhook", self.id.to_string());
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(Error::new(Kind::Throttled, "the webhook changes too fast; try again"))
    }
}
