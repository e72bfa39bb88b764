//! Azure's own lists of a registry: `/acr/v1/{registry}/…`, or `/acr/v1/…` below a host name of the registry's own.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    registry::{
        DELETE, DeleteManifest, DeleteRepository, Detail, Details, Entries, GetDetails, ListRepositories, ManifestView,
        Need, PULL, TagView,
    },
};
use http::{Method, StatusCode};
use kernel::{Error, Kind, Result};
use serde_json::{Value, json};

use super::{
    error::Fault,
    listing::{linked, span},
    manifests::present,
    place::{arrived, bare, dress, in_repository, nothing},
};
use crate::{Doors, Guest, path};

const ANY: &str = "/acr/v1/{registry}/{*rest}";

/// The doors.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .open::<GetDetails, _, _>(Method::GET, ANY, get)
        .open::<DeleteRepository, _, _>(Method::DELETE, ANY, delete)
        .beside::<ListRepositories>(Method::GET, ANY, "_catalog")
        .beside::<DeleteManifest>(Method::DELETE, ANY, "_tags")
}

/// What of a repository is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked<'a> {
    /// The repository itself.
    Whole,
    /// A list of what is in it.
    List(Detail),
    /// One entry of a list, by its tag or digest.
    One(Detail, &'a str),
}

/// Repository, and what of it, of what follows the registry's name. No part of a repository's name begins with `_`.
fn told_apart(rest: &str) -> (&str, Asked<'_>) {
    let mut parts = rest.rsplitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(tag), Some("_tags"), Some(name)) => return (name, Asked::One(Detail::Tags, tag)),
        (Some(digest), Some("_manifests"), Some(name)) => return (name, Asked::One(Detail::Manifests, digest)),
        _ => {}
    }
    match rest.rsplit_once('/') {
        Some((name, "_tags")) => (name, Asked::List(Detail::Tags)),
        Some((name, "_manifests")) => (name, Asked::List(Detail::Manifests)),
        _ => (rest, Asked::Whole),
    }
}

/// The repository that is asked for; none for the list of repositories.
pub(super) fn repository_of(rest: &str) -> &str {
    match told_apart(rest) {
        ("_catalog", Asked::Whole) => "",
        (name, _) => name,
    }
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

async fn read(guest: &Guest) -> Result<Response> {
    let (registry, rest) = told(guest)?;
    if rest == "_catalog" {
        let arrival = arrived(guest, &registry, &Need { action: PULL, word: "*", repository: None }).await?;
        let span = span(guest, "")?;
        let most = span.most;
        let op = ListRepositories { registry: arrival.registry, span };
        let names = enter(guest.house(), &arrival.caller, op).await?;
        let body = json!({"repositories": names.names});
        return linked(axum::Json(body).into_response(), &address(guest, &registry, "_catalog"), &names, most);
    }
    let (name, asked) = told_apart(&rest);
    let (arrival, at) = in_repository(guest, &registry, name, (PULL, "pull")).await?;
    let span = span(guest, "")?;
    let most = span.most;
    let (detail, entries) = match asked {
        Asked::One(detail, one) => (detail, Entries::One(one.to_owned())),
        Asked::List(detail) => (detail, Entries::Span(span)),
        Asked::Whole => (Detail::Tags, Entries::Span(span)),
    };
    let found = enter(guest.house(), &arrival.caller, GetDetails { at, detail, entries }).await?;
    let login_server = format!("{registry}.azurecr.{}", guest.house().settings().suffix);
    let mut body = json!({"registry": login_server, "imageName": name});
    let mut tags = found.tags.iter().map(tag);
    let mut manifests = found.manifests.iter().map(manifest);
    let (key, value): (&str, Value) = match asked {
        Asked::List(Detail::Tags) => ("tags", tags.collect()),
        Asked::List(Detail::Manifests) => ("manifests", manifests.collect()),
        Asked::One(Detail::Tags, _) => ("tag", tags.next().unwrap_or_default()),
        Asked::One(Detail::Manifests, _) => ("manifest", manifests.next().unwrap_or_default()),
        Asked::Whole => return Ok(axum::Json(attributes(body, &found)).into_response()),
    };
    if let Some(fields) = body.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
    if !matches!(asked, Asked::List(_)) {
        return Ok(axum::Json(body).into_response());
    }
    let names = domain::registry::Names { names: shown(&found), has_more: found.has_more };
    linked(axum::Json(body).into_response(), &address(guest, &registry, &rest), &names, most)
}

fn shown(found: &Details) -> Vec<String> {
    let tags = found.tags.iter().map(|tag| tag.name.clone());
    tags.chain(found.manifests.iter().map(|manifest| manifest.digest.to_string())).collect()
}

async fn remove(guest: &Guest) -> Result<Response> {
    let (registry, rest) = told(guest)?;
    let (name, asked) = told_apart(&rest);
    let (arrival, at) = in_repository(guest, &registry, name, (DELETE, "delete")).await?;
    match asked {
        Asked::Whole => enter(guest.house(), &arrival.caller, DeleteRepository { at }).await?,
        Asked::One(Detail::Tags, tag) if !tag.contains(':') => {
            let op = DeleteManifest { at, reference: present(tag)? };
            enter(guest.house(), &arrival.caller, op).await?;
            return bare(StatusCode::ACCEPTED, &[]);
        }
        // Manifests are deleted at `/v2/`, and lists not at all.
        Asked::One(..) | Asked::List(_) => {
            let why = "this address does not take this method";
            return Err(Error::new(Kind::Unsupported, why).coded("UNSUPPORTED"));
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_from_its_end() {
        for (rest, name, asked) in [
            ("a/b", "a/b", Asked::Whole),
            ("a", "a", Asked::Whole),
            ("a/b/_tags", "a/b", Asked::List(Detail::Tags)),
            ("a/_manifests", "a", Asked::List(Detail::Manifests)),
            ("a/b/_tags/v1", "a/b", Asked::One(Detail::Tags, "v1")),
            ("a/_tags/_tags", "a", Asked::One(Detail::Tags, "_tags")),
            ("a/b/_manifests/sha256:00", "a/b", Asked::One(Detail::Manifests, "sha256:00")),
        ] {
            assert_eq!(told_apart(rest), (name, asked), "{rest}");
            assert_eq!(repository_of(rest), name, "{rest}");
        }
        assert_eq!(repository_of("_catalog"), "");
    }
}
