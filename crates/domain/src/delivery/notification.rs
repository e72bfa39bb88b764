//! What action groups are told: Azure Monitor's common alert schema.

use kernel::{Error, ResourceId, Result};
use serde_json::{Value, json};

use super::{Event, sink::Sent, webhook};
use crate::{
    alerts::{ALERT, Alert, CONDITION, Moment, Receiver},
    gate::{Activity, Admission, Outcome},
};

const MEDIA_TYPE: &str = "application/json; charset=utf-8";
const WORKSPACES: &str = "Microsoft.MachineLearningServices/workspaces";

/// What a record says of an alert: that it fired, or was resolved.
pub(super) fn of(activity: &Activity) -> Option<&'static str> {
    let is_of_rule = activity.action == "Microsoft.Insights/metricAlerts/evaluate/action";
    if !is_of_rule || activity.outcome != Outcome::Succeeded {
        return None;
    }
    ["Fired", "Resolved"].into_iter().find(|word| activity.detail.get(CONDITION).is_some_and(|said| said == word))
}

/// Tells one after the other, and none behind one that was not taken.
pub(super) async fn send(cx: &Admission<'_>, receiver: &Receiver, events: &[Event]) -> Result<Sent> {
    for (taken, event) in events.iter().enumerate() {
        let id = event.activity.detail.get(ALERT).and_then(|id| id.parse::<uuid::Uuid>().ok()).unwrap_or_default();
        // One that is not kept any more has nobody who waits for it.
        let Some(row) = cx.get::<Alert>(cx.system(), id.as_bytes()).await? else { continue };
        if !row.value.groups.contains(&receiver.group) {
            continue;
        }
        let body = body(&row.value, event.category)?;
        let (to, key, said) = (&receiver.url, receiver.key.as_ref(), event.id());
        if let Some(fault) = webhook::post(cx, to, key, (MEDIA_TYPE, &said), &[], &body).await? {
            return Ok(Sent { taken, fault: Some(fault) });
        }
    }
    Ok(Sent::all(events))
}

fn body(alert: &Alert, condition: &str) -> Result<Value> {
    let subscription = alert.scope.subscription_id().ok_or_else(|| Error::internal("an alert without subscription"))?;
    let id =
        format!("{}/providers/Microsoft.AlertsManagement/alerts/{}", ResourceId::subscription(subscription), alert.id);
    let is_resolved = condition == "Resolved";
    let moment = alert.resolved.as_ref().filter(|_| is_resolved).unwrap_or(&alert.fired);
    Ok(json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertId": id,
                "alertRule": alert.rule.name(),
                "alertRuleID": alert.rule,
                "severity": format!("Sev{}", alert.severity),
                "signalType": "Metric",
                "monitorCondition": condition,
                "monitoringService": "Platform",
                "alertTargetIDs": [alert.scope],
                "configurationItems": [alert.scope.name()],
                "originAlertId": alert.id,
                "firedDateTime": alert.fired.at.rfc3339(),
                "resolvedDateTime": alert.resolved.as_ref().filter(|_| is_resolved).map(|moment| moment.at.rfc3339()),
                "description": alert.description,
                "essentialsVersion": "1.0",
                "alertContextVersion": "1.0",
                "targetResourceName": alert.scope.name(),
                "targetResourceGroup": alert.scope.value_of("resourceGroups"),
                "targetResourceType": WORKSPACES,
            },
            "alertContext": context(alert, moment),
        },
    }))
}

fn context(alert: &Alert, moment: &Moment) -> Value {
    let all_of = alert.conditions.all_of.iter().enumerate().map(|(place, condition)| {
        let dimensions: Vec<Value> =
            condition.dimensions.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({
            "metricName": condition.metric.name(),
            "metricNamespace": WORKSPACES,
            "operator": format!("{:?}", condition.operator),
            "threshold": condition.threshold.to_string(),
            "timeAggregation": format!("{:?}", condition.aggregation),
            "dimensions": dimensions,
            "metricValue": moment.values.get(place),
            "webTestName": null,
        })
    });
    json!({
        "properties": null,
        "conditionType": alert.conditions.kind(),
        "condition": {
            "windowSize": alert.window.word(),
            "allOf": all_of.collect::<Vec<Value>>(),
            "windowStartTime": moment.from.rfc3339(),
            "windowEndTime": moment.until.rfc3339(),
        },
        "reason": moment.reason,
    })
}
