//! Azure's own lists of a registry: `/acr/v1/{registry}/…`, or `/acr/v1/…` below a host name of the registry's own.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    registry::{
        DELETE, DeleteRepository, Detail, Details, GetDetails, InRepository, ListRepositories, ManifestView, Need,
        PULL, RepositoryName, TagView,
    },
};
use http::{Method, StatusCode};
use kernel::{Action, Result};
use serde_json::{Value, json};

use super::{
    error::Fault,
    listing::{linked, span},
    place::{arrived, dress, nothing},
};
use crate::{Doors, Guest, path};

const ANY: &str = "/acr/v1/{registry}/{*rest}";

/// The doors.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .open::<GetDetails, _, _>(Method::GET, ANY, get)
        .open::<DeleteRepository, _, _>(Method::DELETE, ANY, delete)
        .beside::<ListRepositories>(Method::GET, ANY, "_catalog")
}

/// Registry, and what follows its name.
fn told(guest: &Guest) -> Result<(String, String)> {
    let decoded = path::decode(guest.path()).ok_or_else(nothing)?;
    let below = decoded.strip_prefix("/acr/v1/").ok_or_else(nothing)?;
    let (registry, rest) = below.split_once('/').ok_or_else(nothing)?;
    Ok((registry.to_owned(), rest.to_owned()))
}

async fn get(guest: Guest) -> Response {
    answered(&guest, read(&guest).await)
}

async fn delete(guest: Guest) -> Response {
    answered(&guest, remove(&guest).await)
}

fn answered(guest: &Guest, done: Result<Response>) -> Response {
    let mut response = match done {
        Ok(response) => response,
        Err(fault) => Fault::new(guest, fault).into_response(),
    };
    dress(&mut response);
    response
}

async fn in_repository(
    guest: &Guest,
    registry: &str,
    name: &str,
    (action, word): (Action, &'static str),
) -> Result<(kernel::Caller, InRepository)> {
    let name: RepositoryName = name.parse()?;
    let arrival = arrived(guest, registry, &Need { action, word, repository: Some(name.clone()) }).await?;
    Ok((arrival.caller, InRepository { registry: Arc::clone(&arrival.registry), name }))
}

async fn read(guest: &Guest) -> Result<Response> {
    let (registry, rest) = told(guest)?;
    let span = span(guest, "")?;
    let most = span.most;
    if rest == "_catalog" {
        let arrival = arrived(guest, &registry, &Need { action: PULL, word: "*", repository: None }).await?;
        let op = ListRepositories { registry: arrival.registry, span };
        let names = enter(guest.house(), &arrival.caller, op).await?;
        let body = json!({"repositories": names.names});
        return linked(axum::Json(body).into_response(), &address(guest, &registry, "_catalog"), &names, most);
    }
    let (name, detail) = match rest.rsplit_once('/') {
        Some((name, "_tags")) => (name, Some(Detail::Tags)),
        Some((name, "_manifests")) => (name, Some(Detail::Manifests)),
        _ => (rest.as_str(), None),
    };
    let (caller, at) = in_repository(guest, &registry, name, (PULL, "pull")).await?;
    let login_server = format!("{registry}.azurecr.{}", guest.house().settings().suffix);
    let op = GetDetails { at, detail: detail.unwrap_or(Detail::Tags), span };
    let found = enter(guest.house(), &caller, op).await?;
    let mut body = json!({"registry": login_server, "imageName": name});
    let (key, list) = match detail {
        Some(Detail::Tags) => ("tags", found.tags.iter().map(tag).collect::<Vec<_>>()),
        Some(Detail::Manifests) => ("manifests", found.manifests.iter().map(manifest).collect()),
        None => return Ok(axum::Json(attributes(body, &found)).into_response()),
    };
    if let Some(fields) = body.as_object_mut() {
        fields.insert(key.to_owned(), Value::Array(list));
    }
    let names = domain::registry::Names { names: shown(&found), has_more: found.has_more };
    linked(axum::Json(body).into_response(), &address(guest, &registry, &rest), &names, most)
}

fn shown(found: &Details) -> Vec<String> {
    let tags = found.tags.iter().map(|tag| tag.name.clone());
    tags.chain(found.manifests.iter().map(|manifest| manifest.digest.to_string())).collect()
}

async fn remove(guest: &Guest) -> Result<Response> {
    let (registry, name) = told(guest)?;
    let (caller, at) = in_repository(guest, &registry, &name, (DELETE, "delete")).await?;
    enter(guest.house(), &caller, DeleteRepository { at }).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(json!({"manifestsDeleted": [], "tagsDeleted": []}))).into_response())
}

fn address(guest: &Guest, registry: &str, rest: &str) -> String {
    match guest.asked_as() {
        Some(asked) if asked.is_host_style => format!("/acr/v1/{rest}"),
        _ => format!("/acr/v1/{registry}/{rest}"),
    }
}

/// Nothing here is locked against whoever has the right.
fn changeable() -> Value {
    json!({"deleteEnabled": true, "writeEnabled": true, "readEnabled": true, "listEnabled": true})
}

fn attributes(mut body: Value, found: &Details) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.insert(String::from("createdTime"), json!(found.repository.created_at.rfc3339()));
        fields.insert(String::from("changeableAttributes"), changeable());
    }
    body
}

fn tag(tag: &TagView) -> Value {
    json!({
        "name": tag.name,
        "digest": tag.digest,
        "createdTime": tag.created_at.rfc3339(),
        "lastUpdateTime": tag.updated_at.rfc3339(),
        "signed": false,
        "changeableAttributes": changeable(),
    })
}

fn manifest(manifest: &ManifestView) -> Value {
    json!({
        "digest": manifest.digest,
        "imageSize": manifest.length,
        "createdTime": manifest.pushed_at.rfc3339(),
        "lastUpdateTime": manifest.pushed_at.rfc3339(),
        "mediaType": manifest.media_type,
        "configMediaType": manifest.config_type,
        "artifactType": manifest.artifact_type,
        "tags": manifest.tags,
        "changeableAttributes": changeable(),
    })
}
