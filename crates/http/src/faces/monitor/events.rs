//! Event subscriptions of workspaces, in the form of Azure Event Grid (`Microsoft.EventGrid/eventSubscriptions`).

use axum::response::{IntoResponse, Response};
use domain::{
    delivery::{
        DeleteSubscription, EVENT_TYPES, Envelope, FieldFilter, FieldOperator, Filter, GetSubscription,
        ListSubscriptions, PutSubscription, SubscriptionStatus, open_part,
    },
    gate::enter,
};
use http::{Method, StatusCode};
use kernel::{Error, Kind, ResourceId, Result};
use serde_json::{Value, json};
use wire::event_grid;

use crate::{
    Doors, Guest,
    faces::arm::{Fault, WORKSPACE},
};

type Answer = std::result::Result<Response, Fault>;

pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{WORKSPACE}/providers/Microsoft.EventGrid/eventSubscriptions");
    let one = format!("{all}/{{subscription_name}}");
    doors
        .open::<ListSubscriptions, _, _>(Method::GET, &all, list_subscriptions)
        .open::<GetSubscription, _, _>(Method::GET, &one, get_subscription)
        .open::<PutSubscription, _, _>(Method::PUT, &one, put_subscription)
        .open::<DeleteSubscription, _, _>(Method::DELETE, &one, delete_subscription)
}

fn address(guest: &Guest) -> Result<(ResourceId, String)> {
    Ok((guest.resource(4)?, guest.resource(0)?.name().to_owned()))
}

async fn list_subscriptions(guest: Guest) -> Answer {
    let op = ListSubscriptions { scope: guest.resource(3)? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    let value: Vec<Value> = found.iter().map(view).collect();
    Ok(axum::Json(json!({"value": value})).into_response())
}

async fn get_subscription(guest: Guest) -> Answer {
    let (scope, name) = address(&guest)?;
    let found = enter(guest.house(), &guest.caller().await?, GetSubscription { scope, name }).await?;
    Ok(axum::Json(view(&found)).into_response())
}

async fn put_subscription(guest: Guest) -> Answer {
    let house = guest.house().clone();
    let (scope, name) = address(&guest)?;
    let caller = guest.admitted::<PutSubscription>(&scope).await?;
    let body: event_grid::Put = guest.json().await?;
    let input = body.properties;
    if input.destination.endpoint_type != "WebHook" {
        let why = "`properties.destination.endpointType`: only `WebHook` is supported";
        return Err(Error::new(Kind::Unsupported, why).into());
    }
    let envelope = match input.event_delivery_schema.as_deref() {
        None | Some("EventGridSchema") => Envelope::EventGrid,
        Some("CloudEventSchemaV1_0") => Envelope::CloudEvents,
        Some(_) => {
            let why = "is `EventGridSchema` or `CloudEventSchemaV1_0`";
            return Err(Error::invalid("properties.eventDeliverySchema", why).into());
        }
    };
    let filter = filter(input.filter.unwrap_or_default())?;
    let op = PutSubscription { scope, name, url: input.destination.properties.endpoint_url, envelope, filter };
    let put = enter(&house, &caller, op).await?;
    let status = if put.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, axum::Json(view(&put))).into_response())
}

async fn delete_subscription(guest: Guest) -> Answer {
    let (scope, name) = address(&guest)?;
    enter(guest.house(), &guest.caller().await?, DeleteSubscription { scope, name }).await?;
    Ok(StatusCode::OK.into_response())
}

fn filter(input: event_grid::Filter) -> Result<Filter> {
    let mut fields = Vec::new();
    for advanced in input.advanced_filters.unwrap_or_default() {
        let operator =
            FieldOperator::ALL.into_iter().find(|operator| advanced.operator_type == format!("{operator:?}"));
        let operator = operator.ok_or_else(|| {
            let why = format!("`properties.filter.advancedFilters`: `{}` is not supported", advanced.operator_type);
            Error::new(Kind::Unsupported, why)
        })?;
        fields.push(FieldFilter { operator, key: advanced.key, values: advanced.values });
    }
    Ok(Filter {
        types: input.included_event_types.unwrap_or_default(),
        begins_with: input.subject_begins_with.unwrap_or_default(),
        ends_with: input.subject_ends_with.unwrap_or_default(),
        is_case_sensitive: input.is_subject_case_sensitive.unwrap_or_default(),
        fields,
    })
}

fn view(status: &SubscriptionStatus) -> Value {
    let (subscription, cursor) = (&status.subscription, &status.cursor);
    let filter = &subscription.filter;
    let schema = match subscription.envelope {
        Envelope::EventGrid => "EventGridSchema",
        Envelope::CloudEvents => "CloudEventSchemaV1_0",
    };
    let all = EVENT_TYPES.map(|name| format!("Microsoft.MachineLearningServices.{name}"));
    let types: &[String] = if filter.types.is_empty() { &all } else { &filter.types };
    let advanced: Vec<Value> = filter
        .fields
        .iter()
        .map(|field| json!({"operatorType": format!("{:?}", field.operator), "key": field.key, "values": field.values}))
        .collect();
    let base = open_part(&subscription.url);
    json!({
        "id": format!("{}/providers/Microsoft.EventGrid/eventSubscriptions/{}", subscription.scope, subscription.name),
        "name": subscription.name,
        "type": "Microsoft.EventGrid/eventSubscriptions",
        "systemData": {
            "createdAt": subscription.created_at.rfc3339(),
            "lastModifiedAt": subscription.changed_at.rfc3339(),
        },
        "properties": {
            "topic": subscription.scope,
            "provisioningState": "Succeeded",
            "eventDeliverySchema": schema,
            "destination": {"endpointType": "WebHook", "properties": {"endpointBaseUrl": base}},
            "filter": {
                "includedEventTypes": types,
                "subjectBeginsWith": filter.begins_with,
                "subjectEndsWith": filter.ends_with,
                "isSubjectCaseSensitive": filter.is_case_sensitive,
                "advancedFilters": advanced,
            },
            "delivery": {
                "nextSequence": cursor.next,
                "failures": cursor.failures,
                "lastError": cursor.fault,
                "lastDeliveredTime": cursor.delivered_at.map(kernel::Timestamp::rfc3339),
            },
        },
    })
}
