//! Secrets: `/secrets` and `/deletedsecrets`.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::vault::{
    BackupObject, DeleteObject, DeletedObject, GetDeletedObject, GetObject, Kind as _, ListDeletedObjects, ListObjects,
    ListVersions, PurgeObject, RecoverObject, RestoreObject, Secret, SecretPatch, SetSecret, Shown, UpdateObject,
};
use http::{Method, StatusCode};
use kernel::{Error, Secret as Hidden};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{AttributesBody, Fault, Visit, attributes, deleted, page, tags};
use crate::{Doors, Guest};

/// Bytes of a backup's body: 16 MiB sealed, in base64.
const BACKUP: usize = 24 << 20;
const NOT_FOUND: &str = Secret::NOT_FOUND;

/// The doors of secrets.
pub(super) fn doors(doors: Doors) -> Doors {
    let one = "/vaults/{vault}/secrets/{name}";
    let newest = "/vaults/{vault}/secrets/{name}/";
    let version = "/vaults/{vault}/secrets/{name}/{version}";
    let gone = "/vaults/{vault}/deletedsecrets/{name}";
    doors
        .open::<SetSecret, _, _>(Method::PUT, one, set)
        .open::<GetObject<Secret>, _, _>(Method::GET, one, get)
        .open::<GetObject<Secret>, _, _>(Method::GET, newest, get)
        .open::<GetObject<Secret>, _, _>(Method::GET, version, get)
        .open::<UpdateObject<Secret>, _, _>(Method::PATCH, one, update)
        .open::<UpdateObject<Secret>, _, _>(Method::PATCH, newest, update)
        .open::<UpdateObject<Secret>, _, _>(Method::PATCH, version, update)
        .open::<DeleteObject<Secret>, _, _>(Method::DELETE, one, delete)
        .open::<ListObjects<Secret>, _, _>(Method::GET, "/vaults/{vault}/secrets", list)
        .open::<ListVersions<Secret>, _, _>(Method::GET, "/vaults/{vault}/secrets/{name}/versions", list_versions)
        .open::<BackupObject<Secret>, _, _>(Method::POST, "/vaults/{vault}/secrets/{name}/backup", back_up)
        // A secret may be named `restore`, so the address is the one of a secret.
        .open::<RestoreObject<Secret>, _, _>(Method::POST, one, restore)
        .open::<ListDeletedObjects<Secret>, _, _>(Method::GET, "/vaults/{vault}/deletedsecrets", list_deleted)
        .open::<GetDeletedObject<Secret>, _, _>(Method::GET, gone, get_deleted)
        .open::<PurgeObject<Secret>, _, _>(Method::DELETE, gone, purge)
        .open::<RecoverObject<Secret>, _, _>(Method::POST, "/vaults/{vault}/deletedsecrets/{name}/recover", recover)
}

/// A version as clients see it, without its value.
fn view(visit: &Visit, shown: &Shown<Secret>, is_version_named: bool) -> Map<String, Value> {
    let mut id = format!("{}/secrets/{}", visit.base, shown.name);
    if is_version_named {
        id = format!("{id}/{}", shown.version.id);
    }
    let mut out = Map::new();
    out.insert(String::from("id"), json!(id));
    out.insert(String::from("attributes"), json!(attributes(&shown.version.attributes, shown.recovery)));
    if let Some(kind) = &shown.version.content.content_type {
        out.insert(String::from("contentType"), json!(kind));
    }
    if shown.is_managed {
        out.insert(String::from("managed"), json!(true));
        out.insert(String::from("kid"), json!(format!("{}/keys/{}/{}", visit.base, shown.name, shown.version.id)));
    }
    tags(&mut out, &shown.version.tags);
    out
}

fn view_deleted(visit: &Visit, entry: &DeletedObject<Secret>, is_version_named: bool) -> Map<String, Value> {
    let mut out = view(visit, &entry.shown, is_version_named);
    deleted::<Secret>(&mut out, visit, &entry.shown.name, entry.deletion);
    out
}

fn with_value(visit: &Visit, shown: &Shown<Secret>) -> Response {
    let mut out = view(visit, shown, true);
    out.insert(String::from("value"), json!(shown.version.content.value()));
    axum::Json(out).into_response()
}

/// What is read of a `PUT`. The value goes into the hands of what wipes it.
#[derive(Deserialize)]
struct SetBody {
    value: String,
    #[serde(default, rename = "contentType")]
    content_type: Option<String>,
    #[serde(default)]
    attributes: Option<AttributesBody>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
}

async fn set(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<SetSecret>(guest).await?;
    let name = visit.name()?;
    visit.knock::<SetSecret>(&visit.scope("secrets", &name)?).await?;
    let (visit, body): (_, SetBody) = visit.body().await?;
    let op = SetSecret {
        vault: visit.vault.clone(),
        name,
        value: Hidden::new(body.value),
        content_type: body.content_type,
        attributes: body.attributes.unwrap_or_default().into(),
        tags: body.tags.unwrap_or_default(),
    };
    let shown = visit.enter(op).await?;
    Ok(with_value(&visit, &shown))
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<GetObject<Secret>>(guest).await?;
    let (name, version) = (visit.name()?, visit.version(NOT_FOUND)?);
    let op = GetObject { vault: visit.vault.clone(), name, version, kind: Visit::kind::<Secret>() };
    let shown = visit.enter(op).await?;
    Ok(with_value(&visit, &shown))
}

/// What is read of a `PATCH`.
#[derive(Deserialize)]
struct UpdateBody {
    #[serde(default, rename = "contentType")]
    content_type: Option<String>,
    #[serde(default)]
    attributes: Option<AttributesBody>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
}

async fn update(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<UpdateObject<Secret>>(guest).await?;
    let (name, version) = (visit.name()?, visit.version(NOT_FOUND)?);
    visit.knock::<UpdateObject<Secret>>(&visit.scope("secrets", &name)?).await?;
    let (visit, body): (_, UpdateBody) = visit.body().await?;
    let op = UpdateObject {
        vault: visit.vault.clone(),
        name,
        version,
        attributes: body.attributes.unwrap_or_default().into(),
        tags: body.tags,
        patch: SecretPatch { content_type: body.content_type },
        kind: Visit::kind::<Secret>(),
    };
    let shown = visit.enter(op).await?;
    Ok(axum::Json(view(&visit, &shown, true)).into_response())
}

async fn list(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<ListObjects<Secret>>(guest).await?;
    let op = ListObjects { vault: visit.vault.clone(), paging: visit.paging()?, kind: Visit::kind::<Secret>() };
    let found = visit.enter(op).await?;
    Ok(page(&visit, found, |shown| view(&visit, shown, false)))
}

async fn list_versions(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<ListVersions<Secret>>(guest).await?;
    let (name, paging) = (visit.name()?, visit.paging()?);
    let op = ListVersions { vault: visit.vault.clone(), name, paging, kind: Visit::kind::<Secret>() };
    let found = visit.enter(op).await?;
    Ok(page(&visit, found, |shown| view(&visit, shown, true)))
}

async fn delete(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<DeleteObject<Secret>>(guest).await?;
    let op = DeleteObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<Secret>() };
    let gone = visit.enter(op).await?;
    Ok(axum::Json(view_deleted(&visit, &gone, true)).into_response())
}

async fn list_deleted(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<ListDeletedObjects<Secret>>(guest).await?;
    let op = ListDeletedObjects { vault: visit.vault.clone(), paging: visit.paging()?, kind: Visit::kind::<Secret>() };
    let found = visit.enter(op).await?;
    Ok(page(&visit, found, |entry| view_deleted(&visit, entry, false)))
}

async fn get_deleted(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<GetDeletedObject<Secret>>(guest).await?;
    let op = GetDeletedObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<Secret>() };
    let gone = visit.enter(op).await?;
    Ok(axum::Json(view_deleted(&visit, &gone, true)).into_response())
}

async fn recover(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<RecoverObject<Secret>>(guest).await?;
    let op = RecoverObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<Secret>() };
    let shown = visit.enter(op).await?;
    Ok(axum::Json(view(&visit, &shown, true)).into_response())
}

async fn purge(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<PurgeObject<Secret>>(guest).await?;
    let op = PurgeObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<Secret>() };
    visit.enter(op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn back_up(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<BackupObject<Secret>>(guest).await?;
    let op = BackupObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<Secret>() };
    let blob = visit.enter(op).await?;
    Ok(axum::Json(json!({"value": URL_SAFE_NO_PAD.encode(blob)})).into_response())
}

/// A backup.
#[derive(Deserialize)]
struct RestoreBody {
    value: String,
}

async fn restore(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<RestoreObject<Secret>>(guest).await?;
    visit.knock::<RestoreObject<Secret>>(&visit.vault.id).await?;
    if visit.name()?.as_str() != "restore" {
        return Err(Error::invalid("method", "a secret takes no POST; its value is set by PUT").into());
    }
    let (visit, body): (_, RestoreBody) = visit.body_to(BACKUP).await?;
    let unread = |_| Error::invalid("value", "is not base64url");
    let blob = URL_SAFE_NO_PAD.decode(body.value.trim_end_matches('=')).map_err(unread)?;
    let op = RestoreObject { vault: visit.vault.clone(), blob, kind: Visit::kind::<Secret>() };
    let shown = visit.enter(op).await?;
    Ok(axum::Json(view(&visit, &shown, true)).into_response())
}
