//! Action groups (`Microsoft.Insights/actionGroups`, Azure Monitor REST, 2023-01-01).

use axum::response::{IntoResponse, Response};
use domain::{
    alerts::{ActionGroup, DeleteActionGroup, PutActionGroup, ReceiverWanted},
    delivery::SinkKey,
    gate::{Row, enter},
    resources::{GetResource, ListInSubscription, ListResources, Resource, ResourceType},
};
use http::{Method, StatusCode};
use kernel::{Error, Kind, Result, Secret};
use serde_json::{Map, Value, json};
use wire::{alert, arm};

use crate::{
    Doors, Guest,
    faces::arm::{Fault, GROUP, list, named, show},
};

type Answer = std::result::Result<Response, Fault>;

/// Azure's other receivers: shown as empty lists, and refused when there is something in them.
const OTHERS: [&str; 10] = [
    "armRoleReceivers",
    "automationRunbookReceivers",
    "azureAppPushReceivers",
    "azureFunctionReceivers",
    "emailReceivers",
    "eventHubReceivers",
    "itsmReceivers",
    "logicAppReceivers",
    "smsReceivers",
    "voiceReceivers",
];

pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{GROUP}/providers/{}", ActionGroup::TYPE);
    let everywhere = format!("/subscriptions/{{subscription}}/providers/{}", ActionGroup::TYPE);
    let one = format!("{all}/{{name}}");
    doors
        .open::<ListResources<ActionGroup>, _, _>(Method::GET, &all, list_in_group)
        .open::<ListInSubscription<ActionGroup>, _, _>(Method::GET, &everywhere, list_in_subscription)
        .open::<GetResource<ActionGroup>, _, _>(Method::GET, &one, get_group)
        .open::<PutActionGroup, _, _>(Method::PUT, &one, put_group)
        .open::<DeleteActionGroup, _, _>(Method::DELETE, &one, delete_group)
}

async fn list_in_group(guest: Guest) -> Answer {
    let op = ListResources::<ActionGroup>::new(guest.resource(3)?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(view).collect()))
}

async fn list_in_subscription(guest: Guest) -> Answer {
    let op = ListInSubscription::<ActionGroup>::new(guest.param("subscription")?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(view).collect()))
}

async fn get_group(guest: Guest) -> Answer {
    let op = GetResource::<ActionGroup>::new(guest.resource(0)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view(&row)))
}

async fn put_group(guest: Guest) -> Answer {
    let (house, id) = (guest.house().clone(), guest.resource(0)?);
    let caller = guest.admitted::<PutActionGroup>(&id).await?;
    let body: alert::PutGroup = guest.json().await?;
    let input = body.properties;
    refuse_others(&input.others)?;
    let receivers = input.webhook_receivers.unwrap_or_default().into_iter().map(receiver);
    let op = PutActionGroup {
        id,
        location: body.location.unwrap_or_default(),
        tags: body.tags.unwrap_or_default(),
        short_name: input.group_short_name,
        is_enabled: input.enabled.unwrap_or(true),
        receivers: receivers.collect::<Result<Vec<_>>>()?,
    };
    let written = enter(&house, &caller, op).await?;
    Ok(named(if written.is_new { StatusCode::CREATED } else { StatusCode::OK }, view(&written.row)))
}

async fn delete_group(guest: Guest) -> Answer {
    let op = DeleteActionGroup { id: guest.resource(0)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}

fn refuse_others(others: &std::collections::BTreeMap<String, Value>) -> Result<()> {
    for (name, value) in others {
        if !OTHERS.contains(&name.as_str()) {
            return Err(Error::invalid(format!("properties.{name}"), "is unknown"));
        }
        let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if !is_empty {
            let why = format!("`properties.{name}`: only `webhookReceivers` are supported");
            return Err(Error::new(Kind::Unsupported, why));
        }
    }
    Ok(())
}

fn receiver(input: alert::WebhookReceiver) -> Result<ReceiverWanted> {
    let field = "properties.webhookReceivers";
    if input.use_common_alert_schema == Some(false) {
        let why = format!("`{field}.useCommonAlertSchema`: notifications have the common alert schema");
        return Err(Error::new(Kind::Unsupported, why));
    }
    if input.use_aad_auth == Some(true) {
        let why = format!("`{field}.useAadAuth`: webhooks get no tokens; give a `key`, and notifications are signed");
        return Err(Error::new(Kind::Unsupported, why));
    }
    let key = input.key.map(Secret::new);
    let key = key.as_ref().map(SinkKey::of_webhook).transpose();
    let key = key.map_err(|_| Error::invalid(format!("{field}.key"), "must have 24 to 256 bytes"))?;
    Ok(ReceiverWanted { name: input.name, url: input.service_uri, key })
}

fn view(row: &Row<Resource<ActionGroup>>) -> arm::Resource<Value> {
    let group = &row.value.properties;
    let webhooks: Vec<Value> = group
        .webhooks
        .iter()
        .map(|webhook| {
            json!({
                "name": webhook.name,
                // A query in the address may be its owner's secret.
                "serviceUri": webhook.base(),
                "useCommonAlertSchema": true,
                "useAadAuth": false,
                "isSigned": webhook.is_signed,
            })
        })
        .collect();
    let mut properties: Map<String, Value> = OTHERS.iter().map(|name| ((*name).to_owned(), json!([]))).collect();
    properties.insert(String::from("groupShortName"), json!(group.short_name));
    properties.insert(String::from("enabled"), json!(group.is_enabled));
    properties.insert(String::from("webhookReceivers"), json!(webhooks));
    show(row, Value::Object(properties))
}
