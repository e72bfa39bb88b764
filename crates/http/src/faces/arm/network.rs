//! What a workspace's network has: private endpoint connections, and the published host list.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    network::{
        Connection, DeleteConnection, Dependency, GetConnection, GetOutboundDependencies, ListConnections,
        ListPrivateLinkResources, PutConnection, WORKSPACE_GROUP,
    },
};
use http::{Method, StatusCode};
use kernel::ResourceId;
use serde_json::{Value, json};
use wire::network::ConnectionPut;

use super::{Fault, WORKSPACE, list};
use crate::{Doors, Guest};

/// The doors of a workspace's network.
pub(super) fn doors(doors: Doors) -> Doors {
    let outbound = format!("{WORKSPACE}/outboundNetworkDependenciesEndpoints");
    let links = format!("{WORKSPACE}/privateLinkResources");
    let all = format!("{WORKSPACE}/privateEndpointConnections");
    let one = format!("{all}/{{connection}}");
    doors
        .open::<GetOutboundDependencies, _, _>(Method::GET, &outbound, list_dependencies)
        .open::<ListPrivateLinkResources, _, _>(Method::GET, &links, list_links)
        .open::<ListConnections, _, _>(Method::GET, &all, list_connections)
        .open::<GetConnection, _, _>(Method::GET, &one, get_connection)
        .open::<PutConnection, _, _>(Method::PUT, &one, put_connection)
        .open::<DeleteConnection, _, _>(Method::DELETE, &one, delete_connection)
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

async fn list_links(guest: Guest) -> Result<Response, Fault> {
    let op = ListPrivateLinkResources { workspace: guest.resource(1)? };
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    let link = json!({
        "id": format!("{}/privateLinkResources/{WORKSPACE_GROUP}", row.value.id),
        "name": WORKSPACE_GROUP,
        "type": "Microsoft.MachineLearningServices/workspaces/privateLinkResources",
        "location": row.value.location,
        "properties": {"groupId": WORKSPACE_GROUP, "requiredMembers": ["default"], "requiredZoneNames": []},
    });
    Ok(list(vec![link]))
}

/// A connection, as the workspace shows it.
pub(super) fn view_connection(guest: &Guest, workspace: &ResourceId, connection: &Connection) -> Value {
    let status = connection.status(guest.house().now());
    json!({
        "id": format!("{workspace}/privateEndpointConnections/{}", connection.name),
        "name": connection.name,
        "type": "Microsoft.MachineLearningServices/workspaces/privateEndpointConnections",
        "properties": {
            "provisioningState": "Succeeded",
            "groupIds": [WORKSPACE_GROUP],
            "privateEndpoint": {"id": connection.endpoint},
            "privateLinkServiceConnectionState":
                {"status": status, "description": connection.description, "actionsRequired": "None"},
        },
    })
}

async fn list_connections(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.resource(1)?;
    let op = ListConnections { workspace: workspace.clone() };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(|one| view_connection(&guest, &workspace, one)).collect()))
}

async fn get_connection(guest: Guest) -> Result<Response, Fault> {
    let id = guest.resource(0)?;
    let found = enter(guest.house(), &guest.caller().await?, GetConnection { id: id.clone() }).await?;
    Ok(axum::Json(view_connection(&guest, &id.parent(), &found)).into_response())
}

async fn put_connection(guest: Guest) -> Result<Response, Fault> {
    let id = guest.resource(0)?;
    let caller = guest.admitted::<PutConnection>(&id).await?;
    let shell = guest.shell();
    let body: ConnectionPut = guest.json().await?;
    let state = body.properties.private_link_service_connection_state;
    let op = PutConnection { id: id.clone(), status: state.status, description: state.description };
    let answered = enter(shell.house(), &caller, op).await?;
    Ok(axum::Json(view_connection(&shell, &id.parent(), &answered)).into_response())
}

async fn delete_connection(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteConnection { id: guest.resource(0)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}
