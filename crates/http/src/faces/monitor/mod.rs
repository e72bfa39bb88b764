//! The activity log at Azure's `Microsoft.Insights` address, and its checkpoints and exports at ours.

mod filter;
mod metrics;

use axum::response::{IntoResponse, Response};
use domain::{
    audit::{ExportLog, ListActivities, Listed, SignCheckpoint},
    gate::{Actor, Outcome, enter},
};
use http::{Method, header};
use kernel::{Error, ResourceId};
use serde_json::{Value, json};

use super::arm::Fault;
use crate::{Doors, Guest};

/// The doors of this face.
pub fn doors(doors: Doors) -> Doors {
    let values = "/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values";
    let tenant_values = "/providers/Microsoft.Insights/eventtypes/management/values";
    metrics::doors(doors)
        .open::<ListActivities, _, _>(Method::GET, values, list_activities)
        .open::<ListActivities, _, _>(Method::GET, tenant_values, list_activities)
        .open::<SignCheckpoint, _, _>(Method::GET, "/activity-log/v1/checkpoint", sign_checkpoint)
        .open::<ExportLog, _, _>(Method::GET, "/activity-log/v1/records", export_log)
}

async fn list_activities(guest: Guest) -> Result<Response, Fault> {
    let scope = guest.resource(5)?;
    let filter = filter::parse(&guest, &scope)?;
    let page = enter(guest.house(), &guest.caller().await?, ListActivities { scope, filter }).await?;
    let value = page.found.iter().map(|listed| view(&guest, listed)).collect();
    let next_link = page.before.map(|before| guest.link_with("before", &before.to_string()));
    Ok(axum::Json(wire::arm::List::<Value> { value, next_link }).into_response())
}

fn both(word: &str) -> Value {
    json!({"value": word, "localizedValue": word})
}

fn view(guest: &Guest, listed: &Listed) -> Value {
    let activity = &listed.activity;
    let scope = &activity.scope;
    let provider = activity.action.split('/').next().unwrap_or_default();
    let resource_type = activity.action.rsplit_once('/').map_or(activity.action.as_str(), |(kind, _)| kind);
    let (level, sub_status) = match &activity.outcome {
        Outcome::Succeeded => ("Informational", String::new()),
        Outcome::Denied => ("Warning", String::from("Forbidden")),
        Outcome::Failed(kind) => ("Error", kind.clone()),
    };
    let (initiator, claims) = initiator(&activity.actor);
    json!({
        "id": format!("{scope}/events/{}/ticks/{}", activity.event, listed.seq),
        "sequence": listed.seq,
        "eventDataId": activity.event,
        "correlationId": activity.correlation,
        "operationId": activity.correlation,
        "caller": initiator,
        "claims": claims,
        "level": level,
        "channels": "Operation",
        "eventTimestamp": activity.at.rfc3339(),
        "submissionTimestamp": activity.at.rfc3339(),
        "resourceGroupName": scope.value_of("resourceGroups").unwrap_or_default(),
        "resourceId": scope,
        "subscriptionId": scope.subscription_id(),
        "tenantId": guest.house().tenant(),
        "operationName": both(&activity.action),
        "status": both(activity.outcome.word()),
        "subStatus": both(&sub_status),
        "category": both("Administrative"),
        "eventName": both("EndRequest"),
        "resourceType": both(resource_type),
        "resourceProviderName": both(provider),
        "authorization": {"action": activity.action, "scope": scope},
        "httpRequest": {"clientIpAddress": activity.address},
        "properties": activity.detail,
        "description": "",
    })
}

/// The initiator as Azure's `caller`, and the claims that say more.
fn initiator(actor: &Actor) -> (String, Value) {
    let claims = match actor {
        Actor::Principal { id, kind, .. } => json!({"oid": id, "principalType": format!("{kind:?}")}),
        Actor::Run { run, on_behalf_of } => json!({"run": run, "onBehalfOf": on_behalf_of}),
        Actor::ServiceKey { key } => json!({"key": key}),
        Actor::House | Actor::Nobody => json!({}),
    };
    (actor.label(), claims)
}

async fn sign_checkpoint(guest: Guest) -> Result<Response, Fault> {
    let signed = enter(guest.house(), &guest.caller().await?, SignCheckpoint::default()).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], signed.text).into_response())
}

/// Rows as they are stored, one JSON object a line: `{"seq","link","record"}`, the latter two in base64.
async fn export_log(guest: Guest) -> Result<Response, Fault> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let number =
        |name: &str| guest.query(name).map(|text| text.parse()).transpose().map_err(|why| Error::invalid(name, why));
    let from = number("from")?.unwrap_or(1);
    let most = number("limit")?.unwrap_or(1000);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let rows = enter(guest.house(), &guest.caller().await?, ExportLog { from, most }).await?;
    let mut out = String::new();
    for row in rows {
        let link = STANDARD.encode(row.link);
        let record = STANDARD.encode(row.record.bytes());
        out.push_str(&json!({"seq": row.seq, "link": link, "record": record}).to_string());
        out.push('\n');
    }
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], out).into_response())
}

/// A scope named in a filter.
fn scope_field(field: &str, text: &str) -> Result<ResourceId, Error> {
    text.parse().map_err(|why| Error::invalid(field, why))
}
