//! Role definitions, and the operation catalogue that they are written against.

use axum::response::{IntoResponse, Response};
use domain::{
    access::{
        DeleteRoleDefinition, Entry, GetRoleDefinition, ListOperations, ListRoleDefinitions, Permissions,
        PutRoleDefinition, RoleDefinition, RoleForm,
    },
    gate::enter,
};
use http::StatusCode;
use kernel::{Error, ResourceId};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{arm, authorization};

use super::{Fault, definition_id, list};
use crate::Guest;

/// A role as it is answered at a scope.
pub(super) fn view(scope: &ResourceId, role: &RoleDefinition) -> Value {
    let authored = role.authored;
    json!({
        "id": definition_id(scope, role.id),
        "name": role.id,
        "type": "Microsoft.Authorization/roleDefinitions",
        "properties": authorization::RoleDefinition {
            role_name: role.role_name.clone(),
            kind: String::from(if role.is_custom() { "CustomRole" } else { "BuiltInRole" }),
            description: role.description.clone(),
            assignable_scopes: role.assignable_scopes.iter().map(ToString::to_string).collect(),
            permissions: vec![permission(&role.permissions)],
            created_on: authored.map(|authored| authored.created_at.rfc3339()),
            updated_on: authored.map(|authored| authored.updated_at.rfc3339()),
            created_by: authored.map(|authored| authored.created_by.to_string()),
            updated_by: authored.map(|authored| authored.updated_by.to_string()),
        },
    })
}

/// What a role or a deny assignment says, as clients read it.
pub(super) fn permission(permissions: &Permissions) -> authorization::Permission {
    let Permissions { actions, not_actions, data_actions, not_data_actions } = permissions.clone();
    authorization::Permission { actions, not_actions, data_actions, not_data_actions, condition: None }
}

/// What a client says in `permissions`: one element.
pub(super) fn permissions(given: Vec<authorization::Permission>) -> Result<Permissions, Error> {
    match <[authorization::Permission; 1]>::try_from(given) {
        Ok([authorization::Permission { condition: Some(_), .. }]) => Err(Error::invalid(
            "properties.permissions.condition",
            "is not supported: a role counts at its scope without conditions",
        )),
        Ok([authorization::Permission { actions, not_actions, data_actions, not_data_actions, condition: None }]) => {
            Ok(Permissions { actions, not_actions, data_actions, not_data_actions })
        }
        Err(_) => {
            Err(Error::invalid("properties.permissions", "must have one element, with `actions` and `notActions`"))
        }
    }
}

/// What a client says of a role.
pub(super) fn form(given: authorization::RoleDefinition) -> Result<RoleForm, Error> {
    if !["", "CustomRole"].contains(&given.kind.as_str()) {
        return Err(Error::invalid("properties.type", "must be `CustomRole`"));
    }
    let scope = |text: &String| {
        text.trim_end_matches('/')
            .parse()
            .map_err(|_| Error::invalid("properties.assignableScopes", format_args!("`{text}` is no management scope")))
    };
    let root = |text: &String| if text == "/" { Ok(ResourceId::root()) } else { scope(text) };
    Ok(RoleForm {
        role_name: given.role_name,
        description: given.description,
        permissions: permissions(given.permissions)?,
        assignable_scopes: given.assignable_scopes.iter().map(root).collect::<Result<_, _>>()?,
    })
}

pub(super) async fn list_definitions(guest: Guest) -> Result<Response, Fault> {
    let filter = guest.query("$filter").unwrap_or_default();
    let mut op = ListRoleDefinitions { scope: guest.resource(3)?, role_name: None, is_custom: None, with_below: false };
    for term in filter.split(" and ").map(str::trim).filter(|term| !term.is_empty()) {
        let quoted = |head: &str| term.strip_prefix(head)?.trim_start().strip_prefix('\'')?.strip_suffix('\'');
        if let Some(name) = quoted("roleName eq") {
            op.role_name = Some(name.replace("''", "'"));
        } else if let Some(kind) = quoted("type eq") {
            op.is_custom = Some(kind.eq_ignore_ascii_case("CustomRole"));
        } else if term == "atScopeAndBelow()" {
            op.with_below = true;
        } else if term != "atScope()" {
            let why = "use `roleName eq '…'`, `type eq 'CustomRole'`, `atScope()` or `atScopeAndBelow()`";
            return Err(Error::invalid("$filter", why).into());
        }
    }
    let at = op.scope.clone();
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(|role| view(&at, role)).collect()))
}

pub(super) async fn get_definition(guest: Guest) -> Result<Response, Fault> {
    let op = GetRoleDefinition { role: guest.param("name")?, scope: guest.resource(4)? };
    let at = op.scope.clone();
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view(&at, &found)).into_response())
}

pub(super) async fn put_definition(guest: Guest) -> Result<Response, Fault> {
    let (house, scope) = (guest.house().clone(), guest.resource(4)?);
    let caller = guest.admitted::<PutRoleDefinition>(&scope).await?;
    let id: Uuid = guest.param("name").map_err(|_| Error::invalid("roleDefinitionId", "must be a GUID"))?;
    let body: arm::Put<authorization::RoleDefinition> = guest.json().await?;
    let op = PutRoleDefinition { id, scope: scope.clone(), form: form(body.properties)? };
    let made = enter(&house, &caller, op).await?;
    Ok((StatusCode::CREATED, axum::Json(view(&scope, &made))).into_response())
}

pub(super) async fn delete_definition(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteRoleDefinition { role: guest.param("name")?, scope: guest.resource(4)? };
    let at = op.scope.clone();
    Ok(match enter(guest.house(), &guest.caller().await?, op).await? {
        Some(gone) => axum::Json(view(&at, &gone)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// `GET /providers/Microsoft.Authorization/providerOperations[/{namespace}]`: one entry for each namespace.
pub(super) async fn list_operations(guest: Guest) -> Result<Response, Fault> {
    let wanted: Option<String> = guest.param("namespace").ok();
    let all = enter(guest.house(), &guest.caller().await?, ListOperations {}).await?;
    let namespace = |entry: &Entry| entry.action.name().split('/').next().unwrap_or_default();
    let mut providers: Vec<Value> = Vec::new();
    for entries in all.chunk_by(|a, b| namespace(a).eq_ignore_ascii_case(namespace(b))) {
        let Some(name) = entries.first().map(namespace) else { continue };
        let operation = |entry: &Entry| json!({"name": entry.action.name(), "isDataAction": entry.action.is_data(), "isServed": entry.is_served});
        let operations: Vec<Value> = entries.iter().map(operation).collect();
        let one = json!({
            "id": format!("/providers/Microsoft.Authorization/providerOperations/{name}"),
            "name": name,
            "type": "Microsoft.Authorization/providerOperations",
            "displayName": name,
            "resourceTypes": [],
            "operations": operations,
        });
        match &wanted {
            Some(wanted) if wanted.eq_ignore_ascii_case(name) => return Ok(axum::Json(one).into_response()),
            Some(_) => {}
            None => providers.push(one),
        }
    }
    match wanted {
        Some(wanted) => Err(Error::not_found(format_args!("the resource provider `{wanted}`")).into()),
        None => Ok(list(providers)),
    }
}
