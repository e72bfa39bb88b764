//! The throughput of a workspace's metadata: read in two forms of Azure's, and set in the form of `Microsoft.DocumentDB`.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::{
    gate::enter,
    resources::{GetThroughput, LEAST_THROUGHPUT, SetThroughput},
};
use http::Method;
use kernel::ResourceId;
use serde_json::json;
use wire::arm;

use super::{Fault, WORKSPACE};
use crate::{Doors, Guest};

/// The doors of throughput.
pub(super) fn doors(doors: Doors) -> Doors {
    let place = format!("{WORKSPACE}/throughputSettings/default");
    doors.open::<GetThroughput, _, _>(Method::GET, &place, get).open::<SetThroughput, _, _>(Method::PUT, &place, put)
}

/// What a body of a workspace says of it.
pub(super) fn asked(body: Option<arm::ServiceManagedResources>) -> Option<u32> {
    body?.cosmos_db?.collections_throughput
}

/// As a workspace shows it.
pub(super) fn shown(units: u32) -> arm::ServiceManagedResources {
    arm::ServiceManagedResources { cosmos_db: Some(arm::CosmosDb { collections_throughput: Some(units) }) }
}

fn view(workspace: &ResourceId, units: u32) -> Response {
    let minimum_throughput = Some(LEAST_THROUGHPUT.to_string());
    let properties = arm::ThroughputSettings { resource: arm::Throughput { throughput: units, minimum_throughput } };
    let id = format!("{workspace}/throughputSettings/default");
    let kind = "Microsoft.MachineLearningServices/workspaces/throughputSettings";
    Json(json!({"id": id, "name": "default", "type": kind, "properties": properties})).into_response()
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.resource(2)?;
    let op = GetThroughput { workspace: workspace.clone() };
    let units = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(view(&workspace, units))
}

async fn put(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.resource(2)?;
    let caller = guest.admitted::<SetThroughput>(&workspace).await?;
    let shell = guest.shell();
    let body: arm::Put<arm::ThroughputSettings> = guest.json().await?;
    let op = SetThroughput { workspace: workspace.clone(), units: body.properties.resource.throughput };
    let units = enter(shell.house(), &caller, op).await?;
    Ok(view(&workspace, units))
}
