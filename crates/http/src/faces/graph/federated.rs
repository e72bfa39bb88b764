//! Federated identity credentials: whose tokens stand for an application.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    identity::{
        AddFederatedCredential, FederatedCredential, FederatedCredentialForm, ListFederatedCredentials,
        RemoveFederatedCredential, UpdateFederatedCredential,
    },
};
use http::{Method, StatusCode};
use kernel::Error;
use wire::graph;

use super::{Fault, done, odata, root};
use crate::{Doors, Guest};

/// The doors of federated credentials.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = "/graph/v1.0/applications/{app}/federatedIdentityCredentials";
    let one = "/graph/v1.0/applications/{app}/federatedIdentityCredentials/{credential}";
    doors
        .open::<ListFederatedCredentials, _, _>(Method::GET, all, list_credentials)
        .open::<AddFederatedCredential, _, _>(Method::POST, all, add_credential)
        .open::<ListFederatedCredentials, _, _>(Method::GET, one, get_credential)
        .open::<UpdateFederatedCredential, _, _>(Method::PATCH, one, update_credential)
        .open::<RemoveFederatedCredential, _, _>(Method::DELETE, one, remove_credential)
}

fn view(credential: &FederatedCredential) -> graph::FederatedCredential {
    graph::FederatedCredential {
        id: credential.id.to_string(),
        name: credential.name.clone(),
        issuer: credential.issuer.clone(),
        subject: credential.subject.clone(),
        audiences: vec![credential.audience.clone()],
    }
}

fn form(body: graph::FederatedCredentialForm) -> Result<FederatedCredentialForm, Error> {
    let audience = match body.audiences {
        None => None,
        Some(mut audiences) => {
            let only = audiences.pop().filter(|_| audiences.is_empty());
            Some(only.ok_or_else(|| Error::invalid("audiences", "must be exactly one"))?)
        }
    };
    Ok(FederatedCredentialForm { name: body.name, issuer: body.issuer, subject: body.subject, audience })
}

async fn list_credentials(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<ListFederatedCredentials>(&root()).await?;
    let op = ListFederatedCredentials { app: guest.param("app")?, credential: None };
    let found = enter(guest.house(), &caller, op).await?;
    let value = found.iter().map(view).collect();
    Ok(axum::Json(graph::List { value, next_link: None }).into_response())
}

async fn get_credential(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<ListFederatedCredentials>(&root()).await?;
    let op = ListFederatedCredentials { app: guest.param("app")?, credential: Some(guest.param("credential")?) };
    let found = enter(guest.house(), &caller, op).await?;
    let one = found.first().ok_or_else(|| Error::not_found("the federated credential"))?;
    Ok(odata::entity(&guest, StatusCode::OK, &view(one))?)
}

async fn add_credential(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<AddFederatedCredential>(&root()).await?;
    let (house, app) = (guest.house().clone(), guest.param("app")?);
    let made = enter(&house, &caller, AddFederatedCredential { app, form: form(guest.json().await?)? }).await?;
    Ok((StatusCode::CREATED, axum::Json(view(&made))).into_response())
}

async fn update_credential(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<UpdateFederatedCredential>(&root()).await?;
    let (house, app, credential) = (guest.house().clone(), guest.param("app")?, guest.param("credential")?);
    let form = form(guest.json().await?)?;
    enter(&house, &caller, UpdateFederatedCredential { app, credential, form }).await?;
    Ok(done())
}

async fn remove_credential(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<RemoveFederatedCredential>(&root()).await?;
    let op = RemoveFederatedCredential { app: guest.param("app")?, credential: guest.param("credential")? };
    enter(guest.house(), &caller, op).await?;
    Ok(done())
}
