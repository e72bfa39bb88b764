//! Keys: `/keys`, `/deletedkeys` and `/rng`.

mod material;
mod rotation;
mod uses;

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::vault::{
    BackupObject, DeleteObject, DeletedObject, GetDeletedObject, GetObject, Key, KeyPatch, Kind as _,
    ListDeletedObjects, ListObjects, ListVersions, PurgeObject, RecoverObject, RestoreObject, Shown, UpdateObject,
    VaultPublicKey,
};
use http::{Method, StatusCode};
use kernel::{Error, Kind as Fault400, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::material::{KeyAttributes, operations};
use super::{Fault, Visit, attributes, deleted, page, shape};
use crate::{Doors, Guest};

/// Bytes of a backup's body: 16 MiB sealed, in base64.
const BACKUP: usize = 24 << 20;
const NOT_FOUND: &str = Key::NOT_FOUND;

/// The doors of keys.
pub(super) fn doors(doors: Doors) -> Doors {
    let one = "/vaults/{vault}/keys/{name}";
    let newest = "/vaults/{vault}/keys/{name}/";
    let version = "/vaults/{vault}/keys/{name}/{version}";
    let gone = "/vaults/{vault}/deletedkeys/{name}";
    doors
        .face(material::doors)
        .face(rotation::doors)
        .face(uses::doors)
        .open::<GetObject<Key>, _, _>(Method::GET, one, get)
        .open::<GetObject<Key>, _, _>(Method::GET, newest, get)
        .open::<GetObject<Key>, _, _>(Method::GET, version, get)
        .open::<UpdateObject<Key>, _, _>(Method::PATCH, one, update)
        .open::<UpdateObject<Key>, _, _>(Method::PATCH, newest, update)
        .open::<UpdateObject<Key>, _, _>(Method::PATCH, version, update)
        .open::<DeleteObject<Key>, _, _>(Method::DELETE, one, delete)
        .open::<ListObjects<Key>, _, _>(Method::GET, "/vaults/{vault}/keys", list)
        .open::<ListVersions<Key>, _, _>(Method::GET, "/vaults/{vault}/keys/{name}/versions", list_versions)
        .open::<BackupObject<Key>, _, _>(Method::POST, "/vaults/{vault}/keys/{name}/backup", back_up)
        // A key may be named `restore`, so the address is the one of a key.
        .open::<RestoreObject<Key>, _, _>(Method::POST, one, restore)
        .open::<ListDeletedObjects<Key>, _, _>(Method::GET, "/vaults/{vault}/deletedkeys", list_deleted)
        .open::<GetDeletedObject<Key>, _, _>(Method::GET, gone, get_deleted)
        .open::<PurgeObject<Key>, _, _>(Method::DELETE, gone, purge)
        .open::<RecoverObject<Key>, _, _>(Method::POST, "/vaults/{vault}/deletedkeys/{name}/recover", recover)
}

/// What is said of a version in lists.
fn item(visit: &Visit, shown: &Shown<Key>, is_version_named: bool) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert(String::from("kid"), json!(kid(visit, shown, is_version_named)));
    out.insert(String::from("attributes"), json!(key_attributes(shown)));
    if shown.is_managed {
        out.insert(String::from("managed"), json!(true));
    }
    shape::tags(&mut out, &shown.version.tags);
    out
}

fn kid(visit: &Visit, shown: &Shown<Key>, is_version_named: bool) -> String {
    let id = format!("{}/keys/{}", visit.base, shown.name);
    if is_version_named { format!("{id}/{}", shown.version.id) } else { id }
}

/// What is said of all objects, and of keys: none can be exported, and all are kept in software, whatever their `kty` asked for.
fn key_attributes(shown: &Shown<Key>) -> Map<String, Value> {
    let mut out = attributes(&shown.version.attributes, shown.recovery);
    out.insert(String::from("exportable"), json!(false));
    out.insert(String::from("hsmPlatform"), json!("0"));
    out
}

/// A version with its public half (RFC 7517).
fn view(visit: &Visit, shown: &Shown<Key>) -> Map<String, Value> {
    let content = &shown.version.content;
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let names: Vec<_> = content.operations.iter().map(|operation| operation.name()).collect();
    let mut key = json!({"kid": kid(visit, shown, true), "kty": content.kind.name(), "key_ops": names});
    let numbers = match &content.public {
        VaultPublicKey::Rsa { n, e } => json!({"n": number(n), "e": number(e)}),
        VaultPublicKey::Curve { crv, x, y } => json!({"crv": crv.name(), "x": number(x), "y": number(y)}),
        VaultPublicKey::Symmetric { .. } => json!({}),
    };
    if let (Some(key), Value::Object(numbers)) = (key.as_object_mut(), numbers) {
        key.extend(numbers);
    }
    let mut out = item(visit, shown, true);
    out.remove("kid");
    out.insert(String::from("key"), key);
    out
}

fn shown(visit: &Visit, shown: &Shown<Key>) -> Response {
    axum::Json(view(visit, shown)).into_response()
}

fn view_deleted(visit: &Visit, entry: &DeletedObject<Key>) -> Map<String, Value> {
    let mut out = view(visit, &entry.shown);
    deleted::<Key>(&mut out, visit, &entry.shown.name, entry.deletion);
    out
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<GetObject<Key>>(guest).await?;
    let (name, version) = (visit.name()?, visit.version(NOT_FOUND)?);
    let op = GetObject { vault: visit.vault.clone(), name, version, kind: Visit::kind::<Key>() };
    let found = visit.enter(op).await?;
    Ok(shown(&visit, &found))
}

/// What is read of a `PATCH`.
#[derive(Deserialize)]
struct UpdateBody {
    #[serde(default)]
    key_ops: Option<Vec<String>>,
    #[serde(default)]
    attributes: Option<KeyAttributes>,
    #[serde(default)]
    tags: Option<std::collections::BTreeMap<String, String>>,
    #[serde(default)]
    release_policy: Option<Value>,
}

async fn update(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<UpdateObject<Key>>(guest).await?;
    let (name, version) = (visit.name()?, visit.version(NOT_FOUND)?);
    visit.knock::<UpdateObject<Key>>(&visit.scope("keys", &name)?).await?;
    let (visit, body): (_, UpdateBody) = visit.body().await?;
    let op = UpdateObject {
        vault: visit.vault.clone(),
        name,
        version,
        attributes: body.attributes.unwrap_or_default().checked(body.release_policy.as_ref())?,
        tags: body.tags,
        patch: KeyPatch { operations: operations(body.key_ops)? },
        kind: Visit::kind::<Key>(),
    };
    let found = visit.enter(op).await?;
    Ok(shown(&visit, &found))
}

async fn list(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<ListObjects<Key>>(guest).await?;
    let op = ListObjects { vault: visit.vault.clone(), paging: visit.paging()?, kind: Visit::kind::<Key>() };
    let found = visit.enter(op).await?;
    Ok(page(&visit, found, |shown| item(&visit, shown, false)))
}

async fn list_versions(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<ListVersions<Key>>(guest).await?;
    let (name, paging) = (visit.name()?, visit.paging()?);
    let op = ListVersions { vault: visit.vault.clone(), name, paging, kind: Visit::kind::<Key>() };
    let found = visit.enter(op).await?;
    Ok(page(&visit, found, |shown| item(&visit, shown, true)))
}

async fn delete(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<DeleteObject<Key>>(guest).await?;
    let op = DeleteObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<Key>() };
    let gone = visit.enter(op).await?;
    Ok(axum::Json(view_deleted(&visit, &gone)).into_response())
}

async fn list_deleted(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<ListDeletedObjects<Key>>(guest).await?;
    let op = ListDeletedObjects { vault: visit.vault.clone(), paging: visit.paging()?, kind: Visit::kind::<Key>() };
    let found = visit.enter(op).await?;
    Ok(page(&visit, found, |entry| {
        let mut out = item(&visit, &entry.shown, false);
        deleted::<Key>(&mut out, &visit, &entry.shown.name, entry.deletion);
        out
    }))
}

async fn get_deleted(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<GetDeletedObject<Key>>(guest).await?;
    let op = GetDeletedObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<Key>() };
    let gone = visit.enter(op).await?;
    Ok(axum::Json(view_deleted(&visit, &gone)).into_response())
}

async fn recover(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<RecoverObject<Key>>(guest).await?;
    let op = RecoverObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<Key>() };
    let found = visit.enter(op).await?;
    Ok(shown(&visit, &found))
}

async fn purge(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<PurgeObject<Key>>(guest).await?;
    let op = PurgeObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<Key>() };
    visit.enter(op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn back_up(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<BackupObject<Key>>(guest).await?;
    let op = BackupObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<Key>() };
    let blob = visit.enter(op).await?;
    Ok(axum::Json(json!({"value": URL_SAFE_NO_PAD.encode(blob)})).into_response())
}

/// A backup.
#[derive(Deserialize)]
struct RestoreBody {
    value: String,
}

async fn restore(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<RestoreObject<Key>>(guest).await?;
    visit.knock::<RestoreObject<Key>>(&visit.vault.id).await?;
    if visit.name()?.as_str() != "restore" {
        let why = "a key takes no POST by itself; it is made at `create` below its address, and brought by PUT";
        return Err(Error::invalid("method", why).into());
    }
    let (visit, body): (_, RestoreBody) = visit.body_to(BACKUP).await?;
    let op =
        RestoreObject { vault: visit.vault.clone(), blob: bytes("value", &body.value)?, kind: Visit::kind::<Key>() };
    let found = visit.enter(op).await?;
    Ok(shown(&visit, &found))
}

/// Base64url, padded or not.
fn bytes(field: &str, text: &str) -> Result<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| Error::invalid(field, "is not base64url"))
}

/// What is understood and not offered.
fn not_supported(why: impl Into<String>) -> Error {
    Error::new(Fault400::Unsupported, why)
}
