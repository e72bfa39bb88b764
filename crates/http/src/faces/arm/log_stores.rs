//! Log stores.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{Row, enter},
    resources::{DeleteResource, GetResource, ListResources, LogStore, PutLogStore, Resource, ResourceType},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wire::arm;

use super::{Fault, GROUP, list, named, show};
use crate::{Doors, Guest};

/// The doors of log stores.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{GROUP}/providers/{}", LogStore::TYPE);
    let one = format!("{all}/{{name}}");
    doors
        .open::<ListResources<LogStore>, _, _>(Method::GET, &all, list_stores)
        .open::<GetResource<LogStore>, _, _>(Method::GET, &one, get_store)
        .open::<PutLogStore, _, _>(Method::PUT, &one, put_store)
        .open::<DeleteResource<LogStore>, _, _>(Method::DELETE, &one, delete_store)
}

fn view(row: &Row<Resource<LogStore>>) -> arm::Resource<Value> {
    show(row, json!({"customerId": row.value.properties.customer, "provisioningState": "Succeeded"}))
}

async fn list_stores(guest: Guest) -> Result<Response, Fault> {
    let rows = enter(guest.house(), &guest.caller().await?, ListResources::<LogStore>::new(guest.resource(3)?)).await?;
    Ok(list(rows.iter().map(view).collect()))
}

async fn get_store(guest: Guest) -> Result<Response, Fault> {
    let row = enter(guest.house(), &guest.caller().await?, GetResource::<LogStore>::new(guest.resource(0)?)).await?;
    Ok(named(StatusCode::OK, view(&row)))
}

async fn put_store(guest: Guest) -> Result<Response, Fault> {
    let (house, id) = (guest.house().clone(), guest.resource(0)?);
    let caller = guest.admitted::<PutLogStore>(&id).await?;
    let body: arm::PutGroup = guest.json().await?;
    let op = PutLogStore { id, location: body.location.unwrap_or_default(), tags: body.tags.unwrap_or_default() };
    let written = enter(&house, &caller, op).await?;
    Ok(named(if written.is_new { StatusCode::CREATED } else { StatusCode::OK }, view(&written.row)))
}

async fn delete_store(guest: Guest) -> Result<Response, Fault> {
    enter(guest.house(), &guest.caller().await?, DeleteResource::<LogStore>::new(guest.resource(0)?)).await?;
    Ok(StatusCode::OK.into_response())
}
