//! Role assignments at every scope.

use axum::response::{IntoResponse, Response};
use domain::{
    access::{DeleteRoleAssignment, GetRoleAssignment, ListRoleAssignments, PutRoleAssignment, RoleAssignment},
    gate::enter,
};
use http::StatusCode;
use kernel::Error;
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{arm, authorization};

use super::{Fault, assignment_id, definition_id, guid_of, list};
use crate::Guest;

fn view(name: Uuid, assignment: &RoleAssignment) -> Value {
    let scope = &assignment.scope;
    let at = assignment.created_at.rfc3339();
    json!({
        "id": assignment_id(scope, name),
        "name": name,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": authorization::RoleAssignment {
            role_definition_id: definition_id(scope, assignment.role),
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

pub(super) async fn list_assignments(guest: Guest) -> Result<Response, Fault> {
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
    let op = ListRoleAssignments {
        scope: guest.resource(3)?,
        principal: quoted,
        with_groups: filter.starts_with("assignedTo("),
        at_scope,
    };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(|(name, assignment)| view(*name, assignment)).collect()))
}

pub(super) async fn get_assignment(guest: Guest) -> Result<Response, Fault> {
    let op = GetRoleAssignment { name: guest.param("name")?, scope: guest.resource(4)? };
    let name = op.name;
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view(name, &found)).into_response())
}

pub(super) async fn put_assignment(guest: Guest) -> Result<Response, Fault> {
    let (house, scope) = (guest.house().clone(), guest.resource(4)?);
    let caller = guest.admitted::<PutRoleAssignment>(&scope).await?;
    let name: Uuid = guest.param("name").map_err(|_| Error::invalid("roleAssignmentName", "must be a GUID"))?;
    let body: arm::Put<authorization::RoleAssignmentInput> = guest.json().await?;
    let given = body.properties;
    let narrowed = [
        ("properties.condition", &given.condition),
        ("properties.conditionVersion", &given.condition_version),
        ("properties.delegatedManagedIdentityResourceId", &given.delegated_managed_identity_resource_id),
    ];
    if let Some((field, _)) = narrowed.into_iter().find(|(_, value)| value.is_some()) {
        // Left out, it would give more than was asked for.
        return Err(Error::invalid(field, "is not supported: a role counts at its scope without conditions").into());
    }
    let op = PutRoleAssignment {
        name,
        scope,
        role: guid_of("properties.roleDefinitionId", &given.role_definition_id)?,
        principal: given.principal_id.parse().map_err(|why| Error::invalid("properties.principalId", why))?,
    };
    let made = enter(&house, &caller, op).await?;
    Ok((StatusCode::CREATED, axum::Json(view(name, &made))).into_response())
}

pub(super) async fn delete_assignment(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteRoleAssignment { name: guest.param("name")?, scope: guest.resource(4)? };
    let name = op.name;
    let gone = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view(name, &gone)).into_response())
}
