//! Private endpoints.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{House, Row, enter},
    network::{DeletePrivateEndpoint, PrivateEndpoint, PutPrivateEndpoint, WORKSPACE_GROUP, network_of},
    resources::{GetResource, ListResources, Resource, ResourceType},
};
use http::{Method, StatusCode};
use kernel::{Error, ResourceId};
use serde_json::{Value, json};
use wire::network::{LinkPut, PrivateEndpointInput, PrivateEndpointPut};

use super::{Fault, GROUP, list, named, show};
use crate::{Doors, Guest};

/// The doors of private endpoints.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{GROUP}/providers/{}", PrivateEndpoint::TYPE);
    let one = format!("{all}/{{name}}");
    doors
        .open::<ListResources<PrivateEndpoint>, _, _>(Method::GET, &all, list_endpoints)
        .open::<GetResource<PrivateEndpoint>, _, _>(Method::GET, &one, get_endpoint)
        .open::<PutPrivateEndpoint, _, _>(Method::PUT, &one, put_endpoint)
        .open::<DeletePrivateEndpoint, _, _>(Method::DELETE, &one, delete_endpoint)
}

/// An endpoint. Its connection is what the workspace's side says of it.
fn view(house: &House, row: &Row<Resource<PrivateEndpoint>>) -> wire::arm::Resource<Value> {
    let endpoint = &row.value.properties;
    let connections = network_of(house, &endpoint.workspace).connections;
    let known = connections.iter().find(|one| one.name == endpoint.connection);
    let (status, description) =
        known.map_or(("Disconnected", ""), |known| (known.status(house.now()), &known.description));
    let link = json!([{
        "id": format!("{}/privateLinkServiceConnections/{}", row.value.id, endpoint.link),
        "name": endpoint.link,
        "properties": {
            "provisioningState": "Succeeded",
            "privateLinkServiceId": endpoint.workspace,
            "groupIds": [WORKSPACE_GROUP],
            "privateLinkServiceConnectionState": {"status": status, "description": description, "actionsRequired": "None"},
        },
    }]);
    let (own, manual) = if endpoint.is_manual { (json!([]), link) } else { (link, json!([])) };
    let properties = json!({
        "provisioningState": "Succeeded",
        "resourceGuid": row.value.guid,
        "subnet": {"id": endpoint.subnet},
        "privateLinkServiceConnections": own,
        "manualPrivateLinkServiceConnections": manual,
    });
    show(row, properties)
}

async fn list_endpoints(guest: Guest) -> Result<Response, Fault> {
    let op = ListResources::<PrivateEndpoint>::new(guest.resource(3)?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(|row| view(guest.house(), row)).collect()))
}

async fn get_endpoint(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<PrivateEndpoint>::new(guest.resource(0)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view(guest.house(), &row)))
}

/// The one connection that an endpoint has, and whether others approve it.
fn link_of(input: PrivateEndpointInput) -> Result<(LinkPut, bool), Error> {
    let own = input.private_link_service_connections.into_iter().map(|link| (link, false));
    let mut all = own.chain(input.manual_private_link_service_connections.into_iter().map(|link| (link, true)));
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Error::invalid("properties.privateLinkServiceConnections", "a private endpoint has one connection")),
    }
}

fn id(field: &str, text: &str) -> Result<ResourceId, Error> {
    text.parse().map_err(|why| Error::invalid(field, why))
}

async fn put_endpoint(guest: Guest) -> Result<Response, Fault> {
    let (house, own) = (guest.house().clone(), guest.resource(0)?);
    let caller = guest.admitted::<PutPrivateEndpoint>(&own).await?;
    let body: PrivateEndpointPut = guest.json().await?;
    let subnet = id("properties.subnet.id", &body.properties.subnet.id)?;
    let (link, is_manual) = link_of(body.properties)?;
    let workspace = id("privateLinkServiceId", &link.properties.private_link_service_id)?;
    if subnet.value_of("subnets").is_none() || workspace.workspace().as_ref() != Some(&workspace) {
        let why = "a private endpoint leads from a subnet to a workspace";
        return Err(Error::invalid("properties", why).into());
    }
    let op = PutPrivateEndpoint {
        id: own,
        location: body.location.unwrap_or_default(),
        tags: body.tags.unwrap_or_default(),
        subnet,
        workspace,
        link: link.name,
        groups: link.properties.group_ids,
        is_manual,
        message: link.properties.request_message.unwrap_or_default(),
    };
    let written = enter(&house, &caller, op).await?;
    let status = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(named(status, view(&house, &written.row)))
}

async fn delete_endpoint(guest: Guest) -> Result<Response, Fault> {
    let op = DeletePrivateEndpoint { id: guest.resource(0)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}
