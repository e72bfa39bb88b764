//! The directory: service principals, in the form of Microsoft Graph.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    identity::{
        AddClientSecret, CreateServicePrincipal, GetServicePrincipal, ListServicePrincipals, NewSecret,
        RotateSigningKeys, ServicePrincipal,
    },
};
use http::{Method, StatusCode};
use kernel::ResourceId;
use wire::graph;

use super::arm::Fault;
use crate::{Doors, Guest};

/// The doors of this face.
pub fn doors(doors: Doors) -> Doors {
    let all = "/graph/v1.0/servicePrincipals";
    let one = "/graph/v1.0/servicePrincipals/{principal}";
    let add = "/graph/v1.0/servicePrincipals/{principal}/addPassword";
    doors
        .open::<ListServicePrincipals, _, _>(Method::GET, all, list_principals)
        .open::<CreateServicePrincipal, _, _>(Method::POST, all, create_principal)
        .open::<GetServicePrincipal, _, _>(Method::GET, one, get_principal)
        .open::<AddClientSecret, _, _>(Method::POST, add, add_secret)
        .open::<RotateSigningKeys, _, _>(Method::POST, "/graph/v1.0/signingKeys/rotate", rotate_keys)
}

fn view(principal: &ServicePrincipal, fresh: Option<&str>) -> graph::ServicePrincipal {
    let last = principal.secrets.len().saturating_sub(1);
    let secrets = principal.secrets.iter().enumerate().map(|(at, (id, hint, end))| graph::PasswordCredential {
        key_id: id.to_string(),
        hint: hint.clone(),
        end_date_time: end.rfc3339(),
        // The newest is the last; only its text is known, and only now.
        secret_text: fresh.filter(|_| at == last).map(str::to_owned),
    });
    graph::ServicePrincipal {
        id: principal.id.to_string(),
        app_id: principal.app.to_string(),
        display_name: principal.name.clone(),
        service_principal_type: String::from("Application"),
        password_credentials: secrets.collect(),
    }
}

fn created(made: &NewSecret) -> Response {
    (StatusCode::CREATED, axum::Json(view(&made.principal, Some(made.secret.expose())))).into_response()
}

async fn list_principals(guest: Guest) -> Result<Response, Fault> {
    let found = enter(guest.house(), &guest.caller().await?, ListServicePrincipals).await?;
    let value = found.iter().map(|principal| view(principal, None)).collect();
    Ok(axum::Json(graph::List { value }).into_response())
}

async fn create_principal(guest: Guest) -> Result<Response, Fault> {
    let house = guest.house().clone();
    let caller = guest.admitted::<CreateServicePrincipal>(&ResourceId::root()).await?;
    let body: graph::NewServicePrincipal = guest.json().await?;
    let made = enter(&house, &caller, CreateServicePrincipal { name: body.display_name }).await?;
    Ok(created(&made))
}

async fn get_principal(guest: Guest) -> Result<Response, Fault> {
    let op = GetServicePrincipal { principal: guest.param("principal")? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view(&found, None)).into_response())
}

async fn add_secret(guest: Guest) -> Result<Response, Fault> {
    let op = AddClientSecret { principal: guest.param("principal")? };
    let made = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(created(&made))
}

async fn rotate_keys(guest: Guest) -> Result<Response, Fault> {
    let kid = enter(guest.house(), &guest.caller().await?, RotateSigningKeys).await?;
    Ok(axum::Json(serde_json::json!({"kid": kid})).into_response())
}
