//! Event subscriptions: news of a workspace, pushed to a webhook that agreed to get them.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    cursor::{Cursor, cursor, cursor_id},
    envelope::{self, Envelope},
    filter::Filter,
    news::type_of,
    sink::open_part,
};
use crate::{
    audit::ListActivities,
    gate::{Admission, Changes, Cx, Op, Record, Row, Shelf},
    resources::{Workspace, find},
};

/// Subscriptions of one workspace.
const MOST: usize = 50;
/// Their one sink, as cursors call it.
pub(super) const SINK: &str = "subscription";

const READ: Action = Action::new("Microsoft.EventGrid/eventSubscriptions/read", Class::Read);
const WRITE: Action = Action::new("Microsoft.EventGrid/eventSubscriptions/write", Class::Control);
const DELETE: Action = Action::new("Microsoft.EventGrid/eventSubscriptions/delete", Class::Control);

/// A subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subscription {
    /// The workspace.
    pub scope: ResourceId,
    /// Its name.
    pub name: String,
    /// Where events go.
    pub url: String,
    /// In which envelope.
    pub envelope: Envelope,
    /// Which events.
    pub filter: Filter,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

impl Record for Subscription {
    const TABLE: &'static str = "event-subscription";
}

/// A subscription, and how far it has got.
#[derive(Clone, Debug)]
pub struct SubscriptionStatus {
    /// The subscription.
    pub subscription: Subscription,
    /// Where it stands.
    pub cursor: Cursor,
    /// Whether it was made just now.
    pub is_new: bool,
}

fn scope_id(shelf: &Shelf, scope: &ResourceId) -> Vec<u8> {
    shelf.name_id::<Subscription>(scope.folded())
}

fn row_id(shelf: &Shelf, scope: &ResourceId, name: &str) -> Vec<u8> {
    let name = shelf.name_id::<Subscription>(&format!("{}|{}", scope.folded(), name.to_ascii_lowercase()));
    [scope_id(shelf, scope), name].concat()
}

async fn status(cx: &Admission<'_>, row: Row<Subscription>, is_new: bool) -> Result<SubscriptionStatus> {
    let cursor = cursor(cx, &row.id, SINK).await?.map(|row| row.value).unwrap_or_default();
    Ok(SubscriptionStatus { subscription: row.value, cursor, is_new })
}

async fn of_name(cx: &Admission<'_>, scope: &ResourceId, name: &str) -> Result<Row<Subscription>> {
    let found = cx.get::<Subscription>(cx.system(), &row_id(cx.system(), scope, name)).await?;
    found.ok_or_else(|| Error::not_found(format_args!("the event subscription `{name}` of `{scope}`")))
}

/// Creates a subscription, or replaces one. The receiver is asked first whether it wants events: an address whose owner does not
/// know of it gets none.
#[derive(Debug)]
pub struct PutSubscription {
    /// The workspace.
    pub scope: ResourceId,
    /// Its name.
    pub name: String,
    /// Where events go.
    pub url: String,
    /// In which envelope.
    pub envelope: Envelope,
    /// Which events.
    pub filter: Filter,
}

#[async_trait]
impl Op for PutSubscription {
    const ACTION: Action = WRITE;
    type Output = SubscriptionStatus;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<SubscriptionStatus> {
        find::<Workspace>(cx, &self.scope).await?;
        cx.require(&ListActivities::ACTION, &self.scope).await?;
        self.check(cx)?;
        let shelf = cx.system();
        let id = row_id(shelf, &self.scope, &self.name);
        let present = cx.get::<Subscription>(shelf, &id).await?;
        let is_new = present.is_none();
        if is_new && cx.page::<Subscription>(shelf, &scope_id(shelf, &self.scope), None, MOST).await?.len() >= MOST {
            let why = format!("a workspace has at most {MOST} event subscriptions; delete one first");
            return Err(Error::new(Kind::Conflict, why));
        }
        envelope::shake_hands(cx, &self.scope, &self.url, self.envelope).await?;
        let (version, created_at) = present.map_or((0, cx.now()), |row| (row.version, row.value.created_at));
        let Self { scope, name, url, envelope, filter } = self;
        let value = Subscription { scope, name, url, envelope, filter, created_at, changed_at: cx.now() };
        let row = Row { id, version, value };
        let mut changes = Changes::new();
        if cursor(cx, &row.id, SINK).await?.is_none() {
            let first = cx.house().log_head().await?.0.saturating_add(1);
            changes.put(shelf, &Row::new(cursor_id(&row.id, SINK), Cursor::from(first)))?;
        }
        cx.note("subscription", row.value.name.as_str());
        cx.note("webhook", open_part(&row.value.url));
        changes.put(shelf, &row)?;
        cx.commit(changes).await?;
        status(cx, row, is_new).await
    }
}

impl PutSubscription {
    fn check(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !(3..=64).contains(&self.name.len()) || !self.name.chars().all(is_name) {
            return Err(Error::invalid("name", "must have 3 to 64 letters, digits or hyphens"));
        }
        let field = "properties.destination.properties.endpointUrl";
        let is_web = self.url.starts_with("https://") || self.url.starts_with("http://");
        if !is_web || self.url.len() > 2048 {
            return Err(Error::invalid(field, "is no address of a web server, or too long"));
        }
        cx.web().permits(&self.url).map_err(|why| Error::invalid(field, why))?;
        if let Some(unknown) = self.filter.types.iter().find(|name| type_of(name).is_none()) {
            let why = format_args!("`{unknown}` is none of {}", super::EVENT_TYPES.join(", "));
            return Err(Error::invalid("properties.filter.includedEventTypes", why));
        }
        self.filter.check()
    }
}

/// Removes the subscriptions of a workspace that ends, once `changes` are committed.
pub(crate) async fn end_subscriptions(cx: &Admission<'_>, changes: &mut Changes, scope: &ResourceId) -> Result<()> {
    for row in cx.all::<Subscription>(cx.system(), &scope_id(cx.system(), scope)).await? {
        remove(cx, changes, &row).await?;
    }
    Ok(())
}

async fn remove(cx: &Admission<'_>, changes: &mut Changes, row: &Row<Subscription>) -> Result<()> {
    if let Some(cursor) = cursor(cx, &row.id, SINK).await? {
        changes.delete(cx.system(), &cursor);
    }
    changes.delete(cx.system(), row);
    Ok(())
}

/// Reads a subscription and its state.
#[derive(Debug)]
pub struct GetSubscription {
    /// The workspace.
    pub scope: ResourceId,
    /// Its name.
    pub name: String,
}

#[async_trait]
impl Op for GetSubscription {
    const ACTION: Action = READ;
    type Output = SubscriptionStatus;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<SubscriptionStatus> {
        let row = of_name(cx, &self.scope, &self.name).await?;
        status(cx, row, false).await
    }
}

/// Lists the subscriptions of a workspace.
#[derive(Debug)]
pub struct ListSubscriptions {
    /// The workspace.
    pub scope: ResourceId,
}

#[async_trait]
impl Op for ListSubscriptions {
    const ACTION: Action = READ;
    type Output = Vec<SubscriptionStatus>;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        find::<Workspace>(cx, &self.scope).await?;
        let mut found = Vec::new();
        for row in cx.all::<Subscription>(cx.system(), &scope_id(cx.system(), &self.scope)).await? {
            found.push(status(cx, row, false).await?);
        }
        found.sort_by(|a, b| a.subscription.name.cmp(&b.subscription.name));
        Ok(found)
    }
}

/// Removes a subscription, with what was not delivered yet.
#[derive(Debug)]
pub struct DeleteSubscription {
    /// The workspace.
    pub scope: ResourceId,
    /// Its name.
    pub name: String,
}

#[async_trait]
impl Op for DeleteSubscription {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let row = of_name(cx, &self.scope, &self.name).await?;
        let mut changes = Changes::new();
        remove(cx, &mut changes, &row).await?;
        cx.note("subscription", row.value.name.as_str());
        cx.commit(changes).await
    }
}
