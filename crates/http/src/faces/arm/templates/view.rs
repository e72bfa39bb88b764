//! Deployments as clients read them.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    deployments::{DeploymentFault, DeploymentState, Plan, StepRecord, TemplateDeployment, standing},
    gate::Row,
    resources::Resource,
};
use kernel::{ResourceId, Timestamp};
use serde_json::{Value, json};
use wire::arm;

use super::super::show;
use crate::Guest;

/// A deployment.
pub(super) fn deployment(guest: &Guest, row: &Row<Resource<TemplateDeployment>>) -> arm::Resource<Value> {
    let of = &row.value.properties;
    let (state, fault) = standing(guest.house(), of);
    let made = of.steps.iter().filter(|step| step.state == DeploymentState::Succeeded);
    let made: Vec<Value> = made.map(|step| json!({"id": step.target})).collect();
    let until = of.ended_at.unwrap_or_else(|| guest.house().now());
    let properties = json!({
        "provisioningState": state.word(),
        "correlationId": of.correlation,
        "timestamp": until.rfc3339(),
        "duration": duration(of.started_at, until),
        "mode": "Incremental",
        "parameters": of.parameters,
        "outputs": of.outputs,
        "outputResources": made,
        "providers": providers(of.steps.iter().map(|step| step.kind.as_str())),
        "dependencies": [],
        "templateHash": of.template_hash,
        "error": fault.as_ref().map(failed),
    });
    show(row, properties)
}

/// What clients poll.
pub(super) fn status(guest: &Guest, row: &Row<Resource<TemplateDeployment>>) -> Value {
    let (state, fault) = standing(guest.house(), &row.value.properties);
    match &fault {
        Some(fault) => json!({"status": state.word(), "error": failed(fault)}),
        None => json!({"status": state.word()}),
    }
}

/// A plan that makes sense.
pub(super) fn validated(id: &ResourceId, plan: &Plan) -> Value {
    let resources: Vec<Value> = plan.steps().iter().map(|step| json!({"id": step.id})).collect();
    json!({
        "id": id,
        "name": id.name(),
        "type": "Microsoft.Resources/deployments",
        "properties": {
            "provisioningState": "Succeeded",
            "mode": "Incremental",
            "parameters": plan.parameters(),
            "providers": providers(plan.steps().iter().map(|step| step.kind.as_str())),
            "validatedResources": resources,
        },
    })
}

/// An operation: one resource of a deployment.
pub(super) fn operation(deployment: &ResourceId, step: &StepRecord) -> Value {
    let number = step.number.saturating_add(1).to_string();
    json!({
        "id": format!("{deployment}/operations/{number}"),
        "operationId": number,
        "properties": {
            "provisioningOperation": "Create",
            "provisioningState": step.state.word(),
            "timestamp": step.ended_at.rfc3339(),
            "duration": duration(step.started_at, step.ended_at),
            "statusCode": http::StatusCode::from_u16(step.status).ok().and_then(|status| status.canonical_reason()).unwrap_or("None").replace(' ', ""),
            "statusMessage": step.fault.as_ref().map(|fault| json!({"error": {"code": fault.code, "message": fault.message}})),
            "targetResource": {"id": step.target, "resourceType": step.kind, "resourceName": step.target.name()},
        },
    })
}

/// The error of a deployment: which resource failed, in the words of its own door.
fn failed(fault: &DeploymentFault) -> Value {
    let Some(target) = &fault.target else { return json!({"code": fault.code, "message": fault.message}) };
    json!({
        "code": "DeploymentFailed",
        "message": format!("the resource `{}` could not be deployed: {}", target.name(), fault.message),
        "target": target,
        "details": [{"code": fault.code, "message": fault.message, "target": target}],
    })
}

fn providers<'a>(kinds: impl Iterator<Item = &'a str>) -> Vec<Value> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (namespace, kind) in kinds.filter_map(|kind| kind.split_once('/')) {
        found.entry(namespace).or_default().insert(kind);
    }
    let types = |kinds: &BTreeSet<&str>| kinds.iter().map(|kind| json!({"resourceType": kind})).collect::<Vec<_>>();
    found.iter().map(|(namespace, kinds)| json!({"namespace": namespace, "resourceTypes": types(kinds)})).collect()
}

/// ISO 8601: `PT1.5S`.
fn duration(from: Timestamp, until: Timestamp) -> String {
    format!("PT{:.3}S", until.since(from).as_secs_f64())
}
