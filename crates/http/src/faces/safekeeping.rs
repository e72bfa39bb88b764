//! The root key and backups, at addresses of ours.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use domain::{
    gate::{RootKeyUse, enter},
    safekeeping::{GetRootKey, MakeBackup, RotateRootKey},
};
use http::{HeaderName, Method, header};
use serde_json::json;

use super::arm::Fault;
use crate::{Doors, Guest};

/// The doors of this face.
pub fn doors(doors: Doors) -> Doors {
    doors
        .open::<GetRootKey, _, _>(Method::GET, "/safekeeping/v1/root-key", show)
        .open::<RotateRootKey, _, _>(Method::POST, "/safekeeping/v1/root-key/rotate", rotate)
        .open::<MakeBackup, _, _>(Method::POST, "/safekeeping/v1/backup", backup)
}

fn view(used: &RootKeyUse) -> Response {
    axum::Json(json!({"provider": used.provider, "version": used.version})).into_response()
}

async fn show(guest: Guest) -> Result<Response, Fault> {
    Ok(view(&enter(guest.house(), &guest.caller().await?, GetRootKey).await?))
}

async fn rotate(guest: Guest) -> Result<Response, Fault> {
    Ok(view(&enter(guest.house(), &guest.caller().await?, RotateRootKey).await?))
}

/// The archive, as it is made. One that ends without its manifest is not whole.
async fn backup(guest: Guest) -> Result<Response, Fault> {
    let backup = enter(guest.house(), &guest.caller().await?, MakeBackup).await?;
    let headers = [
        (header::CONTENT_TYPE, String::from("application/x-tar")),
        (HeaderName::from_static("x-bartizan-made-at"), backup.made_at),
    ];
    Ok((headers, Body::from_stream(backup.archive)).into_response())
}
