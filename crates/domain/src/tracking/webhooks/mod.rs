//! Webhooks of the registry: whom MLflow's clients ask to be told of models, versions, tags, aliases and prompts. They are kept
//! here; the delivery room brings the events, which it finds in the log.

mod change;
mod event;
mod read;
mod test;

use kernel::{Error, Kind, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use change::{CreateWebhook, DeleteWebhook, UpdateWebhook, WebhookChange};
pub(super) use event::note;
pub(crate) use event::{ALIAS, EVENT, MODEL, TAG, VERSION, example};
pub use event::{EVENTS, event_of};
pub use read::{GetWebhook, ListWebhooks};
pub use test::{TestResult, TestWebhook};

use super::text;
use crate::{
    delivery::{SinkKey, forget_cursor},
    gate::{Admission, Changes, Record, Row, Shelf},
};

/// Webhooks of one workspace.
const MOST: usize = 50;

/// A webhook of a workspace's registry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub id: Uuid,
    /// The workspace.
    pub scope: ResourceId,
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// Where events go.
    pub url: String,
    /// Which events: words of [`EVENTS`].
    pub events: Vec<String>,
    /// What signs them; never shown.
    pub secret: Option<SinkKey>,
    /// Whether events go there now. What happens meanwhile is not told afterwards.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Record for Webhook {
    const TABLE: &'static str = "registry-webhook";
}

impl Webhook {
    /// Its one sink, as cursors call it.
    pub(crate) const SINK: &'static str = "registryWebhook";

    /// Refuses what is out of bounds, and addresses that the operator did not name.
    fn check(&self, cx: &Admission<'_>) -> Result<()> {
        let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let ends = is_end(self.name.chars().next()) && is_end(self.name.chars().last());
        if !(1..=63).contains(&self.name.len()) || !ends || !self.name.chars().all(is_known) {
            let why = "it must have 1 to 63 letters, digits, '.', '_' or '-', and begin and end with a letter or digit";
            return Err(text::bad("name", &self.name, why));
        }
        text::check_length("description", &self.description, 1000)?;
        if self.events.is_empty() {
            return Err(text::missing("events"));
        }
        let is_web = self.url.starts_with("https://") || self.url.starts_with("http://");
        if !is_web || self.url.len() > 500 {
            return Err(text::bad("url", &self.url, "it is no address of a web server, or too long"));
        }
        cx.web().permits(&self.url).map_err(|why| text::bad("url", &self.url, &why.to_string()))
    }
}

fn scope_id(shelf: &Shelf, scope: &ResourceId) -> Vec<u8> {
    shelf.name_id::<Webhook>(scope.folded())
}

fn row_id(shelf: &Shelf, scope: &ResourceId, id: Uuid) -> Vec<u8> {
    [scope_id(shelf, scope), id.as_bytes().to_vec()].concat()
}

/// Reads one that must exist.
async fn find(cx: &Admission<'_>, scope: &ResourceId, id: Uuid) -> Result<Row<Webhook>> {
    let found = cx.get::<Webhook>(cx.system(), &row_id(cx.system(), scope, id)).await?;
    found.ok_or_else(|| Error::new(Kind::NotFound, format!("Webhook with ID {id} not found.")))
}

/// Those of a workspace, the newest first.
async fn of_scope(cx: &Admission<'_>, scope: &ResourceId) -> Result<Vec<Row<Webhook>>> {
    let mut rows = cx.all::<Webhook>(cx.system(), &scope_id(cx.system(), scope)).await?;
    rows.sort_by_key(|row| (std::cmp::Reverse(row.value.created_at), row.value.id));
    Ok(rows)
}

async fn remove(cx: &Admission<'_>, changes: &mut Changes, row: &Row<Webhook>) -> Result<()> {
    forget_cursor(cx, changes, &row.id, Webhook::SINK).await?;
    changes.delete(cx.system(), row);
    Ok(())
}

/// Removes the webhooks of a workspace that ends, once `changes` are committed.
pub(crate) async fn end_webhooks(cx: &Admission<'_>, changes: &mut Changes, scope: &ResourceId) -> Result<()> {
    for row in of_scope(cx, scope).await? {
        remove(cx, changes, &row).await?;
    }
    Ok(())
}
