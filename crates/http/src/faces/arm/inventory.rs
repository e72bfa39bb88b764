//! What there is in a group or a subscription, whatever its type.

use axum::response::Response;
use domain::{
    gate::enter,
    resources::{Item, ListGroupInventory, ListSubscriptionInventory},
};
use http::Method;
use kernel::Result;
use serde_json::{Value, json};

use super::{
    Fault, GROUP,
    pages::{Clauses, Pages},
};
use crate::{Doors, Guest};

/// The doors of lists across types.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = "/subscriptions/{subscription}/resources";
    doors.open::<ListSubscriptionInventory, _, _>(Method::GET, all, list_subscription).open::<ListGroupInventory, _, _>(
        Method::GET,
        &format!("{GROUP}/resources"),
        list_group,
    )
}

async fn list_subscription(guest: Guest) -> Result<Response, Fault> {
    let choice = Choice::of(&guest)?;
    let op = ListSubscriptionInventory { subscription: guest.param("subscription")? };
    let items = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(choice.view(&guest, items))
}

async fn list_group(guest: Guest) -> Result<Response, Fault> {
    let choice = Choice::of(&guest)?;
    let op = ListGroupInventory { group: guest.resource(1)? };
    let items = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(choice.view(&guest, items))
}

/// The fields that a filter may name.
const FIELDS: &[&str] = &["resourceGroup", "resourceType", "name", "location", "tagName", "tagValue"];

/// Which of them are shown, and with what: `$filter`, `$top`, `$skiptoken`, `$expand`.
struct Choice {
    filter: Clauses,
    pages: Pages,
    expanded: Vec<String>,
}

impl Choice {
    fn of(guest: &Guest) -> Result<Self> {
        let expand = guest.query("$expand").unwrap_or_default();
        Ok(Self {
            filter: Clauses::of(guest, FIELDS)?,
            pages: Pages::of(guest, "$skiptoken")?,
            expanded: expand.split(',').map(|word| word.trim().to_ascii_lowercase()).collect(),
        })
    }

    fn takes(&self, item: &Item) -> bool {
        let filter = &self.filter;
        filter.fit_tags(&item.tags)
            && filter.fits("resourcegroup", item.id.value_of("resourceGroups").unwrap_or_default())
            && filter.fits("resourcetype", item.kind)
            && filter.fits("name", item.id.name())
            && filter.fits("location", &item.location)
    }

    fn view(&self, guest: &Guest, items: Vec<Item>) -> Response {
        let chosen = items.into_iter().filter(|item| self.takes(item));
        self.pages.answer(guest, chosen, |item| &item.id, |item| self.view_one(item))
    }

    fn view_one(&self, item: &Item) -> Value {
        let mut shown = json!({
            "id": item.id.to_string(),
            "name": item.id.name(),
            "type": item.kind,
            "location": item.location,
            "tags": item.tags,
        });
        let more = [
            ("createdTime", item.system.created_at.rfc3339()),
            ("changedTime", item.system.last_modified_at.rfc3339()),
            ("provisioningState", String::from("Succeeded")),
        ];
        for (field, value) in more {
            if self.expanded.contains(&field.to_ascii_lowercase()) {
                shown.as_object_mut().map(|object| object.insert(field.to_owned(), json!(value)));
            }
        }
        shown
    }
}
