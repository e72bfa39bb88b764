//! Azure's Blob service: `/blob/{account}/{container}/{blob}`, or the same below a host name of the account's own. Which operation is
//! asked for is said by the method and by `restype` and `comp` of the query.

mod authorization;
mod block;
mod container;
mod copy;
mod delete;
mod download;
mod error;
mod headers;
mod label;
mod lease;
mod list;
mod service;
mod upload;
mod visit;
mod xml;

use axum::response::{IntoResponse, Response};
use domain::storage::{
    Adding, AppendBlock, ChangeBlob, ChangeContainer, CreateContainer, DeleteBlob, DeleteBlobVersion, DeleteContainer,
    GetBlob, GetBlockList, GetContainer, GetDelegationKey, GetServiceSettings, GetTags, ListBlobs, ListContainers,
    PutBlob, PutBlock, PutBlockList, SetServiceSettings, SetTags, SnapshotBlob, UndeleteBlob, Writing,
};
use http::{HeaderValue, Method, StatusCode};
use kernel::Result;

use crate::{Doors, Guest};
use error::{Fault, unsupported};
use visit::Visit;

const SERVICE: &str = "/blob/{account}";
const CONTAINER: &str = "/blob/{account}/{container}";
const BLOB: &str = "/blob/{account}/{container}/{*blob}";

/// The doors of this face.
pub fn doors(doors: Doors) -> Doors {
    doors.face(service_doors).face(container_doors).face(blob_doors)
}

fn service_doors(doors: Doors) -> Doors {
    let root = format!("{SERVICE}/");
    let mut doors = doors;
    for path in [SERVICE, &root] {
        doors = doors
            .open::<ListContainers, _, _>(Method::GET, path, get_service)
            .open::<SetServiceSettings, _, _>(Method::PUT, path, put_service)
            .open::<GetDelegationKey, _, _>(Method::POST, path, post_service);
    }
    doors.beside::<GetServiceSettings>(Method::GET, SERVICE, "restype=service&comp=properties")
}

fn container_doors(doors: Doors) -> Doors {
    let below = format!("{CONTAINER}/");
    let mut doors = doors;
    for path in [CONTAINER, &below] {
        doors = doors
            .open::<GetContainer, _, _>(Method::GET, path, get_container)
            .open::<CreateContainer, _, _>(Method::PUT, path, put_container)
            .open::<DeleteContainer, _, _>(Method::DELETE, path, delete_container);
    }
    doors.beside::<ListBlobs>(Method::GET, CONTAINER, "restype=container&comp=list").beside::<ChangeContainer>(
        Method::PUT,
        CONTAINER,
        "restype=container&comp=metadata",
    )
}

fn blob_doors(doors: Doors) -> Doors {
    doors
        .open::<GetBlob, _, _>(Method::GET, BLOB, get_blob)
        .open::<Writing<PutBlob>, _, _>(Method::PUT, BLOB, put_blob)
        .open::<DeleteBlob, _, _>(Method::DELETE, BLOB, delete_blob)
        .beside::<DeleteBlobVersion>(Method::DELETE, BLOB, "versionid")
        .beside::<GetBlockList>(Method::GET, BLOB, "comp=blocklist")
        .beside::<GetTags>(Method::GET, BLOB, "comp=tags")
        .beside::<Adding<PutBlob>>(Method::PUT, BLOB, "new")
        .beside::<Writing<PutBlock>>(Method::PUT, BLOB, "comp=block")
        .beside::<Adding<PutBlock>>(Method::PUT, BLOB, "comp=block&new")
        .beside::<Writing<PutBlockList>>(Method::PUT, BLOB, "comp=blocklist")
        .beside::<Adding<PutBlockList>>(Method::PUT, BLOB, "comp=blocklist&new")
        .beside::<Writing<AppendBlock>>(Method::PUT, BLOB, "comp=appendblock")
        .beside::<Adding<AppendBlock>>(Method::PUT, BLOB, "comp=appendblock&new")
        .beside::<ChangeBlob>(Method::PUT, BLOB, "comp=metadata")
        .beside::<SetTags>(Method::PUT, BLOB, "comp=tags")
        .beside::<SnapshotBlob>(Method::PUT, BLOB, "comp=snapshot")
        .beside::<UndeleteBlob>(Method::PUT, BLOB, "comp=undelete")
}

async fn get_service(guest: Guest) -> Response {
    answered(guest, async |visit| match (visit.query("restype"), visit.query("comp")) {
        (_, "list") => service::list(visit).await,
        ("service", "properties") => service::get_settings(visit).await,
        ("account", "properties") => service::account(visit).await,
        _ => not_asked(&visit).await,
    })
    .await
}

async fn put_service(guest: Guest) -> Response {
    answered(guest, async |visit| match (visit.query("restype"), visit.query("comp")) {
        ("service", "properties") => service::set_settings(visit).await,
        _ => not_asked(&visit).await,
    })
    .await
}

async fn post_service(guest: Guest) -> Response {
    answered(guest, async |visit| match (visit.query("restype"), visit.query("comp")) {
        ("service", "userdelegationkey") => service::delegate(visit).await,
        (_, "batch") => service::batch(&visit).await,
        _ => not_asked(&visit).await,
    })
    .await
}

async fn get_container(guest: Guest) -> Response {
    answered(guest, async |visit| match (visit.query("restype"), visit.query("comp")) {
        ("container", "list") => list::blobs(visit).await,
        ("container", "" | "metadata") => container::get(visit).await,
        ("container", "acl") => container::get_policies(visit).await,
        ("account", "properties") => service::account(visit).await,
        _ => not_asked(&visit).await,
    })
    .await
}

async fn put_container(guest: Guest) -> Response {
    answered(guest, async |visit| match (visit.query("restype"), visit.query("comp")) {
        ("container", "") => container::create(visit).await,
        ("container", "metadata") => container::set_metadata(visit).await,
        ("container", "acl") => container::set_policies(visit).await,
        ("container", "lease") | ("", "lease") => container::lease(visit).await,
        _ => not_asked(&visit).await,
    })
    .await
}

async fn delete_container(guest: Guest) -> Response {
    answered(guest, async |visit| match visit.query("restype") {
        "container" => container::delete(visit).await,
        _ => not_asked(&visit).await,
    })
    .await
}

async fn get_blob(guest: Guest) -> Response {
    answered(guest, async |visit| match visit.query("comp") {
        "" | "metadata" => download::get(visit).await,
        "blocklist" => block::get_list(visit).await,
        "tags" => label::get_tags(visit).await,
        _ => not_asked(&visit).await,
    })
    .await
}

async fn put_blob(guest: Guest) -> Response {
    answered(guest, async |visit| {
        visit.refuse_snapshot()?;
        write_blob(visit).await
    })
    .await
}

async fn write_blob(visit: Visit) -> Result<Response> {
    match visit.query("comp") {
        "" if visit.header("x-ms-copy-source").is_some() => copy::copy(visit).await,
        "" => upload::put(visit).await,
        "block" if visit.header("x-ms-copy-source").is_some() => copy::block(visit).await,
        "block" => block::put(visit).await,
        "blocklist" => block::put_list(visit).await,
        "appendblock" => upload::append(visit).await,
        "metadata" => label::set_metadata(visit).await,
        "properties" => label::set_headers(visit).await,
        "tags" => label::set_tags(visit).await,
        "lease" => label::lease(visit).await,
        "snapshot" => label::snapshot(visit).await,
        "undelete" => delete::undelete(visit).await,
        _ => not_asked(&visit).await,
    }
}

async fn delete_blob(guest: Guest) -> Response {
    answered(guest, async |visit| match visit.query("comp") {
        "" => delete::delete(visit).await,
        _ => not_asked(&visit).await,
    })
    .await
}

/// What every answer of the service carries, whatever becomes of the request.
async fn answered<F: Future<Output = Result<Response>>>(guest: Guest, act: impl FnOnce(Visit) -> F) -> Response {
    let version = visit::version(&guest);
    let shell = guest.shell();
    let done = match Visit::new(guest) {
        Ok(visit) => act(visit).await,
        Err(fault) => Err(fault),
    };
    let mut response = match done {
        Ok(response) => response,
        Err(fault) => Fault::new(&shell, fault).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert("x-ms-version", version);
    if let Some(id) = shell.headers().get("x-ms-client-request-id").filter(|id| id.len() <= 1024) {
        headers.insert("x-ms-client-request-id", id.clone());
    }
    response
}

/// What is not offered is told to those alone who have business here.
async fn not_asked(visit: &Visit) -> Result<Response> {
    visit.arrive(&service::SEE).await?;
    Err(unsupported("this operation of the Blob service is not offered here"))
}

/// An answer without a body.
fn done(status: StatusCode) -> Response {
    let mut response = status.into_response();
    response.headers_mut().insert("content-length", HeaderValue::from_static("0"));
    response
}
