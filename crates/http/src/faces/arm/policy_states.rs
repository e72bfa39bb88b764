//! How resources stand to policies (Microsoft.PolicyInsights, api-version 2024-10-01): computed when it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    governance::{PolicyState, ScanCompliance},
};
use http::Method;
use kernel::Error;
use serde_json::{Value, json};

use super::{Fault, GROUP, WORKSPACE};
use crate::{Doors, Guest};

/// States of one answer.
const MOST: usize = 1000;

/// The doors of compliance.
pub(super) fn doors(mut doors: Doors) -> Doors {
    for scope in ["/subscriptions/{subscription}", GROUP, WORKSPACE] {
        let at = |what: &str| format!("{scope}/providers/Microsoft.PolicyInsights/policyStates/latest/{what}");
        doors = doors
            .open::<ScanCompliance, _, _>(Method::POST, &at("summarize"), summarize)
            .open::<ScanCompliance, _, _>(Method::POST, &at("queryResults"), query_results);
    }
    doors
}

async fn states(guest: &Guest) -> Result<Vec<PolicyState>, Fault> {
    let op = ScanCompliance { scope: guest.resource(5)? };
    Ok(enter(guest.house(), &guest.caller().await?, op).await?.states)
}

fn word(is_compliant: bool) -> &'static str {
    if is_compliant { "Compliant" } else { "NonCompliant" }
}

async fn query_results(guest: Guest) -> Result<Response, Fault> {
    let most = match guest.query("$top") {
        None => MOST,
        Some(text) => match text.parse() {
            Ok(most) if (1..=MOST).contains(&most) => most,
            _ => return Err(Error::invalid("$top", format_args!("must be 1 to {MOST}")).into()),
        },
    };
    let only: Option<bool> = match guest.query("$filter").unwrap_or_default().as_str() {
        "" => None,
        "complianceState eq 'NonCompliant'" | "isCompliant eq false" => Some(false),
        "complianceState eq 'Compliant'" | "isCompliant eq true" => Some(true),
        _ => return Err(Error::invalid("$filter", "use `complianceState eq 'NonCompliant'`, or `'Compliant'`").into()),
    };
    let now = guest.house().now().rfc3339();
    let found = states(&guest).await?;
    let wanted: Vec<_> = found.iter().filter(|one| only.is_none_or(|flag| flag == one.is_compliant)).collect();
    let shown = wanted.iter().take(most).map(|one| view(one, &now));
    let body = json!({
        "@odata.context": format!("{}{}", guest.house().settings().url, guest.path()),
        "@odata.count": wanted.len().min(most),
        "value": shown.collect::<Vec<_>>(),
    });
    Ok(axum::Json(body).into_response())
}

fn view(state: &PolicyState, now: &str) -> Value {
    json!({
        "timestamp": now,
        "resourceId": state.resource.as_str(),
        "resourceType": state.kind,
        "resourceLocation": state.location,
        "resourceGroup": state.resource.value_of("resourceGroups"),
        "subscriptionId": state.resource.subscription_id().map(|id| id.to_string()),
        "policyAssignmentId": state.assignment,
        "policyAssignmentName": state.assignment_name,
        "policyAssignmentScope": state.assignment_scope.as_str(),
        "policyDefinitionId": state.definition,
        "policyDefinitionName": state.definition_name,
        "policyDefinitionAction": state.effect,
        "isCompliant": state.is_compliant,
        "complianceState": word(state.is_compliant),
    })
}

async fn summarize(guest: Guest) -> Result<Response, Fault> {
    let found = states(&guest).await?;
    let mut of_assignments: BTreeMap<&str, Vec<&PolicyState>> = BTreeMap::new();
    for state in &found {
        of_assignments.entry(&state.assignment).or_default().push(state);
    }
    let assignments = of_assignments.iter().map(|(id, states)| {
        let definitions = states
            .first()
            .map(|one| json!({"policyDefinitionId": one.definition, "effect": one.effect, "results": results(states)}));
        json!({
            "policyAssignmentId": id,
            "results": results(states),
            "policyDefinitions": definitions.into_iter().collect::<Vec<_>>(),
        })
    });
    let all: Vec<&PolicyState> = found.iter().collect();
    let summary = json!({"results": results(&all), "policyAssignments": assignments.collect::<Vec<_>>()});
    Ok(axum::Json(json!({"@odata.count": 1, "value": [summary]})).into_response())
}

fn results(states: &[&PolicyState]) -> Value {
    let lacking = || states.iter().filter(|one| !one.is_compliant);
    let bad: BTreeSet<_> = lacking().map(|one| &one.resource).collect();
    let all: BTreeSet<_> = states.iter().map(|one| &one.resource).collect();
    let policies: BTreeSet<_> = lacking().map(|one| &one.assignment).collect();
    json!({
        "nonCompliantResources": bad.len(),
        "nonCompliantPolicies": policies.len(),
        "resourceDetails": [
            {"complianceState": "noncompliant", "count": bad.len()},
            {"complianceState": "compliant", "count": all.len().saturating_sub(bad.len())},
        ],
    })
}
