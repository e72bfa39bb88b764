//! Data assets: containers and their versions (`data_containers` and `data_versions` of Azure's management library).

mod page;

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    data_assets::{
        DataContainer, DataKind, DataUse, DataVersion, DeleteDataContainer, DeleteDataVersion, ListDataContainers,
        ListDataUses, ListDataVersions, NewDataContainer, NewDataVersion, PutDataContainer, PutDataVersion,
    },
    gate::{Row, enter},
    resources::{GetResource, Resource},
};
use http::{Method, StatusCode};
use kernel::{Error, ResourceId, Result as Outcome};
use wire::{arm, data};

use self::page::{Order, Shown, tags_of, versions_page};
use super::{Fault, WORKSPACE, named, pages::Pages, precondition, show};
use crate::{Doors, Guest};

/// The doors of data assets.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{WORKSPACE}/data");
    let one = format!("{all}/{{name}}");
    let versions = format!("{one}/versions");
    let version = format!("{versions}/{{version}}");
    doors
        .open::<ListDataContainers, _, _>(Method::GET, &all, list_containers)
        .open::<GetResource<DataContainer>, _, _>(Method::GET, &one, get_container)
        .open::<PutDataContainer, _, _>(Method::PUT, &one, put_container)
        .open::<DeleteDataContainer, _, _>(Method::DELETE, &one, delete_container)
        .open::<ListDataVersions, _, _>(Method::GET, &versions, list_versions)
        .open::<GetResource<DataVersion>, _, _>(Method::GET, &version, get_version)
        .open::<PutDataVersion, _, _>(Method::PUT, &version, put_version)
        .open::<DeleteDataVersion, _, _>(Method::DELETE, &version, delete_version)
        .open::<ListDataUses, _, _>(Method::GET, &format!("{version}/runs"), list_uses)
}

fn view_container(row: &Row<Resource<DataContainer>>) -> arm::Resource<data::Container> {
    let container = &row.value.properties;
    let properties = data::Container {
        data_type: container.kind.word().to_owned(),
        latest_version: container.latest.clone(),
        next_version: container.next().to_string(),
        description: container.description.clone(),
        tags: row.value.tags.clone(),
        properties: container.properties.clone(),
        is_archived: container.is_archived,
    };
    show(row, properties)
}

fn view_version(row: &Row<Resource<DataVersion>>) -> arm::Resource<data::Version> {
    let version = &row.value.properties;
    let properties = data::Version {
        data_type: version.kind.word().to_owned(),
        data_uri: version.uri.clone(),
        description: version.description.clone(),
        tags: row.value.tags.clone(),
        properties: version.properties.clone(),
        is_anonymous: version.is_anonymous,
        is_archived: version.is_archived,
    };
    show(row, properties)
}

fn view_use(workspace: &ResourceId, one: DataUse) -> data::Use {
    data::Use {
        job_id: format!("{workspace}/jobs/{}", one.run),
        run_id: one.run.to_string(),
        input: one.input,
        digest: one.digest,
        used_at: one.at.rfc3339(),
    }
}

fn kind(word: &str) -> Outcome<DataKind> {
    // Azure's oldest form of the word: SDKs that send none mean a folder.
    if word.is_empty() { Ok(DataKind::UriFolder) } else { DataKind::parse("properties.dataType", word) }
}

async fn list_containers(guest: Guest) -> Result<Response, Fault> {
    let (shown, pages) = (Shown::of(&guest)?, Pages::of(&guest, "$skipToken")?);
    let op = ListDataContainers { workspace: guest.workspace()? };
    let mut rows = enter(guest.house(), &guest.caller().await?, op).await?;
    rows.retain(|row| shown.takes(row.value.properties.is_archived));
    Ok(pages.answer(&guest, rows, |row| &row.value.id, view_container))
}

async fn get_container(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<DataContainer>::new(guest.resource(0)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view_container(&row)))
}

async fn put_container(guest: Guest) -> Result<Response, Fault> {
    let (house, id) = (guest.house().clone(), guest.resource(0)?);
    let (caller, precondition) = (guest.admitted::<PutDataContainer>(&id).await?, precondition(&guest)?);
    let body: arm::Put<data::ContainerInput> = guest.json().await?;
    let input = body.properties;
    let wanted = NewDataContainer {
        kind: kind(&input.data_type)?,
        description: input.description.unwrap_or_default(),
        tags: input.tags.or(body.tags).unwrap_or_default(),
        properties: input.properties.unwrap_or_default(),
        is_archived: input.is_archived.unwrap_or_default(),
    };
    let written = enter(&house, &caller, PutDataContainer { id, wanted, precondition }).await?;
    let status = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(named(status, view_container(&written.row)))
}

async fn delete_container(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteDataContainer { id: guest.resource(0)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}

async fn list_versions(guest: Guest) -> Result<Response, Fault> {
    let (shown, order, tags) = (Shown::of(&guest)?, Order::of(&guest)?, tags_of(&guest)?);
    let op = ListDataVersions { container: guest.resource(1)? };
    let mut rows = enter(guest.house(), &guest.caller().await?, op).await?;
    rows.retain(|row| shown.takes(row.value.properties.is_archived) && tags.fit(&row.value.tags));
    Ok(versions_page(&guest, order, rows, view_version)?)
}

async fn get_version(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<DataVersion>::new(guest.resource(0)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view_version(&row)))
}

async fn put_version(guest: Guest) -> Result<Response, Fault> {
    let (house, id) = (guest.house().clone(), guest.resource(0)?);
    let (caller, precondition) = (guest.admitted::<PutDataVersion>(&id).await?, precondition(&guest)?);
    let body: arm::Put<data::VersionInput> = guest.json().await?;
    let input = body.properties;
    let wanted = NewDataVersion {
        kind: kind(&input.data_type)?,
        uri: input.data_uri,
        description: input.description.unwrap_or_default(),
        tags: input.tags.or(body.tags).unwrap_or_default(),
        properties: input.properties.unwrap_or_default(),
        is_anonymous: input.is_anonymous.unwrap_or_default(),
        is_archived: input.is_archived.unwrap_or_default(),
    };
    let written = enter(&house, &caller, PutDataVersion { id, wanted, precondition }).await?;
    let status = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(named(status, view_version(&written.row)))
}

async fn delete_version(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteDataVersion { id: guest.resource(0)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}

/// The runs that used a version, newest first.
async fn list_uses(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.workspace()?;
    let most = page::top_of(&guest)?;
    let after = guest.query("$skipToken").map(|token| URL_SAFE_NO_PAD.decode(token)).transpose();
    let after = after.map_err(|_| Error::invalid("$skipToken", "must be taken from the page before"))?;
    let op = ListDataUses { id: guest.resource(1)?, after, most };
    let (found, next) = enter(guest.house(), &guest.caller().await?, op).await?;
    let next_link = next.map(|id| guest.link_with("$skipToken", &URL_SAFE_NO_PAD.encode(id)));
    let value = found.into_iter().map(|one| view_use(&workspace, one)).collect();
    Ok(axum::Json(arm::List { value, next_link }).into_response())
}
