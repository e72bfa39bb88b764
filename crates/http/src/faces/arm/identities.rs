//! Managed identities: user-assigned ones as resources, and those of compute targets.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{Row, enter},
    resources::{
        DeleteUserAssignedIdentity, GetResource, ListResources, PutUserAssignedIdentity, Resource, ResourceType,
        Target, UpdateTarget, UserAssignedIdentity,
    },
};
use http::{Method, StatusCode};
use kernel::{Error, ResourceId};
use serde_json::{Value, json};
use wire::arm;

use super::{Fault, GROUP, WORKSPACE, list, named, show, workspaces::view_target};
use crate::{Doors, Guest};

/// The doors of managed identities.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{GROUP}/providers/{}", UserAssignedIdentity::TYPE);
    let one = format!("{all}/{{name}}");
    doors
        .open::<ListResources<UserAssignedIdentity>, _, _>(Method::GET, &all, list_identities)
        .open::<GetResource<UserAssignedIdentity>, _, _>(Method::GET, &one, get_identity)
        .open::<PutUserAssignedIdentity, _, _>(Method::PUT, &one, put_identity)
        .open::<DeleteUserAssignedIdentity, _, _>(Method::DELETE, &one, delete_identity)
        .open::<UpdateTarget, _, _>(Method::PATCH, &format!("{WORKSPACE}/computes/{{name}}"), patch_target)
}

fn view(row: &Row<Resource<UserAssignedIdentity>>) -> arm::Resource<Value> {
    let UserAssignedIdentity { principal, client, tenant } = &row.value.properties;
    show(row, json!({"principalId": principal, "clientId": client, "tenantId": tenant}))
}

async fn list_identities(guest: Guest) -> Result<Response, Fault> {
    let op = ListResources::<UserAssignedIdentity>::new(guest.resource(1)?.parent());
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(view).collect()))
}

async fn get_identity(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<UserAssignedIdentity>::new(guest.resource(0)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view(&row)))
}

async fn put_identity(guest: Guest) -> Result<Response, Fault> {
    let (house, id) = (guest.house().clone(), guest.resource(0)?);
    let caller = guest.admitted::<PutUserAssignedIdentity>(&id).await?;
    let body: arm::PutGroup = guest.json().await?;
    let (location, tags) = (body.location.unwrap_or_default(), body.tags.unwrap_or_default());
    let written = enter(&house, &caller, PutUserAssignedIdentity { id, location, tags }).await?;
    let status = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(named(status, view(&written.row)))
}

async fn delete_identity(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteUserAssignedIdentity { id: guest.resource(0)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}

/// Replaces the identities of a compute target.
async fn patch_target(guest: Guest) -> Result<Response, Fault> {
    let (house, id) = (guest.house().clone(), guest.resource(0)?);
    let caller = guest.admitted::<UpdateTarget>(&id).await?;
    let body: arm::PatchTarget = guest.json().await?;
    let op = update(id, body.identity)?;
    let row = enter(&house, &caller, op).await?;
    Ok(named(StatusCode::OK, view_target(&row)))
}

fn update(id: ResourceId, identity: arm::Identity) -> Result<UpdateTarget, Error> {
    let mut op = UpdateTarget { id, system_assigned: false, user_assigned: Vec::new() };
    let mut takes_user_assigned = false;
    for kind in identity.kind.split(',').map(|kind| kind.trim().to_ascii_lowercase()) {
        match kind.as_str() {
            "systemassigned" => op.system_assigned = true,
            "userassigned" => takes_user_assigned = true,
            "none" => {}
            _ => {
                let why = "must be `SystemAssigned`, `UserAssigned`, both with a comma, or `None`";
                return Err(Error::invalid("identity.type", why));
            }
        }
    }
    let named = identity.user_assigned_identities.unwrap_or_default();
    if takes_user_assigned == named.is_empty() {
        let why = "`UserAssigned` needs the ids of the identities, and no other type takes them";
        return Err(Error::invalid("identity.userAssignedIdentities", why));
    }
    for id in named.keys() {
        let id = id.parse().map_err(|why| Error::invalid("identity.userAssignedIdentities", why))?;
        op.user_assigned.push(id);
    }
    Ok(op)
}

/// The identities of a target, as resources show them.
pub(super) fn of_target(row: &Row<Resource<Target>>) -> Option<arm::Identity> {
    let held = &row.value.properties.identities;
    let kind = match (held.system.is_some(), held.user_assigned.is_empty()) {
        (false, true) => return None,
        (true, true) => "SystemAssigned",
        (false, false) => "UserAssigned",
        (true, false) => "SystemAssigned,UserAssigned",
    };
    let named: BTreeMap<String, Value> =
        held.user_assigned.iter().map(|handed| (handed.id.to_string(), json!({}))).collect();
    Some(arm::Identity {
        kind: kind.to_owned(),
        principal_id: held.system.as_ref().map(|own| own.principal.to_string()),
        tenant_id: None,
        user_assigned_identities: (!named.is_empty()).then_some(named),
    })
}
