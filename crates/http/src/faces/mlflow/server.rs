//! What the server says about itself: `server-info` and `version`.

use axum::response::{IntoResponse, Response};
use domain::{gate::enter, tracking::GetTracking};
use http::{Method, header};
use wire::mlflow::ServerInfo;

use super::{Fault, arrive, view::reply, workspaces::HEADER};
use crate::{Doors, Guest};

/// The version of MLflow's interface that is spoken here. From 3.4 on, clients send spans as they end.
pub(super) const VERSION: &str = "3.17.2";

/// The doors below the workspace's base address.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    doors
        .open::<GetTracking, _, _>(Method::GET, &format!("{base}/api/3.0/mlflow/server-info"), get_info)
        .open::<GetTracking, _, _>(Method::GET, &format!("{base}/version"), get_version)
}

async fn get_info(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetTracking>(&guest).await?;
    enter(&house, &caller, GetTracking { workspace }).await?;
    // The code of a job reaches this server through a proxy that adds its token, and not at the addresses of parts.
    let in_parts = house.settings().mlflow_parts && caller.principal().is_some();
    // Who names this workspace by a header as well is told that it is understood.
    Ok(reply(info(guest.header(HEADER).is_some(), in_parts)))
}

/// What the server says of itself: whether a header names the workspace, and whether files go in parts.
pub(super) fn info(by_header: bool, in_parts: bool) -> ServerInfo {
    ServerInfo {
        store_type: String::from("Bartizan"),
        workspaces_enabled: by_header,
        trace_archival_enabled: false,
        multipart_uploads_enabled: in_parts,
        multipart_downloads_enabled: in_parts,
        presigned_upload_run_id_supported: false,
        presigned_upload_model_id_supported: false,
    }
}

async fn get_version(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetTracking>(&guest).await?;
    enter(&house, &caller, GetTracking { workspace }).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], VERSION).into_response())
}
