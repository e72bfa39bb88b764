//! What lists and entities have in common: pages, and which fields are wanted.

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::identity::{Listing, Page};
use http::StatusCode;
use kernel::{Error, Kind, Result};
use serde::Serialize;
use serde_json::Value;
use wire::graph::List;

use super::filter;
use crate::Guest;

/// Query options of OData that change an answer, and are not offered.
const FOREIGN: &[&str] = &["$orderby", "$search", "$expand", "$skip", "$apply", "$compute", "$count"];

/// What is asked of a list.
pub(super) fn listing(guest: &Guest) -> Result<Listing> {
    refuse_foreign(guest)?;
    let filters = match guest.query("$filter") {
        Some(text) => filter::parse(&text)?,
        None => Vec::new(),
    };
    let top = guest.query("$top").map(|text| text.parse().map_err(|_| Error::invalid("$top", "must be a number")));
    // The last one counts: a link to a next page that was escaped on the way is added to, not replaced.
    let after = guest.query_all("$skiptoken").pop().map(|text| {
        let place = URL_SAFE_NO_PAD.decode(&text).ok().filter(|place| place.len() <= 64);
        place.ok_or_else(|| Error::invalid("$skiptoken", "must be taken from the page before"))
    });
    Ok(Listing { filters, after: after.transpose()?, top: top.transpose()? })
}

/// A page as an answer.
pub(super) fn page<T, V: Serialize>(guest: &Guest, page: Page<T>, view: impl Fn(&T) -> V) -> Result<Response> {
    let link = |place: Vec<u8>| guest.link_with("$skiptoken", &URL_SAFE_NO_PAD.encode(place));
    let value: Result<Vec<Value>> = page.entries.iter().map(|entry| selected(guest, &view(entry))).collect();
    Ok(axum::Json(List { value: value?, next_link: page.next.map(link) }).into_response())
}

/// One entity as an answer.
pub(super) fn entity<V: Serialize>(guest: &Guest, status: StatusCode, view: &V) -> Result<Response> {
    refuse_foreign(guest)?;
    Ok((status, axum::Json(selected(guest, view)?)).into_response())
}

/// The fields that `$select` names; all when it names none.
fn selected<V: Serialize>(guest: &Guest, view: &V) -> Result<Value> {
    let mut value = serde_json::to_value(view).map_err(Error::internal)?;
    if let (Some(wanted), Value::Object(fields)) = (guest.query("$select"), &mut value) {
        let wanted: Vec<&str> = wanted.split(',').map(str::trim).collect();
        fields.retain(|name, _| name.starts_with('@') || wanted.iter().any(|word| word.eq_ignore_ascii_case(name)));
    }
    Ok(value)
}

fn refuse_foreign(guest: &Guest) -> Result<()> {
    match FOREIGN.iter().find(|name| guest.query(name).is_some_and(|value| value != "false")) {
        Some(name) => {
            Err(Error::new(Kind::Unsupported, format!("`{name}` is not offered; `$filter`, `$select` and `$top` are")))
        }
        None => Ok(()),
    }
}
