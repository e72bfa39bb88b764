//! Virtual networks and their subnets.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{Row, enter},
    network::{
        DeleteSubnet, DeleteVirtualNetwork, GetSubnet, ListSubnets, PutSubnet, PutVirtualNetwork, Subnet,
        SubnetRequest, VirtualNetwork,
    },
    resources::{GetResource, ListResources, Resource, ResourceType},
};
use http::{Method, StatusCode};
use kernel::{Error, ResourceId};
use serde_json::{Value, json};
use wire::{
    arm::Put,
    network::{SubnetInput, SubnetPut, VirtualNetworkInput},
};

use super::{Fault, GROUP, list, named, show, view::etag};
use crate::{Doors, Guest};

/// The doors of networks.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{GROUP}/providers/{}", VirtualNetwork::TYPE);
    let one = format!("{all}/{{network}}");
    let subnets = format!("{one}/subnets");
    let subnet = format!("{subnets}/{{subnet}}");
    doors
        .open::<ListResources<VirtualNetwork>, _, _>(Method::GET, &all, list_networks)
        .open::<GetResource<VirtualNetwork>, _, _>(Method::GET, &one, get_network)
        .open::<PutVirtualNetwork, _, _>(Method::PUT, &one, put_network)
        .open::<DeleteVirtualNetwork, _, _>(Method::DELETE, &one, delete_network)
        .open::<ListSubnets, _, _>(Method::GET, &subnets, list_subnets)
        .open::<GetSubnet, _, _>(Method::GET, &subnet, get_subnet)
        .open::<PutSubnet, _, _>(Method::PUT, &subnet, put_subnet)
        .open::<DeleteSubnet, _, _>(Method::DELETE, &subnet, delete_subnet)
}

fn view_subnet(network: &ResourceId, version: u64, subnet: &Subnet) -> Value {
    let prefixes: Vec<String> = subnet.prefixes.iter().map(ToString::to_string).collect();
    let endpoints: Vec<Value> = subnet.endpoints.iter().map(|id| json!({"id": id})).collect();
    let mut properties = json!({"provisioningState": "Succeeded", "privateEndpoints": endpoints});
    if let Some(fields) = properties.as_object_mut() {
        match prefixes.as_slice() {
            [one] => fields.insert(String::from("addressPrefix"), json!(one)),
            all => fields.insert(String::from("addressPrefixes"), json!(all)),
        };
    }
    json!({
        "id": format!("{network}/subnets/{}", subnet.name),
        "name": subnet.name,
        "type": "Microsoft.Network/virtualNetworks/subnets",
        "etag": etag(version),
        "properties": properties,
    })
}

fn view(row: &Row<Resource<VirtualNetwork>>) -> wire::arm::Resource<Value> {
    let network = &row.value.properties;
    let prefixes: Vec<String> = network.address_space.iter().map(ToString::to_string).collect();
    let subnet = |subnet| view_subnet(&row.value.id, row.version, subnet);
    let properties = json!({
        "provisioningState": "Succeeded",
        "resourceGuid": row.value.guid,
        "addressSpace": {"addressPrefixes": prefixes},
        "subnets": network.subnets.iter().map(subnet).collect::<Vec<_>>(),
    });
    show(row, properties)
}

fn prefixes_of(input: SubnetInput) -> Vec<String> {
    input.address_prefix.into_iter().chain(input.address_prefixes).collect()
}

async fn list_networks(guest: Guest) -> Result<Response, Fault> {
    let op = ListResources::<VirtualNetwork>::new(guest.resource(3)?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(view).collect()))
}

async fn get_network(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<VirtualNetwork>::new(guest.resource(0)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view(&row)))
}

async fn put_network(guest: Guest) -> Result<Response, Fault> {
    let (house, id) = (guest.house().clone(), guest.resource(0)?);
    let caller = guest.admitted::<PutVirtualNetwork>(&id).await?;
    let body: Put<VirtualNetworkInput> = guest.json().await?;
    let request = |subnet: SubnetPut| {
        let name = subnet.name.ok_or_else(|| Error::invalid("properties.subnets.name", "is missing"))?;
        Ok(SubnetRequest { name, prefixes: prefixes_of(subnet.properties) })
    };
    let subnets = body.properties.subnets.map(|all| all.into_iter().map(request).collect::<Result<Vec<_>, Error>>());
    let op = PutVirtualNetwork {
        id,
        location: body.location.unwrap_or_default(),
        tags: body.tags.unwrap_or_default(),
        address_space: body.properties.address_space.address_prefixes,
        subnets: subnets.transpose()?,
    };
    let written = enter(&house, &caller, op).await?;
    Ok(named(if written.is_new { StatusCode::CREATED } else { StatusCode::OK }, view(&written.row)))
}

async fn delete_network(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteVirtualNetwork { id: guest.resource(0)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}

async fn list_subnets(guest: Guest) -> Result<Response, Fault> {
    let op = ListSubnets { network: guest.resource(1)? };
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    let subnets = row.value.properties.subnets.iter();
    Ok(list(subnets.map(|subnet| view_subnet(&row.value.id, row.version, subnet)).collect()))
}

async fn get_subnet(guest: Guest) -> Result<Response, Fault> {
    let op = GetSubnet { id: guest.resource(0)? };
    let (row, subnet) = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view_subnet(&row.value.id, row.version, &subnet)).into_response())
}

async fn put_subnet(guest: Guest) -> Result<Response, Fault> {
    let (house, id) = (guest.house().clone(), guest.resource(0)?);
    let caller = guest.admitted::<PutSubnet>(&id).await?;
    let body: SubnetPut = guest.json().await?;
    let op = PutSubnet { id, prefixes: prefixes_of(body.properties) };
    let ((row, subnet), is_new) = enter(&house, &caller, op).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, axum::Json(view_subnet(&row.value.id, row.version, &subnet))).into_response())
}

async fn delete_subnet(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteSubnet { id: guest.resource(0)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}
