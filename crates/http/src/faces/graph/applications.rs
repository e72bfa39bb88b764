//! Applications.

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    gate::enter,
    identity::{
        CertificateEntry, CreateApplication, DeleteApplication, GetApplication, ListApplications, NewApplication,
        Registration, UpdateApplication,
    },
};
use http::{Method, StatusCode};
use kernel::{AppId, Error, Kind};
use wire::graph;

use super::{Fault, credentials, done, odata, root};
use crate::{Doors, Guest};

/// The doors of applications.
pub(super) fn doors(doors: Doors) -> Doors {
    let (all, one) = ("/graph/v1.0/applications", "/graph/v1.0/applications/{app}");
    doors
        .open::<ListApplications, _, _>(Method::GET, all, list_applications)
        .open::<CreateApplication, _, _>(Method::POST, all, create_application)
        .open::<GetApplication, _, _>(Method::GET, one, get_application)
        .open::<UpdateApplication, _, _>(Method::PATCH, one, update_application)
        .open::<DeleteApplication, _, _>(Method::DELETE, one, delete_application)
}

fn view(registration: &Registration) -> graph::Application {
    let uris = |is_theirs: bool| graph::RedirectUris {
        redirect_uris: if is_theirs { registration.redirect_uris.clone() } else { Vec::new() },
    };
    graph::Application {
        id: registration.app.to_string(),
        app_id: registration.app.to_string(),
        service_principal_id: registration.principal.to_string(),
        display_name: registration.name.clone(),
        created_date_time: registration.created_at.rfc3339(),
        sign_in_audience: String::from("AzureADMyOrg"),
        is_fallback_public_client: registration.is_public,
        without_pkce: registration.without_pkce,
        web: uris(!registration.is_public),
        public_client: uris(registration.is_public),
        password_credentials: registration.secrets.iter().map(credentials::view_secret).collect(),
        key_credentials: registration.certificates.iter().map(credentials::view_certificate).collect(),
    }
}

fn form(body: graph::ApplicationForm) -> Result<NewApplication, Error> {
    if body.sign_in_audience.is_some_and(|audience| audience != "AzureADMyOrg") {
        let why = "there is one tenant here: `signInAudience` is `AzureADMyOrg`";
        return Err(Error::new(Kind::Unsupported, why));
    }
    let uris = |given: Option<graph::RedirectUris>| given.map(|uris| uris.redirect_uris);
    let redirect_uris = match (uris(body.web), uris(body.public_client)) {
        // Clients send back what they read, and one of the two is always empty.
        (Some(web), Some(public)) if !web.is_empty() && !public.is_empty() => {
            let why = "an application is either: give addresses under `web` or under `publicClient`";
            return Err(Error::new(Kind::Unsupported, why));
        }
        (Some(web), Some(public)) => Some([web, public].concat()),
        (web, public) => web.or(public),
    };
    let entries = body.key_credentials.map(|given| given.into_iter().map(entry).collect::<Result<_, _>>());
    Ok(NewApplication {
        name: body.display_name,
        is_public: body.is_fallback_public_client,
        without_pkce: body.without_pkce,
        redirect_uris,
        certificates: entries.transpose()?,
    })
}

/// A certificate that stays, or one to be added.
pub(super) fn entry(given: graph::KeyCredentialForm) -> Result<CertificateEntry, Error> {
    let is_certificate = given.kind.is_none_or(|kind| kind == "AsymmetricX509Cert");
    if !is_certificate || given.usage.is_some_and(|usage| usage != "Verify") {
        let why = "`keyCredential` is a certificate: `type` `AsymmetricX509Cert`, `usage` `Verify`";
        return Err(Error::new(Kind::Unsupported, why));
    }
    match (given.key, given.key_id) {
        (Some(key), _) => {
            let document = STANDARD.decode(key.trim()).map_err(|_| Error::invalid("key", "must be base64"))?;
            Ok(CertificateEntry::New { name: given.display_name.unwrap_or_default(), document })
        }
        (None, Some(id)) => {
            let id = id.parse().map_err(|_| Error::invalid("keyId", "must be a GUID"))?;
            Ok(CertificateEntry::Kept(id))
        }
        (None, None) => Err(Error::invalid("key", "is needed: base64 of the certificate")),
    }
}

async fn list_applications(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<ListApplications>(&root()).await?;
    let found = enter(guest.house(), &caller, ListApplications { listing: odata::listing(&guest)? }).await?;
    Ok(odata::page(&guest, found, view)?)
}

async fn create_application(guest: Guest) -> Result<Response, Fault> {
    let house = guest.house().clone();
    let caller = guest.admitted::<CreateApplication>(&root()).await?;
    let made = enter(&house, &caller, CreateApplication { form: form(guest.json().await?)? }).await?;
    Ok((StatusCode::CREATED, axum::Json(view(&made))).into_response())
}

async fn get_application(guest: Guest) -> Result<Response, Fault> {
    let found = enter(
        guest.house(),
        &guest.admitted::<GetApplication>(&root()).await?,
        GetApplication { app: guest.param("app")? },
    )
    .await?;
    Ok(odata::entity(&guest, StatusCode::OK, &view(&found))?)
}

async fn update_application(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<UpdateApplication>(&root()).await?;
    let (house, app): (_, AppId) = (guest.house().clone(), guest.param("app")?);
    enter(&house, &caller, UpdateApplication { app, form: form(guest.json().await?)? }).await?;
    Ok(done())
}

async fn delete_application(guest: Guest) -> Result<Response, Fault> {
    enter(
        guest.house(),
        &guest.admitted::<DeleteApplication>(&root()).await?,
        DeleteApplication { app: guest.param("app")? },
    )
    .await?;
    Ok(done())
}
