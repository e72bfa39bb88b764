//! Action groups (`Microsoft.Insights/actionGroups`): webhooks that rules name.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};
use serde::{Deserialize, Serialize};

use super::{
    read::in_subscription,
    receiver::{Receiver, end_receivers, receiver_id, receivers, remove},
    rule::check_name,
};
use crate::{
    delivery::{SinkKey, begin_cursor},
    gate::{Changes, Cx, Op, Row},
    resources::{Precondition, PutResource, Resource, ResourceGroup, ResourceType, Written, find, row_id},
};

/// Webhooks of one group.
const MOST_RECEIVERS: usize = 5;
/// Groups of one subscription.
const MOST: usize = 100;

/// An action group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActionGroup {
    /// For short messages.
    pub short_name: String,
    /// Whether its webhooks are told.
    pub is_enabled: bool,
    /// Whom it tells.
    pub webhooks: Vec<Webhook>,
}

/// A webhook of a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Webhook {
    /// Its name within the group.
    pub name: String,
    /// Where.
    pub url: String,
    /// Whether its notifications are signed.
    pub is_signed: bool,
}

impl Webhook {
    /// The address without what may be its owner's secret.
    pub fn base(&self) -> &str {
        base(&self.url)
    }
}

fn base(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

impl ResourceType for ActionGroup {
    const TYPE: &'static str = "Microsoft.Insights/actionGroups";
    const READ: Action = Action::new("Microsoft.Insights/actionGroups/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.Insights/actionGroups/write", Class::Control);
    const DELETE: Action = Action::new("Microsoft.Insights/actionGroups/delete", Class::Control);

    fn check(&self, id: &ResourceId) -> Result<()> {
        check_name("actionGroupName", id.name())?;
        if !(1..=12).contains(&self.short_name.chars().count()) || self.short_name.chars().any(char::is_control) {
            return Err(Error::invalid("properties.groupShortName", "must have 1 to 12 characters"));
        }
        Ok(())
    }
}

/// A webhook that a group shall have.
#[derive(Debug)]
pub struct ReceiverWanted {
    /// Its name within the group.
    pub name: String,
    /// Where. The address that reads show stands for the one that is there.
    pub url: String,
    /// What signs its notifications; kept at the same address when it is not given again.
    pub key: Option<SinkKey>,
}

/// Creates an action group, or replaces one. A webhook that it had before goes on where it was.
#[derive(Debug)]
pub struct PutActionGroup {
    /// Its id.
    pub id: ResourceId,
    /// Where; any word will do.
    pub location: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// For short messages.
    pub short_name: String,
    /// Whether its webhooks are told.
    pub is_enabled: bool,
    /// Whom it tells.
    pub receivers: Vec<ReceiverWanted>,
}

#[async_trait]
impl Op for PutActionGroup {
    const ACTION: Action = ActionGroup::WRITE;
    type Output = Written<Resource<ActionGroup>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(mut self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (system, (_, group)) = (cx.system(), find::<ResourceGroup>(cx, &self.id.parent()).await?);
        let before = receivers(cx, &self.id).await?;
        for wanted in &mut self.receivers {
            keep_what_is_hidden(wanted, &before);
        }
        check(cx, &self.receivers)?;
        let mut changes = Changes::new();
        if cx.get::<Resource<ActionGroup>>(system, &row_id::<ActionGroup>(system, &self.id)).await?.is_none() {
            if in_subscription::<ActionGroup>(cx, &self.id).await?.len() >= MOST {
                let why = format!("a subscription has at most {MOST} action groups; delete one first");
                return Err(Error::new(Kind::Conflict, why));
            }
            // A group that is deleted meanwhile makes this commit stale, and the reverse.
            changes.put(system, &group)?;
        }
        let Self { id, location, tags, short_name, is_enabled, receivers } = self;
        let mut webhooks = Vec::new();
        for ReceiverWanted { name, url, key } in receivers {
            let row = receiver_id(system, &id, &name);
            cx.note(&format!("webhook {name}"), base(&url));
            begin_cursor(cx, &mut changes, &row, Receiver::SINK).await?;
            let version = before.iter().find(|old| old.id == row).map_or(0, |old| old.version);
            webhooks.push(Webhook { name: name.clone(), url: url.clone(), is_signed: key.is_some() });
            let value = Receiver { group: id.clone(), name, url, key, is_enabled };
            changes.put(system, &Row { id: row, version, value })?;
        }
        for gone in &before {
            if webhooks.iter().all(|kept| !kept.name.eq_ignore_ascii_case(&gone.value.name)) {
                remove(cx, &mut changes, gone).await?;
            }
        }
        let properties = ActionGroup { short_name, is_enabled, webhooks };
        PutResource { id, location, tags, properties, precondition: Precondition::default() }
            .apply_with(cx, changes)
            .await
    }
}

/// Who writes back what was read neither loses the address's query nor the key.
fn keep_what_is_hidden(wanted: &mut ReceiverWanted, before: &[Row<Receiver>]) {
    let same = before.iter().map(|row| &row.value).find(|old| old.name.eq_ignore_ascii_case(&wanted.name));
    let Some(old) = same.filter(|old| wanted.url == old.url || wanted.url == base(&old.url)) else { return };
    wanted.url.clone_from(&old.url);
    if wanted.key.is_none() {
        wanted.key.clone_from(&old.key);
    }
}

fn check(cx: &Cx<'_, PutActionGroup>, receivers: &[ReceiverWanted]) -> Result<()> {
    let field = "properties.webhookReceivers";
    if receivers.len() > MOST_RECEIVERS {
        return Err(Error::invalid(field, format_args!("has at most {MOST_RECEIVERS} webhooks")));
    }
    for (place, receiver) in receivers.iter().enumerate() {
        if !(1..=128).contains(&receiver.name.len()) || receiver.name.chars().any(char::is_control) {
            return Err(Error::invalid(field, "gives each webhook a name of 1 to 128 characters"));
        }
        let mut behind = receivers.iter().skip(place.saturating_add(1));
        if behind.any(|other| other.name.eq_ignore_ascii_case(&receiver.name)) {
            return Err(Error::invalid(field, format_args!("has two webhooks named `{}`", receiver.name)));
        }
        let is_web = receiver.url.starts_with("https://") || receiver.url.starts_with("http://");
        if !is_web || receiver.url.len() > 2048 {
            return Err(Error::invalid(field, "has a `serviceUri` that is no address of a web server, or too long"));
        }
        cx.web().permits(&receiver.url).map_err(|why| Error::invalid(field, why))?;
    }
    Ok(())
}

/// Removes an action group. Rules that name it tell nobody there any more.
#[derive(Debug)]
pub struct DeleteActionGroup {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeleteActionGroup {
    const ACTION: Action = ActionGroup::DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, row) = find::<ActionGroup>(cx, &self.id).await?;
        let mut changes = Changes::new();
        changes.delete(&shelf, &row);
        end_receivers(cx, &mut changes, &self.id).await?;
        cx.commit(changes).await
    }
}
