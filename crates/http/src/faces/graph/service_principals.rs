//! Service principals.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    identity::{
        CreateServicePrincipal, DeleteServicePrincipal, GetApplication, GetServicePrincipal, ListServicePrincipals,
        ServicePrincipal, UpdateServicePrincipal,
    },
};
use http::{Method, StatusCode};
use kernel::{AppId, Error, Kind};
use wire::graph;

use super::{Fault, credentials, done, odata, root};
use crate::{Doors, Guest};

/// The doors of service principals.
pub(super) fn doors(doors: Doors) -> Doors {
    let (all, one) = ("/graph/v1.0/servicePrincipals", "/graph/v1.0/servicePrincipals/{principal}");
    doors
        .open::<ListServicePrincipals, _, _>(Method::GET, all, list_principals)
        .open::<CreateServicePrincipal, _, _>(Method::POST, all, create_principal)
        .open::<GetServicePrincipal, _, _>(Method::GET, one, get_principal)
        .open::<UpdateServicePrincipal, _, _>(Method::PATCH, one, update_principal)
        .open::<DeleteServicePrincipal, _, _>(Method::DELETE, one, delete_principal)
}

fn view(principal: &ServicePrincipal) -> graph::ServicePrincipal {
    let kind = if principal.managed_by.is_some() { "ManagedIdentity" } else { "Application" };
    graph::ServicePrincipal {
        id: principal.id.to_string(),
        app_id: principal.app.map(|app| app.to_string()),
        display_name: principal.name.clone(),
        service_principal_type: String::from(kind),
        account_enabled: principal.is_enabled,
        created_date_time: principal.created_at.rfc3339(),
        alternative_names: principal.managed_by.iter().map(ToString::to_string).collect(),
        password_credentials: principal.secrets.iter().map(credentials::view_secret).collect(),
        key_credentials: principal.certificates.iter().map(credentials::view_certificate).collect(),
    }
}

async fn list_principals(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<ListServicePrincipals>(&root()).await?;
    let found = enter(guest.house(), &caller, ListServicePrincipals { listing: odata::listing(&guest)? }).await?;
    Ok(odata::page(&guest, found, view)?)
}

async fn create_principal(guest: Guest) -> Result<Response, Fault> {
    let house = guest.house().clone();
    let caller = guest.admitted::<CreateServicePrincipal>(&root()).await?;
    let body: graph::NewServicePrincipal = guest.json().await?;
    if let Some(app) = body.app_id {
        let app: AppId = app.parse().map_err(|why| Error::invalid("appId", why))?;
        let found = enter(&house, &caller, GetApplication { app }).await?;
        let why = format!("application `{app}` has its service principal already: object id `{}`", found.principal);
        return Err(Error::new(Kind::Exists, why).into());
    }
    let name = body.display_name.ok_or_else(|| Error::invalid("displayName", "is needed"))?;
    let made = enter(&house, &caller, CreateServicePrincipal { name }).await?;
    let mut shown = view(&made.principal);
    shown.password_credentials = vec![credentials::view_new(&made)];
    Ok((StatusCode::CREATED, axum::Json(shown)).into_response())
}

async fn get_principal(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<GetServicePrincipal>(&root()).await?;
    let op = GetServicePrincipal { principal: guest.param("principal")? };
    let found = enter(guest.house(), &caller, op).await?;
    Ok(odata::entity(&guest, StatusCode::OK, &view(&found))?)
}

async fn update_principal(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<UpdateServicePrincipal>(&root()).await?;
    let (house, principal) = (guest.house().clone(), guest.param("principal")?);
    let body: graph::ServicePrincipalForm = guest.json().await?;
    let op = UpdateServicePrincipal { principal, name: body.display_name, is_enabled: body.account_enabled };
    enter(&house, &caller, op).await?;
    Ok(done())
}

async fn delete_principal(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<DeleteServicePrincipal>(&root()).await?;
    let op = DeleteServicePrincipal { principal: guest.param("principal")? };
    enter(guest.house(), &caller, op).await?;
    Ok(done())
}
