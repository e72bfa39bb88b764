//! Principals of any kind.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    identity::{DirectoryObject, GetDirectoryObject, GetDirectoryObjects},
};
use http::{Method, StatusCode};
use kernel::{Error, PrincipalKind};
use wire::graph;

use super::{Fault, odata, root};
use crate::{Doors, Guest};

/// The doors of principals of any kind.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .open::<GetDirectoryObject, _, _>(Method::GET, "/graph/v1.0/directoryObjects/{id}", get_object)
        .open::<GetDirectoryObjects, _, _>(Method::POST, "/graph/v1.0/directoryObjects/getByIds", get_objects)
}

pub(super) fn view(object: &DirectoryObject) -> graph::DirectoryObject {
    graph::DirectoryObject {
        odata_type: format!("#microsoft.graph.{}", word(object.kind)),
        id: object.id.to_string(),
        display_name: object.name.clone(),
        user_principal_name: object.user_name.clone(),
        app_id: object.app.map(|app| app.to_string()),
    }
}

fn word(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::User => "user",
        PrincipalKind::Group => "group",
        PrincipalKind::ServicePrincipal => "servicePrincipal",
    }
}

fn kind(word: &str) -> Result<PrincipalKind, Error> {
    match word {
        "user" => Ok(PrincipalKind::User),
        "group" => Ok(PrincipalKind::Group),
        "servicePrincipal" => Ok(PrincipalKind::ServicePrincipal),
        _ => Err(Error::invalid("types", "must be of `user`, `group`, `servicePrincipal`")),
    }
}

async fn get_object(guest: Guest) -> Result<Response, Fault> {
    let found = enter(
        guest.house(),
        &guest.admitted::<GetDirectoryObject>(&root()).await?,
        GetDirectoryObject { id: guest.param("id")? },
    )
    .await?;
    Ok(odata::entity(&guest, StatusCode::OK, &view(&found))?)
}

async fn get_objects(guest: Guest) -> Result<Response, Fault> {
    let house = guest.house().clone();
    let caller = guest.admitted::<GetDirectoryObjects>(&root()).await?;
    let body: graph::GetByIds = guest.json().await?;
    let ids: Result<Vec<_>, _> = body.ids.iter().map(|id| id.parse()).collect();
    let kinds: Result<Vec<_>, _> = body.types.iter().map(|word| kind(word)).collect();
    let op = GetDirectoryObjects { ids: ids.map_err(|why| Error::invalid("ids", why))?, kinds: kinds? };
    let found = enter(&house, &caller, op).await?;
    let value = found.iter().map(view).collect();
    Ok(axum::Json(graph::List { value, next_link: None }).into_response())
}
