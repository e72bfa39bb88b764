//! Records of the activity log, as Azure's `eventtypes/management/values` shows them.

use axum::response::{IntoResponse, Response};
use domain::{
    audit::{ListActivities, Listed},
    gate::{Actor, Outcome, enter},
};
use serde_json::{Map, Value, json};

use super::filter::{self, Selection};
use crate::{Guest, faces::arm::Fault};

/// Every field of a record, for `$select`.
const FIELDS: [&str; 26] = [
    "authorization",
    "caller",
    "category",
    "channels",
    "claims",
    "correlationId",
    "description",
    "eventDataId",
    "eventName",
    "eventTimestamp",
    "httpRequest",
    "id",
    "level",
    "operationId",
    "operationName",
    "properties",
    "resourceGroupName",
    "resourceId",
    "resourceProviderName",
    "resourceType",
    "sequence",
    "status",
    "subStatus",
    "submissionTimestamp",
    "subscriptionId",
    "tenantId",
];

pub(super) async fn list(guest: Guest) -> Result<Response, Fault> {
    let scope = guest.resource(5)?;
    let (filter, selection) = (filter::parse(&guest)?, Selection::of(&guest, &FIELDS)?);
    let page = enter(guest.house(), &guest.caller().await?, ListActivities { scope, filter }).await?;
    let value = page.found.iter().map(|listed| {
        let mut record = view(&guest, listed);
        selection.apply(&mut record);
        record
    });
    let value = value.collect();
    let next_link = page.before.map(|before| guest.link_with("before", &before.to_string()));
    Ok(axum::Json(wire::arm::List::<Map<String, Value>> { value, next_link }).into_response())
}

pub(super) fn both(word: &str) -> Value {
    json!({"value": word, "localizedValue": word})
}

pub(super) fn view(guest: &Guest, listed: &Listed) -> Map<String, Value> {
    let activity = &listed.activity;
    let scope = &activity.scope;
    let resource_type = activity.action.rsplit_once('/').map_or(activity.action.as_str(), |(kind, _)| kind);
    let sub_status = match &activity.outcome {
        Outcome::Succeeded => "",
        Outcome::Denied => "Forbidden",
        Outcome::Failed(kind) => kind,
    };
    let (initiator, claims) = initiator(&activity.actor);
    let record = json!({
        "id": format!("{scope}/events/{}/ticks/{}", activity.event, listed.seq),
        "sequence": listed.seq,
        "eventDataId": activity.event,
        "correlationId": activity.correlation,
        "operationId": activity.correlation,
        "caller": initiator,
        "claims": claims,
        "level": activity.level(),
        "channels": "Operation",
        "eventTimestamp": activity.at.rfc3339(),
        "submissionTimestamp": activity.at.rfc3339(),
        "resourceGroupName": scope.value_of("resourceGroups").unwrap_or_default(),
        "resourceId": scope,
        "subscriptionId": scope.subscription_id(),
        "tenantId": guest.house().tenant(),
        "operationName": both(&activity.action),
        "status": both(activity.outcome.word()),
        "subStatus": both(sub_status),
        "category": both("Administrative"),
        "eventName": both("EndRequest"),
        "resourceType": both(resource_type),
        "resourceProviderName": both(activity.provider()),
        "authorization": {"action": activity.action, "scope": scope},
        "httpRequest": {"clientIpAddress": activity.address},
        "properties": activity.detail,
        "description": "",
    });
    match record {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The initiator as Azure's `caller`, and the claims that say more.
fn initiator(actor: &Actor) -> (String, Value) {
    let claims = match actor {
        Actor::Principal { id, kind, .. } => json!({"oid": id, "principalType": format!("{kind:?}")}),
        Actor::Run { run, on_behalf_of } => json!({"run": run, "onBehalfOf": on_behalf_of}),
        Actor::ServiceKey { key } => json!({"key": key}),
        Actor::AccountKey { credential, on_behalf_of } => json!({"key": credential, "onBehalfOf": on_behalf_of}),
        Actor::House | Actor::Nobody => json!({}),
    };
    (actor.label(), claims)
}
