//! What is asked of every kind of object in the same way: lists, deletion and what comes after it, backups.

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::vault::{
    BackupObject, DeleteObject, DeletedObject, GetDeletedObject, Kind, ListDeletedObjects, ListObjects, ListVersions,
    PurgeObject, RecoverObject, RestoreObject, Shown,
};
use http::{Method, StatusCode};
use kernel::{Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Fault, Visit, deleted, page};
use crate::{Doors, Guest};

/// Bytes of a backup's body: 16 MiB sealed, in base64.
const BACKUP: usize = 24 << 20;

/// A kind of object, as this face shows it.
pub(super) trait Seen: Kind {
    /// Why an object's own address takes no POST.
    const NO_POST: &'static str;

    /// A version in lists.
    fn item(visit: &Visit, shown: &Shown<Self>, is_version_named: bool) -> Map<String, Value>;

    /// A version by itself, without what is secret about it.
    fn view(visit: &Visit, shown: &Shown<Self>) -> Map<String, Value>;
}

/// The doors that all kinds have.
pub(super) fn doors<K: Seen>(doors: Doors) -> Doors {
    let all = format!("/vaults/{{vault}}/{}", K::COLLECTION);
    let one = format!("{all}/{{name}}");
    let all_gone = format!("/vaults/{{vault}}/deleted{}", K::COLLECTION);
    let gone = format!("{all_gone}/{{name}}");
    doors
        .open::<ListObjects<K>, _, _>(Method::GET, &all, list::<K>)
        .open::<ListVersions<K>, _, _>(Method::GET, &format!("{one}/versions"), list_versions::<K>)
        .open::<DeleteObject<K>, _, _>(Method::DELETE, &one, delete::<K>)
        .open::<BackupObject<K>, _, _>(Method::POST, &format!("{one}/backup"), back_up::<K>)
        // An object may be named `restore`, so the address is the one of an object.
        .open::<RestoreObject<K>, _, _>(Method::POST, &one, restore::<K>)
        .open::<ListDeletedObjects<K>, _, _>(Method::GET, &all_gone, list_deleted::<K>)
        .open::<GetDeletedObject<K>, _, _>(Method::GET, &gone, get_deleted::<K>)
        .open::<PurgeObject<K>, _, _>(Method::DELETE, &gone, purge::<K>)
        .open::<RecoverObject<K>, _, _>(Method::POST, &format!("{gone}/recover"), recover::<K>)
}

/// One version, as an answer.
pub(super) fn shown<K: Seen>(visit: &Visit, shown: &Shown<K>) -> Response {
    axum::Json(K::view(visit, shown)).into_response()
}

fn gone<K: Seen>(visit: &Visit, entry: &DeletedObject<K>) -> Response {
    let mut out = K::view(visit, &entry.shown);
    deleted::<K>(&mut out, visit, &entry.shown.name, entry.deletion);
    axum::Json(out).into_response()
}

async fn list<K: Seen>(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<ListObjects<K>>(guest).await?;
    let op = ListObjects { vault: visit.vault.clone(), paging: visit.paging()?, kind: Visit::kind::<K>() };
    let found = visit.enter(op).await?;
    Ok(page(&visit, found, |shown| K::item(&visit, shown, false)))
}

async fn list_versions<K: Seen>(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<ListVersions<K>>(guest).await?;
    let (name, paging) = (visit.name()?, visit.paging()?);
    let op = ListVersions { vault: visit.vault.clone(), name, paging, kind: Visit::kind::<K>() };
    let found = visit.enter(op).await?;
    Ok(page(&visit, found, |shown| K::item(&visit, shown, true)))
}

async fn delete<K: Seen>(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<DeleteObject<K>>(guest).await?;
    let op = DeleteObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<K>() };
    let entry = visit.enter(op).await?;
    Ok(gone(&visit, &entry))
}

async fn list_deleted<K: Seen>(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<ListDeletedObjects<K>>(guest).await?;
    let op = ListDeletedObjects { vault: visit.vault.clone(), paging: visit.paging()?, kind: Visit::kind::<K>() };
    let found = visit.enter(op).await?;
    Ok(page(&visit, found, |entry: &DeletedObject<K>| {
        let mut out = K::item(&visit, &entry.shown, false);
        deleted::<K>(&mut out, &visit, &entry.shown.name, entry.deletion);
        out
    }))
}

async fn get_deleted<K: Seen>(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<GetDeletedObject<K>>(guest).await?;
    let op = GetDeletedObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<K>() };
    let entry = visit.enter(op).await?;
    Ok(gone(&visit, &entry))
}

async fn recover<K: Seen>(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<RecoverObject<K>>(guest).await?;
    let op = RecoverObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<K>() };
    let found = visit.enter(op).await?;
    Ok(shown(&visit, &found))
}

async fn purge<K: Seen>(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<PurgeObject<K>>(guest).await?;
    let op = PurgeObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<K>() };
    visit.enter(op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn back_up<K: Seen>(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<BackupObject<K>>(guest).await?;
    let op = BackupObject { vault: visit.vault.clone(), name: visit.name()?, kind: Visit::kind::<K>() };
    let blob = visit.enter(op).await?;
    Ok(axum::Json(json!({"value": URL_SAFE_NO_PAD.encode(blob)})).into_response())
}

/// A backup.
#[derive(Deserialize)]
struct RestoreBody {
    value: String,
}

async fn restore<K: Seen>(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<RestoreObject<K>>(guest).await?;
    visit.knock::<RestoreObject<K>>(&visit.vault.id).await?;
    if visit.name()?.as_str() != "restore" {
        return Err(Error::invalid("method", K::NO_POST).into());
    }
    let (visit, body): (_, RestoreBody) = visit.body_to(BACKUP).await?;
    let blob = bytes("value", &body.value)?;
    let op = RestoreObject { vault: visit.vault.clone(), blob, kind: Visit::kind::<K>() };
    let found = visit.enter(op).await?;
    Ok(shown(&visit, &found))
}

/// Base64url, padded or not.
pub(super) fn bytes(field: &str, text: &str) -> Result<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| Error::invalid(field, "is not base64url"))
}
