//! What a workspace's network needs: the published host list.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    network::{Dependency, GetOutboundDependencies},
};
use http::Method;
use serde_json::{Value, json};

use super::{Fault, WORKSPACE};
use crate::{Doors, Guest};

/// The doors of networks.
pub(super) fn doors(doors: Doors) -> Doors {
    let outbound = format!("{WORKSPACE}/outboundNetworkDependenciesEndpoints");
    doors.open::<GetOutboundDependencies, _, _>(Method::GET, &outbound, list_dependencies)
}

fn view(dependency: &Dependency) -> Value {
    let endpoint = |(host, port): &(String, u16)| json!({"domainName": host, "endpointDetails": [{"port": port}]});
    let endpoints: Vec<Value> = dependency.endpoints.iter().map(endpoint).collect();
    json!({"properties": {"category": dependency.category, "endpoints": endpoints}})
}

async fn list_dependencies(guest: Guest) -> Result<Response, Fault> {
    let op = GetOutboundDependencies { workspace: guest.resource(1)? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    let value: Vec<Value> = found.iter().map(view).collect();
    Ok(axum::Json(json!({"value": value})).into_response())
}
