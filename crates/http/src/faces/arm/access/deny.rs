//! Deny assignments.

use axum::response::{IntoResponse, Response};
use domain::{
    access::{DeleteDenyAssignment, DenyAssignment, GetDenyAssignment, ListDenyAssignments, PutDenyAssignment},
    gate::enter,
};
use http::StatusCode;
use kernel::{Error, PrincipalId};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{arm, authorization};

use super::{
    Fault,
    definitions::{permission, permissions},
    list,
};
use crate::Guest;

fn view(name: Uuid, denial: &DenyAssignment) -> Value {
    let base = if denial.scope.is_root() { "" } else { denial.scope.as_str() };
    let named = |list: &[PrincipalId]| {
        let kind = |id: &PrincipalId| String::from(if id.0.is_nil() { "Everyone" } else { "" });
        list.iter().map(|id| authorization::Principal { id: id.to_string(), kind: kind(id) }).collect()
    };
    json!({
        "id": format!("{base}/providers/Microsoft.Authorization/denyAssignments/{name}"),
        "name": name,
        "type": "Microsoft.Authorization/denyAssignments",
        "properties": authorization::DenyAssignment {
            deny_assignment_name: denial.deny_name.clone(),
            description: denial.description.clone(),
            permissions: vec![permission(&denial.permissions)],
            scope: denial.scope.to_string(),
            do_not_apply_to_child_scopes: denial.is_for_scope_alone,
            principals: named(&denial.principals),
            exclude_principals: named(&denial.except),
            is_system_protected: false,
        },
    })
}

pub(super) async fn list_denials(guest: Guest) -> Result<Response, Fault> {
    let at_scope = match guest.query("$filter").unwrap_or_default().as_str() {
        "" => false,
        "atScope()" => true,
        _ => return Err(Error::invalid("$filter", "use `atScope()`").into()),
    };
    let op = ListDenyAssignments { scope: guest.resource(3)?, at_scope };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(|(name, denial)| view(*name, denial)).collect()))
}

pub(super) async fn get_denial(guest: Guest) -> Result<Response, Fault> {
    let op = GetDenyAssignment { name: guest.param("name")?, scope: guest.resource(4)? };
    let name = op.name;
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view(name, &found)).into_response())
}

pub(super) async fn put_denial(guest: Guest) -> Result<Response, Fault> {
    let (house, scope) = (guest.house().clone(), guest.resource(4)?);
    let caller = guest.admitted::<PutDenyAssignment>(&scope).await?;
    let name: Uuid = guest.param("name").map_err(|_| Error::invalid("denyAssignmentId", "must be a GUID"))?;
    let body: arm::Put<authorization::DenyAssignment> = guest.json().await?;
    let given = body.properties;
    let ids = |field: &'static str, list: &[authorization::Principal]| -> Result<Vec<PrincipalId>, Error> {
        list.iter().map(|one| one.id.parse().map_err(|why| Error::invalid(field, why))).collect()
    };
    if given.is_system_protected {
        return Err(Error::invalid("properties.isSystemProtected", "is for Azure's own denials").into());
    }
    let assignment = DenyAssignment {
        deny_name: given.deny_assignment_name,
        description: given.description,
        scope,
        permissions: permissions(given.permissions)?,
        principals: ids("properties.principals", &given.principals)?,
        except: ids("properties.excludePrincipals", &given.exclude_principals)?,
        is_for_scope_alone: given.do_not_apply_to_child_scopes,
        authored: None,
    };
    let made = enter(&house, &caller, PutDenyAssignment { name, assignment }).await?;
    Ok((StatusCode::CREATED, axum::Json(view(name, &made))).into_response())
}

pub(super) async fn delete_denial(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteDenyAssignment { name: guest.param("name")?, scope: guest.resource(4)? };
    let name = op.name;
    let gone = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view(name, &gone)).into_response())
}
