//! Policy definitions and assignments.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    governance::{
        AssignmentWanted, BuiltInPolicies, DeletePolicyAssignment, DeletePolicyDefinition, GetBuiltInPolicy,
        GetPolicyAssignment, GetPolicyDefinition, ListPolicyAssignments, ListPolicyDefinitions, Mode, PolicyAssignment,
        PolicyDefinition, PutPolicyAssignment, PutPolicyDefinition,
    },
};
use http::{Method, StatusCode};
use kernel::Error;
use serde_json::{Map, Value, json};
use wire::{arm, policy};

use super::{Fault, SUBSCRIPTION, list};
use crate::{Doors, Guest};

/// The doors of definitions: those of a subscription, and those that ship.
pub(super) fn definitions(doors: Doors) -> Doors {
    let ships = "/providers/Microsoft.Authorization/policyDefinitions";
    let own = format!("{SUBSCRIPTION}{ships}");
    let one = format!("{own}/{{name}}");
    doors
        .open::<BuiltInPolicies, _, _>(Method::GET, ships, list_built_in)
        .open::<GetBuiltInPolicy, _, _>(Method::GET, &format!("{ships}/{{name}}"), get_built_in)
        .open::<ListPolicyDefinitions, _, _>(Method::GET, &own, list_definitions)
        .open::<GetPolicyDefinition, _, _>(Method::GET, &one, get_definition)
        .open::<PutPolicyDefinition, _, _>(Method::PUT, &one, put_definition)
        .open::<DeletePolicyDefinition, _, _>(Method::DELETE, &one, delete_definition)
}

/// The doors of assignments at one scope.
pub(super) fn assignments(doors: Doors, base: &str) -> Doors {
    let all = format!("{base}/policyAssignments");
    let one = format!("{all}/{{name}}");
    doors
        .open::<ListPolicyAssignments, _, _>(Method::GET, &all, list_assignments)
        .open::<GetPolicyAssignment, _, _>(Method::GET, &one, get_assignment)
        .open::<PutPolicyAssignment, _, _>(Method::PUT, &one, put_assignment)
        .open::<DeletePolicyAssignment, _, _>(Method::DELETE, &one, delete_assignment)
}

fn definition_view(definition: &PolicyDefinition) -> Value {
    json!({
        "id": definition.id(),
        "name": definition.name,
        "type": "Microsoft.Authorization/policyDefinitions",
        "properties": {
            "policyType": if definition.subscription.is_some() { "Custom" } else { "BuiltIn" },
            "mode": definition.mode.word(),
            "displayName": definition.display_name,
            "description": definition.description,
            "metadata": definition.metadata,
            "parameters": definition.parameters,
            "policyRule": definition.rule,
        },
    })
}

fn assignment_view(assignment: &PolicyAssignment) -> Value {
    let values = assignment.parameters.iter().map(|(name, value)| (name.clone(), json!({"value": value})));
    let messages: Vec<Value> = assignment.message.iter().map(|words| json!({"message": words})).collect();
    json!({
        "id": assignment.id(),
        "name": assignment.name,
        "type": "Microsoft.Authorization/policyAssignments",
        "properties": {
            "displayName": assignment.display_name,
            "description": assignment.description,
            "policyDefinitionId": assignment.definition,
            "scope": assignment.scope.as_str(),
            "notScopes": assignment.not_scopes.iter().map(|place| place.as_str()).collect::<Vec<_>>(),
            "parameters": values.collect::<Map<_, _>>(),
            "enforcementMode": if assignment.is_enforced { "Default" } else { "DoNotEnforce" },
            "nonComplianceMessages": messages,
            "metadata": assignment.metadata,
        },
    })
}

async fn list_built_in(guest: Guest) -> Result<Response, Fault> {
    let found = enter(guest.house(), &guest.caller().await?, BuiltInPolicies).await?;
    Ok(list(found.iter().map(definition_view).collect()))
}

async fn get_built_in(guest: Guest) -> Result<Response, Fault> {
    let op = GetBuiltInPolicy { name: guest.param("name")? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(definition_view(found)).into_response())
}

async fn list_definitions(guest: Guest) -> Result<Response, Fault> {
    let is_wanted: fn(&PolicyDefinition) -> bool = match guest.query("$filter").unwrap_or_default().as_str() {
        "" => |_| true,
        "policyType eq 'Custom'" => |one| one.subscription.is_some(),
        "policyType eq 'BuiltIn'" => |one| one.subscription.is_none(),
        _ => return Err(Error::invalid("$filter", "use `policyType eq 'Custom'` or `policyType eq 'BuiltIn'`").into()),
    };
    let op = ListPolicyDefinitions { subscription: guest.param("subscription")? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().filter(|one| is_wanted(one)).map(definition_view).collect()))
}

async fn get_definition(guest: Guest) -> Result<Response, Fault> {
    let op = GetPolicyDefinition { subscription: guest.param("subscription")?, name: guest.param("name")? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(definition_view(&found)).into_response())
}

async fn put_definition(guest: Guest) -> Result<Response, Fault> {
    let (house, subscription) = (guest.house().clone(), guest.param("subscription")?);
    let caller = guest.admitted::<PutPolicyDefinition>(&guest.resource(4)?).await?;
    let name = guest.param("name")?;
    let body: arm::Put<policy::Definition> = guest.json().await?;
    let op = PutPolicyDefinition { subscription, definition: definition(name, body.properties)? };
    let made = enter(&house, &caller, op).await?;
    Ok((StatusCode::CREATED, axum::Json(definition_view(&made))).into_response())
}

fn definition(name: String, given: policy::Definition) -> Result<PolicyDefinition, Error> {
    if given.policy_type.as_ref().is_some_and(|word| !word.eq_ignore_ascii_case("Custom")) {
        return Err(Error::invalid("properties.policyType", "must be `Custom`; what ships cannot be written"));
    }
    let mode = match given.mode.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("all") => Mode::All,
        Some("indexed") => Mode::Indexed,
        Some(_) => return Err(Error::invalid("properties.mode", "must be `All` or `Indexed`")),
    };
    Ok(PolicyDefinition {
        subscription: None,
        display_name: given.display_name.unwrap_or_else(|| name.clone()),
        name,
        description: given.description.unwrap_or_default(),
        mode,
        metadata: given.metadata.unwrap_or_default(),
        parameters: given.parameters.unwrap_or_default(),
        rule: given.policy_rule,
        authored: None,
    })
}

async fn delete_definition(guest: Guest) -> Result<Response, Fault> {
    let op = DeletePolicyDefinition { subscription: guest.param("subscription")?, name: guest.param("name")? };
    let gone = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(definition_view(&gone)).into_response())
}

async fn list_assignments(guest: Guest) -> Result<Response, Fault> {
    let at_scope = match guest.query("$filter").unwrap_or_default().as_str() {
        "" => false,
        "atScope()" => true,
        _ => return Err(Error::invalid("$filter", "use `atScope()`").into()),
    };
    let op = ListPolicyAssignments { scope: guest.resource(3)?, at_scope };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(assignment_view).collect()))
}

async fn get_assignment(guest: Guest) -> Result<Response, Fault> {
    let op = GetPolicyAssignment { scope: guest.resource(4)?, name: guest.param("name")? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(assignment_view(&found)).into_response())
}

async fn put_assignment(guest: Guest) -> Result<Response, Fault> {
    let (house, scope) = (guest.house().clone(), guest.resource(4)?);
    let caller = guest.admitted::<PutPolicyAssignment>(&scope).await?;
    let name = guest.param("name")?;
    let body: arm::Put<policy::Assignment> = guest.json().await?;
    let op = PutPolicyAssignment { scope, name, wanted: wanted(body.properties)? };
    let made = enter(&house, &caller, op).await?;
    Ok((StatusCode::CREATED, axum::Json(assignment_view(&made))).into_response())
}

fn wanted(given: policy::Assignment) -> Result<AssignmentWanted, Error> {
    let is_enforced = match given.enforcement_mode.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("default") => true,
        Some("donotenforce") => false,
        Some(_) => return Err(Error::invalid("properties.enforcementMode", "must be `Default` or `DoNotEnforce`")),
    };
    let mut messages = given.non_compliance_messages.unwrap_or_default();
    if messages.len() > 1 {
        return Err(Error::invalid("properties.nonComplianceMessages", "one at most"));
    }
    let places = given.not_scopes.unwrap_or_default();
    let places = places.into_iter().map(|text| text.parse().map_err(|why| Error::invalid("properties.notScopes", why)));
    Ok(AssignmentWanted {
        display_name: given.display_name.unwrap_or_default(),
        description: given.description.unwrap_or_default(),
        definition: given.policy_definition_id,
        parameters: given.parameters.unwrap_or_default().into_iter().map(|(name, one)| (name, one.value)).collect(),
        not_scopes: places.collect::<Result<_, _>>()?,
        is_enforced,
        message: messages.pop().map(|one| one.message),
        metadata: given.metadata.unwrap_or_default(),
    })
}

async fn delete_assignment(guest: Guest) -> Result<Response, Fault> {
    let op = DeletePolicyAssignment { scope: guest.resource(4)?, name: guest.param("name")? };
    let gone = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(assignment_view(&gone)).into_response())
}
