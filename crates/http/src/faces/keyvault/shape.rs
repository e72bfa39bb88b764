//! What bodies of all kinds of objects have in common.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use domain::vault::{Attributes, AttributesForm, Deletion, Kind, Page, Recovery};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Visit;

/// `attributes` as clients send them; what only the server says is not looked at.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct AttributesBody {
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    exp: Option<i64>,
}

impl AttributesBody {
    /// Nothing but whether something may be used.
    pub(crate) fn enabled(enabled: Option<bool>) -> Self {
        Self { enabled, ..Self::default() }
    }
}

impl From<AttributesBody> for AttributesForm {
    fn from(body: AttributesBody) -> Self {
        Self { enabled: body.enabled, not_before: body.nbf, expires: body.exp }
    }
}

/// `attributes` as clients see them.
pub(crate) fn attributes(attributes: &Attributes, recovery: Recovery) -> Map<String, Value> {
    let mut out = Map::new();
    let mut say = |name: &str, value: Value| out.insert(name.to_owned(), value);
    say("enabled", json!(attributes.enabled));
    if let Some(from) = attributes.not_before {
        say("nbf", json!(from));
    }
    if let Some(end) = attributes.expires {
        say("exp", json!(end));
    }
    say("created", json!(attributes.created));
    say("updated", json!(attributes.updated));
    say("recoveryLevel", json!(recovery.level()));
    say("recoverableDays", json!(recovery.days));
    out
}

/// Tags are left out when there are none, as Azure does.
pub(crate) fn tags(out: &mut Map<String, Value>, tags: &BTreeMap<String, String>) {
    if !tags.is_empty() {
        out.insert(String::from("tags"), json!(tags));
    }
}

/// What a deleted object says more.
pub(crate) fn deleted<K: Kind>(out: &mut Map<String, Value>, visit: &Visit, name: &str, deletion: Deletion) {
    let id = format!("{}/deleted{}/{name}", visit.base, K::COLLECTION);
    out.insert(String::from("recoveryId"), json!(id));
    out.insert(String::from("deletedDate"), json!(deletion.deleted_at.seconds()));
    out.insert(String::from("scheduledPurgeDate"), json!(deletion.purge_at.seconds()));
}

/// A page of a list.
pub(crate) fn page<T>(visit: &Visit, page: Page<T>, view: impl Fn(&T) -> Map<String, Value>) -> Response {
    let entries: Vec<_> = page.entries.iter().map(view).collect();
    let next = page.next.map(|mark| visit.next(&mark));
    axum::Json(json!({"value": entries, "nextLink": next})).into_response()
}
