//! Diagnostics: whether any are collected, and the outbox in which they can be looked at.

use axum::response::{IntoResponse, Response};
use domain::{
    delivery::open_part,
    diagnostics::{Collection, Entry, GetCollection, GetOutboxEntry, ListOutbox, PurgeOutbox, PutCollection},
    gate::enter,
};
use http::{Method, header};
use kernel::{ResourceId, Timestamp};
use serde_json::{Value, json};

use crate::{Doors, Guest, faces::arm::Fault};

pub(super) fn doors(doors: Doors) -> Doors {
    let (collection, outbox) = ("/diagnostics/v1/collection", "/diagnostics/v1/outbox");
    doors
        .open::<GetCollection, _, _>(Method::GET, collection, get_collection)
        .open::<PutCollection, _, _>(Method::PUT, collection, put_collection)
        .open::<ListOutbox, _, _>(Method::GET, outbox, list)
        .open::<PurgeOutbox, _, _>(Method::DELETE, outbox, purge)
        .open::<GetOutboxEntry, _, _>(Method::GET, &format!("{outbox}/{{entry}}"), get)
}

/// What a destination's query says may be its owner's secret, and is not shown.
fn view_collection(said: &Collection) -> Response {
    axum::Json(json!({
        "enabled": said.is_on,
        "destination": said.destination.as_deref().map(open_part),
        "holdHours": said.hold_hours,
        "changedAt": said.changed_at.map(Timestamp::rfc3339),
        "changedBy": said.changed_by,
    }))
    .into_response()
}

fn view(entry: &Entry) -> Value {
    json!({
        "id": entry.id,
        "collectedAt": entry.at.rfc3339(),
        "workspace": entry.workspace,
        "length": entry.body.len(),
        "state": if entry.sent_at.is_some() { "Sent" } else { "Held" },
        "sentAt": entry.sent_at.map(Timestamp::rfc3339),
        "fault": entry.fault,
    })
}

async fn get_collection(guest: Guest) -> Result<Response, Fault> {
    Ok(view_collection(&enter(guest.house(), &guest.caller().await?, GetCollection).await?))
}

async fn put_collection(guest: Guest) -> Result<Response, Fault> {
    let house = guest.house().clone();
    let caller = guest.admitted::<PutCollection>(&ResourceId::root()).await?;
    let body: wire::diagnostics::Collection = guest.json().await?;
    let op = PutCollection { is_on: body.enabled, destination: body.destination, hold_hours: body.hold_hours };
    Ok(view_collection(&enter(&house, &caller, op).await?))
}

async fn list(guest: Guest) -> Result<Response, Fault> {
    let entries = enter(guest.house(), &guest.caller().await?, ListOutbox).await?;
    Ok(axum::Json(json!({"value": entries.iter().map(view).collect::<Vec<_>>()})).into_response())
}

/// The bytes that leave, and no others.
async fn get(guest: Guest) -> Result<Response, Fault> {
    let op = GetOutboxEntry { id: guest.param("entry")? };
    let entry = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], entry.body).into_response())
}

async fn purge(guest: Guest) -> Result<Response, Fault> {
    let gone = enter(guest.house(), &guest.caller().await?, PurgeOutbox).await?;
    Ok(axum::Json(json!({"purged": gone})).into_response())
}
