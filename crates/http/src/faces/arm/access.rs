//! Role assignments and definitions at every scope (Microsoft.Authorization).

use axum::response::{IntoResponse, Response};
use domain::{
    access::{
        DeleteRoleAssignment, GetRoleAssignment, GetRoleDefinition, ListRoleAssignments, ListRoleDefinitions,
        PutRoleAssignment, RoleAssignment, RoleDefinition,
    },
    gate::enter,
};
use http::{Method, StatusCode};
use kernel::{Error, ResourceId};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::arm;

use super::{Fault, GROUP, WORKSPACE, list};
use crate::{Doors, Guest};

const ROOT: &str = "";
const SUBSCRIPTION: &str = "/subscriptions/{subscription}";

/// The doors of role assignments and definitions.
pub(super) fn doors(mut doors: Doors) -> Doors {
    for scope in [ROOT, SUBSCRIPTION, GROUP, WORKSPACE] {
        let base = format!("{scope}/providers/Microsoft.Authorization");
        let (assignments, assignment) = (format!("{base}/roleAssignments"), format!("{base}/roleAssignments/{{name}}"));
        let (definitions, definition) = (format!("{base}/roleDefinitions"), format!("{base}/roleDefinitions/{{name}}"));
        doors = doors
            .open::<ListRoleAssignments, _, _>(Method::GET, &assignments, list_assignments)
            .open::<GetRoleAssignment, _, _>(Method::GET, &assignment, get_assignment)
            .open::<PutRoleAssignment, _, _>(Method::PUT, &assignment, put_assignment)
            .open::<DeleteRoleAssignment, _, _>(Method::DELETE, &assignment, delete_assignment)
            .open::<ListRoleDefinitions, _, _>(Method::GET, &definitions, list_definitions)
            .open::<GetRoleDefinition, _, _>(Method::GET, &definition, get_definition);
    }
    doors
}

/// The scope before `/providers/Microsoft.Authorization/…`: the path without its last `drop` segments.
fn scope(guest: &Guest, drop: usize) -> Result<ResourceId, Error> {
    guest.resource(drop)
}

fn view(name: Uuid, assignment: &RoleAssignment) -> Value {
    let scope = &assignment.scope;
    let base = if scope.is_root() { "" } else { scope.as_str() };
    let subscription = scope.subscription_id().map(|id| format!("/subscriptions/{id}")).unwrap_or_default();
    let role = format!("{subscription}/providers/Microsoft.Authorization/roleDefinitions/{}", assignment.role);
    let at = assignment.created_at.rfc3339();
    json!({
        "id": format!("{base}/providers/Microsoft.Authorization/roleAssignments/{name}"),
        "name": name,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": arm::RoleAssignment {
            role_definition_id: role,
            principal_id: assignment.principal.to_string(),
            principal_type: format!("{:?}", assignment.kind),
            scope: scope.to_string(),
            created_on: at.clone(),
            updated_on: at,
            created_by: assignment.created_by.to_string(),
            updated_by: assignment.created_by.to_string(),
        },
    })
}

async fn list_assignments(guest: Guest) -> Result<Response, Fault> {
    let filter = guest.query("$filter").unwrap_or_default();
    let quoted = filter.split('\'').nth(1).map(str::parse).transpose().map_err(|why| Error::invalid("$filter", why))?;
    let names_one = filter.starts_with("principalId eq") || filter.starts_with("assignedTo(");
    if names_one && quoted.is_none() {
        return Err(Error::invalid("$filter", "the object id must stand in single quotes").into());
    }
    let at_scope = filter.contains("atScope()");
    let known =
        filter.is_empty() || at_scope || filter.starts_with("principalId eq") || filter.starts_with("assignedTo(");
    if !known {
        return Err(Error::invalid("$filter", "use `atScope()`, `principalId eq '…'` or `assignedTo('…')`").into());
    }
    let op = ListRoleAssignments { scope: scope(&guest, 3)?, principal: quoted, at_scope };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(|(name, assignment)| view(*name, assignment)).collect()))
}

async fn get_assignment(guest: Guest) -> Result<Response, Fault> {
    let op = GetRoleAssignment { name: guest.param("name")?, scope: scope(&guest, 4)? };
    let name = op.name;
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view(name, &found)).into_response())
}

async fn put_assignment(guest: Guest) -> Result<Response, Fault> {
    let (house, scope) = (guest.house().clone(), scope(&guest, 4)?);
    let caller = guest.admitted::<PutRoleAssignment>(&scope).await?;
    let name: Uuid = guest.param("name").map_err(|_| Error::invalid("roleAssignmentName", "must be a GUID"))?;
    let body: arm::Put<arm::RoleAssignmentInput> = guest.json().await?;
    let definition = body.properties.role_definition_id;
    let role = definition.rsplit('/').next().and_then(|guid| guid.parse().ok());
    let op = PutRoleAssignment {
        name,
        scope,
        role: role.ok_or_else(|| Error::invalid("properties.roleDefinitionId", "must end in the role's GUID"))?,
        principal: body.properties.principal_id.parse().map_err(|why| Error::invalid("properties.principalId", why))?,
    };
    let made = enter(&house, &caller, op).await?;
    Ok((StatusCode::CREATED, axum::Json(view(name, &made))).into_response())
}

async fn delete_assignment(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteRoleAssignment { name: guest.param("name")?, scope: scope(&guest, 4)? };
    let name = op.name;
    let gone = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view(name, &gone)).into_response())
}

fn view_definition(scope: &ResourceId, role: &RoleDefinition) -> Value {
    let base = scope.subscription_id().map(|id| format!("/subscriptions/{id}")).unwrap_or_default();
    json!({
        "id": format!("{base}/providers/Microsoft.Authorization/roleDefinitions/{}", role.id),
        "name": role.id,
        "type": "Microsoft.Authorization/roleDefinitions",
        "properties": {
            "roleName": role.role_name,
            "type": "BuiltInRole",
            "description": role.description,
            "assignableScopes": ["/"],
            "permissions": [{
                "actions": role.actions,
                "notActions": role.not_actions,
                "dataActions": role.data_actions,
                "notDataActions": role.not_data_actions,
            }],
        },
    })
}

async fn list_definitions(guest: Guest) -> Result<Response, Fault> {
    let filter = guest.query("$filter").unwrap_or_default();
    let role_name = filter.strip_prefix("roleName eq '").and_then(|rest| rest.strip_suffix('\'')).map(str::to_owned);
    let op = ListRoleDefinitions { scope: scope(&guest, 3)?, role_name };
    let at = op.scope.clone();
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.into_iter().map(|role| view_definition(&at, role)).collect()))
}

async fn get_definition(guest: Guest) -> Result<Response, Fault> {
    let op = GetRoleDefinition { role: guest.param("name")?, scope: scope(&guest, 4)? };
    let at = op.scope.clone();
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view_definition(&at, found)).into_response())
}
