//! Container registries, by the OCI Distribution Specification 1.1: `/v2/{registry}/{repository}/…`, or `/v2/{repository}/…` below a
//! host name of the registry's own. Names of repositories hold slashes, so that a path is read from its end.

mod acr;
mod blobs;
mod credential;
mod error;
mod listing;
mod manifests;
mod place;
mod token;
mod uploads;

use axum::response::{IntoResponse, Response};
use domain::registry::{
    AppendUpload, CancelUpload, DeleteManifest, DeleteRegistryBlob, ExchangeForRegistry, FinishUpload, GetManifest,
    GetRegistryBlob, GetRegistryToken, GetUpload, ListReferrers, ListRepositories, ListTags, MountBlob, PutBlobWhole,
    PutManifest, SignInToRegistry, StartUpload,
};
use http::Method;
use kernel::Result;

use crate::{Doors, Guest};
use error::Fault;
use place::{Kind, Visit};

const ANY: &str = "/v2/{registry}/{*rest}";

/// The doors of this face. What of a path is asked for is said by its end, so that one route stands for several operations.
pub fn doors(doors: Doors) -> Doors {
    doors.face(greeting).face(contents).face(acr::doors).face(tokens)
}

fn greeting(doors: Doors) -> Doors {
    let mut doors = doors;
    for path in ["/v2", "/v2/", "/v2/{registry}", "/v2/{registry}/"] {
        doors = doors.open::<SignInToRegistry, _, _>(Method::GET, path, place::greeted);
    }
    doors
}

fn contents(doors: Doors) -> Doors {
    doors
        .open::<GetManifest, _, _>(Method::GET, ANY, get)
        .open::<StartUpload, _, _>(Method::POST, ANY, post)
        .open::<AppendUpload, _, _>(Method::PATCH, ANY, patch)
        .open::<PutManifest, _, _>(Method::PUT, ANY, put)
        .open::<DeleteManifest, _, _>(Method::DELETE, ANY, delete)
        .beside::<GetRegistryBlob>(Method::GET, ANY, "blobs")
        .beside::<GetUpload>(Method::GET, ANY, "blobs/uploads")
        .beside::<ListTags>(Method::GET, ANY, "tags/list")
        .beside::<ListReferrers>(Method::GET, ANY, "referrers")
        .beside::<ListRepositories>(Method::GET, ANY, "_catalog")
        .beside::<MountBlob>(Method::POST, ANY, "mount")
        .beside::<PutBlobWhole>(Method::POST, ANY, "digest")
        .beside::<FinishUpload>(Method::PUT, ANY, "blobs/uploads")
        .beside::<CancelUpload>(Method::DELETE, ANY, "blobs/uploads")
        .beside::<DeleteRegistryBlob>(Method::DELETE, ANY, "blobs")
}

fn tokens(doors: Doors) -> Doors {
    doors
        .open::<GetRegistryToken, _, _>(Method::GET, "/oauth2/token", token::get)
        .open::<GetRegistryToken, _, _>(Method::POST, "/oauth2/token", token::post)
        .open::<ExchangeForRegistry, _, _>(Method::POST, "/oauth2/exchange", token::exchange)
}

async fn get(guest: Guest) -> Response {
    answered(guest, async |visit| match visit.kind.clone() {
        Kind::Manifest(reference) => manifests::get(visit, &reference).await,
        Kind::Blob(digest) => blobs::get(visit, &digest).await,
        Kind::Upload(id) => uploads::state(visit, id).await,
        Kind::Tags => listing::tags(visit).await,
        Kind::Referrers(subject) => listing::referrers(visit, &subject).await,
        Kind::Catalog => listing::repositories(visit).await,
        Kind::Uploads | Kind::Nothing => place::nowhere(&visit).await,
    })
    .await
}

async fn post(guest: Guest) -> Response {
    answered(guest, async |visit| match visit.kind {
        Kind::Uploads => uploads::start(visit).await,
        _ => place::nowhere(&visit).await,
    })
    .await
}

async fn patch(guest: Guest) -> Response {
    answered(guest, async |visit| match visit.kind {
        Kind::Upload(id) => uploads::append(visit, id).await,
        _ => place::nowhere(&visit).await,
    })
    .await
}

async fn put(guest: Guest) -> Response {
    answered(guest, async |visit| match visit.kind.clone() {
        Kind::Manifest(reference) => manifests::put(visit, &reference).await,
        Kind::Upload(id) => uploads::finish(visit, id).await,
        _ => place::nowhere(&visit).await,
    })
    .await
}

async fn delete(guest: Guest) -> Response {
    answered(guest, async |visit| match visit.kind.clone() {
        Kind::Manifest(reference) => manifests::delete(visit, &reference).await,
        Kind::Blob(digest) => blobs::delete(visit, &digest).await,
        Kind::Upload(id) => uploads::cancel(visit, id).await,
        _ => place::nowhere(&visit).await,
    })
    .await
}

/// What every answer carries, whatever becomes of the request.
async fn answered<F: Future<Output = Result<Response>>>(guest: Guest, act: impl FnOnce(Visit) -> F) -> Response {
    let shell = guest.shell();
    let done = match Visit::new(guest) {
        Ok(visit) => act(visit).await,
        Err(fault) => Err(fault),
    };
    let mut response = match done {
        Ok(response) => response,
        Err(fault) => Fault::new(&shell, fault).into_response(),
    };
    place::dress(&mut response);
    response
}
