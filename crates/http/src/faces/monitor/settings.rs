//! Diagnostic settings and their categories, as azure-mgmt-monitor asks for them.

use axum::response::{IntoResponse, Response};
use domain::{
    delivery::{
        Category, Choice, DeleteSetting, GetSetting, ListCategories, ListSettings, PutSetting, SettingStatus, Sink,
        SinkKey, open_part,
    },
    gate::enter,
};
use http::{Method, StatusCode};
use kernel::{Error, Kind, ResourceId, Result, Secret};
use serde_json::{Value, json};
use wire::diagnostics;

use crate::{
    Doors, Guest,
    faces::arm::{Fault, WORKSPACE},
};

type Answer = std::result::Result<Response, Fault>;

/// The doors of settings at subscriptions and workspaces.
pub(super) fn doors(doors: Doors) -> Doors {
    ["/subscriptions/{subscription}", WORKSPACE].into_iter().fold(doors, |doors, scope| {
        let all = format!("{scope}/providers/Microsoft.Insights/diagnosticSettings");
        let one = format!("{all}/{{setting}}");
        let categories = format!("{scope}/providers/Microsoft.Insights/diagnosticSettingsCategories");
        doors
            .open::<ListSettings, _, _>(Method::GET, &all, list_settings)
            .open::<GetSetting, _, _>(Method::GET, &one, get_setting)
            .open::<PutSetting, _, _>(Method::PUT, &one, put_setting)
            .open::<DeleteSetting, _, _>(Method::DELETE, &one, delete_setting)
            .open::<ListCategories, _, _>(Method::GET, &categories, list_categories)
            .open::<ListCategories, _, _>(Method::GET, &format!("{categories}/{{category}}"), get_category)
    })
}

async fn list_settings(guest: Guest) -> Answer {
    let op = ListSettings { scope: guest.resource(3)? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    let value: Vec<Value> = found.iter().map(view).collect();
    Ok(axum::Json(json!({"value": value})).into_response())
}

/// The scope and the name of the setting in the address.
fn address(guest: &Guest) -> Result<(ResourceId, String)> {
    Ok((guest.resource(4)?, guest.resource(0)?.name().to_owned()))
}

async fn get_setting(guest: Guest) -> Answer {
    let (scope, name) = address(&guest)?;
    let found = enter(guest.house(), &guest.caller().await?, GetSetting { scope, name }).await?;
    Ok(axum::Json(view(&found)).into_response())
}

async fn put_setting(guest: Guest) -> Answer {
    let house = guest.house().clone();
    let (scope, name) = address(&guest)?;
    let caller = guest.admitted::<PutSetting>(&scope).await?;
    let body: diagnostics::Put = guest.json().await?;
    refuse_what_is_not_offered(&body.properties)?;
    let choices = body.properties.logs.iter().flatten().map(choice).collect::<Result<_>>()?;
    let op = PutSetting { scope, name, choices, sinks: sinks(body.properties)? };
    let put = enter(&house, &caller, op).await?;
    Ok(axum::Json(view(&put)).into_response())
}

async fn delete_setting(guest: Guest) -> Answer {
    let (scope, name) = address(&guest)?;
    enter(guest.house(), &guest.caller().await?, DeleteSetting { scope, name }).await?;
    Ok(StatusCode::OK.into_response())
}

fn refuse_what_is_not_offered(input: &diagnostics::Input) -> Result<()> {
    let no_event_hub = "there are no event hubs here; stream to `webhook`, `syslog` or `otlp`";
    let no_workspace = "the log tables can be queried without a setting (`/v1{resourceId}/query`)";
    let fields = [
        ("eventHubAuthorizationRuleId", &input.event_hub_authorization_rule_id, no_event_hub),
        ("eventHubName", &input.event_hub_name, no_event_hub),
        ("serviceBusRuleId", &input.service_bus_rule_id, no_event_hub),
        ("workspaceId", &input.workspace_id, no_workspace),
        ("marketplacePartnerId", &input.marketplace_partner_id, "there are no partners here"),
    ];
    if let Some((field, _, why)) = fields.iter().find(|(_, value, _)| value.is_some()) {
        return Err(Error::new(Kind::Unsupported, format!("`properties.{field}`: {why}")));
    }
    if input.metrics.iter().flatten().any(|metric| metric.enabled) {
        return Err(Error::new(Kind::Unsupported, "`properties.metrics`: metrics are not delivered; switch them off"));
    }
    let keeps = |log: &diagnostics::Log| log.retention_policy.as_ref().is_some_and(|kept| kept.enabled);
    if input.logs.iter().flatten().any(keeps) {
        let why = "`properties.logs`: retention belongs to the destination; leave `retentionPolicy` off";
        return Err(Error::new(Kind::Unsupported, why));
    }
    Ok(())
}

fn choice(log: &diagnostics::Log) -> Result<Choice> {
    match (&log.category, &log.category_group) {
        (Some(name), None) => Ok(Choice { name: name.clone(), is_group: false, is_enabled: log.enabled }),
        (None, Some(name)) => Ok(Choice { name: name.clone(), is_group: true, is_enabled: log.enabled }),
        _ => Err(Error::invalid("properties.logs", "each entry names a `category` or a `categoryGroup`")),
    }
}

fn sinks(input: diagnostics::Input) -> Result<Vec<Sink>> {
    let mut sinks = Vec::new();
    if let Some(account) = input.storage_account_id {
        let account = account.parse().map_err(|why| Error::invalid("properties.storageAccountId", why))?;
        sinks.push(Sink::Archive { account });
    }
    if let Some(webhook) = input.webhook {
        let is_single = match webhook.mode.as_deref() {
            None | Some("batch") => false,
            Some("single") => true,
            Some(_) => return Err(Error::invalid("properties.webhook.mode", "is `batch` or `single`")),
        };
        let key = webhook.key.map(Secret::new).as_ref().map(SinkKey::of_webhook).transpose()?;
        sinks.push(Sink::Webhook { url: webhook.url, key, is_single });
    }
    if let Some(syslog) = input.syslog {
        sinks.push(Sink::Syslog { server: syslog.server });
    }
    if let Some(otlp) = input.otlp {
        let token = otlp.token.map(Secret::new).as_ref().map(SinkKey::of_token).transpose()?;
        sinks.push(Sink::Otlp { url: otlp.url, token });
    }
    Ok(sinks)
}

fn view(status: &SettingStatus) -> Value {
    let setting = &status.setting;
    let logs: Vec<Value> = setting
        .choices
        .iter()
        .map(|choice| {
            let (category, group) =
                if choice.is_group { (None, Some(&choice.name)) } else { (Some(&choice.name), None) };
            json!({
                "category": category,
                "categoryGroup": group,
                "enabled": choice.is_enabled,
                "retentionPolicy": {"enabled": false, "days": 0},
            })
        })
        .collect();
    let mut properties = json!({"logs": logs, "metrics": [], "delivery": delivery(status)});
    for sink in &setting.sinks {
        let (name, shown) = match sink {
            Sink::Archive { account } => ("storageAccountId", json!(account)),
            Sink::Webhook { url, key, is_single } => {
                let mode = if *is_single { "single" } else { "batch" };
                ("webhook", json!({"url": open_part(url), "mode": mode, "hasKey": key.is_some()}))
            }
            Sink::Syslog { server } => ("syslog", json!({"server": server})),
            Sink::Otlp { url, token } => ("otlp", json!({"url": open_part(url), "hasToken": token.is_some()})),
        };
        if let Some(fields) = properties.as_object_mut() {
            fields.insert(name.to_owned(), shown);
        }
    }
    json!({
        "id": format!("{}/providers/Microsoft.Insights/diagnosticSettings/{}", setting.scope, setting.name),
        "name": setting.name,
        "type": "Microsoft.Insights/diagnosticSettings",
        "systemData": {"createdAt": setting.created_at.rfc3339(), "lastModifiedAt": setting.changed_at.rfc3339()},
        "properties": properties,
    })
}

/// How far each sink has got, and what stands in its way.
fn delivery(status: &SettingStatus) -> Vec<Value> {
    let shown = |(sink, cursor): &(&str, domain::delivery::Cursor)| {
        let waits = cursor.failures > 0;
        json!({
            "sink": sink,
            "state": if waits { "Failing" } else { "Delivering" },
            "nextSequence": cursor.next,
            "logSequence": status.head,
            "lastDeliveredTime": cursor.delivered_at.map(kernel::Timestamp::rfc3339),
            "failures": cursor.failures,
            "lastError": cursor.fault,
            "lastErrorTime": cursor.failed_at.map(kernel::Timestamp::rfc3339),
            "nextAttemptTime": waits.then(|| cursor.not_before.rfc3339()),
            "lostToRetention": cursor.lost,
        })
    };
    status.cursors.iter().map(shown).collect()
}

fn view_category(scope: &ResourceId, category: &Category) -> Value {
    json!({
        "id": format!("{scope}/providers/Microsoft.Insights/diagnosticSettingsCategories/{}", category.name),
        "name": category.name,
        "type": "Microsoft.Insights/diagnosticSettingsCategories",
        "properties": {"categoryType": "Logs", "categoryGroups": category.groups},
    })
}

async fn list_categories(guest: Guest) -> Answer {
    let scope = guest.resource(3)?;
    let found = enter(guest.house(), &guest.caller().await?, ListCategories { scope: scope.clone() }).await?;
    let value: Vec<Value> = found.iter().map(|category| view_category(&scope, category)).collect();
    Ok(axum::Json(json!({"value": value})).into_response())
}

async fn get_category(guest: Guest) -> Answer {
    let (scope, name) = address(&guest)?;
    let all = enter(guest.house(), &guest.caller().await?, ListCategories { scope: scope.clone() }).await?;
    let found = all.iter().find(|category| category.name.eq_ignore_ascii_case(&name));
    let found = found.ok_or_else(|| Error::not_found(format_args!("the category `{name}`")))?;
    Ok(axum::Json(view_category(&scope, found)).into_response())
}
