//! What there is in a group or a subscription, whatever its type.

use axum::response::Response;
use domain::{
    gate::enter,
    resources::{Item, ListGroupInventory, ListSubscriptionInventory},
};
use http::Method;
use kernel::{Error, Result};
use serde_json::{Value, json};

use super::{Fault, GROUP, list};
use crate::{
    Doors, Guest,
    faces::monitor::filter::{Word, words},
};

/// Most characters of a filter.
const LONGEST: usize = 4096;

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
    Ok(choice.view(&items))
}

async fn list_group(guest: Guest) -> Result<Response, Fault> {
    let choice = Choice::of(&guest)?;
    let op = ListGroupInventory { group: guest.resource(1)? };
    let items = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(choice.view(&items))
}

/// Which of them are shown, and with what: `$filter`, `$top`, `$expand`.
#[derive(Default)]
struct Choice {
    group: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    location: Option<String>,
    tag: Option<String>,
    tag_value: Option<String>,
    most: Option<usize>,
    expanded: Vec<String>,
}

impl Choice {
    fn of(guest: &Guest) -> Result<Self> {
        let mut choice = Self::read(&guest.query("$filter").unwrap_or_default())?;
        if let Some(top) = guest.query("$top") {
            choice.most = Some(top.parse().map_err(|why| Error::invalid("$top", why))?);
        }
        let expand = guest.query("$expand").unwrap_or_default();
        choice.expanded = expand.split(',').map(|word| word.trim().to_ascii_lowercase()).collect();
        Ok(choice)
    }

    fn read(filter: &str) -> Result<Self> {
        if filter.len() > LONGEST {
            return Err(Error::invalid("$filter", format_args!("is longer than {LONGEST} characters")));
        }
        let mut choice = Self::default();
        let words = words(filter)?;
        for clause in words.split(|word| word.is("and")).filter(|_| !words.is_empty()) {
            let [field, comparator, value] = clause else { return Err(unknown()) };
            let place = choice.place(field).filter(|_| comparator.is("eq")).ok_or_else(unknown)?;
            *place = Some(value.text.clone());
        }
        Ok(choice)
    }

    fn place(&mut self, field: &Word) -> Option<&mut Option<String>> {
        match field.text.to_ascii_lowercase().as_str() {
            "resourcegroup" => Some(&mut self.group),
            "resourcetype" => Some(&mut self.kind),
            "name" => Some(&mut self.name),
            "location" => Some(&mut self.location),
            "tagname" => Some(&mut self.tag),
            "tagvalue" => Some(&mut self.tag_value),
            _ => None,
        }
    }

    fn takes(&self, item: &Item) -> bool {
        let fits = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(found))
        };
        let tagged = match (&self.tag, &self.tag_value) {
            (None, None) => true,
            (name, value) => {
                item.tags.iter().any(|(key, held)| fits(name, key) && value.as_ref().is_none_or(|v| v == held))
            }
        };
        tagged
            && fits(&self.group, item.id.value_of("resourceGroups").unwrap_or_default())
            && fits(&self.kind, item.kind)
            && fits(&self.name, item.id.name())
            && fits(&self.location, &item.location)
    }

    fn view(&self, items: &[Item]) -> Response {
        let chosen = items.iter().filter(|item| self.takes(item)).take(self.most.unwrap_or(usize::MAX));
        list(chosen.map(|item| self.view_one(item)).collect())
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

fn unknown() -> Error {
    let fields = "`resourceGroup`, `resourceType`, `name`, `location`, `tagName` or `tagValue`";
    Error::invalid("$filter", format_args!("use {fields} with `eq`, joined by `and`"))
}
