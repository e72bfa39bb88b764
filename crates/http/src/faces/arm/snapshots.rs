//! Contents of snapshots.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use domain::{
    gate::enter,
    snapshots::{GetSnapshotFile, ListMissingFiles, MissingFile, PutPack},
};
use http::{HeaderValue, Method, header};
use wire::snapshot;

use super::{Fault, WORKSPACE};
use crate::{Doors, Guest};

/// The doors of snapshots.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .open::<ListMissingFiles, _, _>(Method::POST, &format!("{WORKSPACE}/snapshots/missing"), list_missing)
        .open::<PutPack, _, _>(Method::POST, &format!("{WORKSPACE}/snapshots/packs"), put_pack)
        .open::<GetSnapshotFile, _, _>(Method::GET, &format!("{WORKSPACE}/snapshots/files/{{sha256}}"), get_file)
}

async fn list_missing(guest: Guest) -> Result<Response, Fault> {
    let (house, workspace) = (guest.house().clone(), guest.workspace()?);
    let caller = guest.admitted::<ListMissingFiles>(&workspace).await?;
    let body: snapshot::Asked = guest.json().await?;
    let files = body.files.into_iter().map(|file| MissingFile { sha256: file.sha256, length: file.length });
    let op = ListMissingFiles { workspace, files: files.collect() };
    let missing = enter(&house, &caller, op).await?;
    Ok(axum::Json(snapshot::Missing { missing }).into_response())
}

async fn put_pack(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = (guest.house().clone(), guest.caller().await?, guest.workspace()?);
    let fresh = enter(&house, &caller, PutPack { workspace, body: guest.stream() }).await?;
    Ok(axum::Json(serde_json::json!({"newFiles": fresh})).into_response())
}

async fn get_file(guest: Guest) -> Result<Response, Fault> {
    let op = GetSnapshotFile { workspace: guest.workspace()?, sha256: guest.param("sha256")? };
    let (body, length) = enter(guest.house(), &guest.caller().await?, op).await?;
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    Ok(response)
}
