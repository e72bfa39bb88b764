//! Alerts that were raised (`Microsoft.AlertsManagement/alerts`, Azure Monitor REST, 2019-05-05-preview).

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use domain::{
    alerts::{Alert, GetAlert, ListAlerts},
    gate::enter,
};
use http::Method;
use kernel::{Error, ResourceId, Timestamp};
use serde_json::{Value, json};

use super::NAMESPACE;
use crate::{Doors, Guest, faces::arm::Fault};

type Answer = std::result::Result<Response, Fault>;

const DAY: u64 = 24 * 3600;
const RANGES: [(&str, u64); 4] = [("1h", 3600), ("1d", DAY), ("7d", 7 * DAY), ("30d", 30 * DAY)];

pub(super) fn doors(doors: Doors) -> Doors {
    let all = "/subscriptions/{subscription}/providers/Microsoft.AlertsManagement/alerts";
    doors.open::<ListAlerts, _, _>(Method::GET, all, list_alerts).open::<GetAlert, _, _>(
        Method::GET,
        &format!("{all}/{{alert}}"),
        get_alert,
    )
}

async fn list_alerts(guest: Guest) -> Answer {
    let caller = guest.admitted::<ListAlerts>(&ResourceId::subscription(guest.param("subscription")?)).await?;
    let range = guest.query("timeRange").unwrap_or_else(|| String::from("1d"));
    let seconds = RANGES.into_iter().find(|(name, _)| *name == range).map(|(_, seconds)| seconds);
    let seconds = seconds.ok_or_else(|| Error::invalid("timeRange", "is `1h`, `1d`, `7d` or `30d`"))?;
    let span = i64::try_from(Duration::from_secs(seconds).as_millis()).unwrap_or(i64::MAX);
    let from = Timestamp(guest.house().now().0.saturating_sub(span));
    let op = ListAlerts { subscription: guest.param("subscription")?, from };
    let found = enter(guest.house(), &caller, op).await?;
    let wants = |name: &str, is: &str| guest.query(name).is_none_or(|wanted| wanted.eq_ignore_ascii_case(is));
    let value: Vec<Value> = found
        .iter()
        .filter(|alert| {
            wants("monitorCondition", condition(alert))
                && wants("severity", &format!("Sev{}", alert.severity))
                && wants("targetResource", alert.scope.as_str())
                && (wants("alertRule", alert.rule.as_str()) || wants("alertRule", alert.rule.name()))
        })
        .map(view)
        .collect();
    Ok(axum::Json(json!({"value": value})).into_response())
}

async fn get_alert(guest: Guest) -> Answer {
    let op = GetAlert { subscription: guest.param("subscription")?, id: guest.param("alert")? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view(&found)).into_response())
}

fn condition(alert: &Alert) -> &'static str {
    if alert.resolved.is_some() { "Resolved" } else { "Fired" }
}

fn view(alert: &Alert) -> Value {
    let resolved = alert.resolved.as_ref();
    let last = resolved.unwrap_or(&alert.fired);
    let subscription = alert.scope.subscription_id().map(ResourceId::subscription);
    let subscription = subscription.unwrap_or_else(ResourceId::root);
    json!({
        "id": format!("{subscription}/providers/Microsoft.AlertsManagement/alerts/{}", alert.id),
        "type": "Microsoft.AlertsManagement/alerts",
        "name": alert.id,
        "properties": {
            "essentials": {
                "severity": format!("Sev{}", alert.severity),
                "signalType": "Metric",
                "alertState": "New",
                "monitorCondition": condition(alert),
                "monitorService": "Platform",
                "targetResource": alert.scope,
                "targetResourceName": alert.scope.name(),
                "targetResourceGroup": alert.scope.value_of("resourceGroups"),
                "targetResourceType": NAMESPACE,
                "sourceCreatedId": alert.id,
                "alertRule": alert.rule,
                "description": alert.description,
                "startDateTime": alert.fired.at.rfc3339(),
                "lastModifiedDateTime": last.at.rfc3339(),
                "monitorConditionResolvedDateTime": resolved.map(|moment| moment.at.rfc3339()),
            },
            "context": {
                "values": last.values,
                "reason": last.reason,
            },
        },
    })
}
