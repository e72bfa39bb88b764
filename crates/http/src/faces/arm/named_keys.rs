//! Named keys of online endpoints. Azure has none of these.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    scoring::{CreateNamedKey, ListNamedKeys, NamedKey, NamedKeyRequest, RevokeNamedKey},
};
use http::{HeaderValue, Method, StatusCode, header};
use kernel::{Error, Timestamp};
use wire::endpoint;

use super::{Fault, WORKSPACE, list};
use crate::{Doors, Guest};

/// The doors of named keys.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{WORKSPACE}/onlineEndpoints/{{endpoint}}/namedKeys");
    let one = format!("{all}/{{key}}");
    doors
        .open::<ListNamedKeys, _, _>(Method::GET, &all, list_keys)
        .open::<CreateNamedKey, _, _>(Method::PUT, &one, create_key)
        .open::<RevokeNamedKey, _, _>(Method::DELETE, &one, revoke_key)
}

fn view(key: &NamedKey) -> endpoint::NamedKey {
    endpoint::NamedKey {
        name: key.name.clone(),
        created_on: key.created_at.rfc3339(),
        expires_on: key.expires_at.map(Timestamp::rfc3339),
        deployments: key.deployments.iter().cloned().collect(),
        calls_per_minute: key.calls_a_minute,
    }
}

fn request(body: endpoint::NamedKeyInput) -> Result<NamedKeyRequest, Error> {
    let read = |text: &str| {
        Timestamp::parse_rfc3339(text)
            .ok_or_else(|| Error::invalid("expiresOn", "must be a time as in `2026-01-31T12:00:00Z`"))
    };
    Ok(NamedKeyRequest {
        expires_at: body.expires_on.as_deref().map(read).transpose()?,
        deployments: body.deployments.into_iter().collect(),
        calls_a_minute: body.calls_per_minute,
    })
}

async fn list_keys(guest: Guest) -> Result<Response, Fault> {
    let op = ListNamedKeys { endpoint: guest.resource(1)? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(view).collect()))
}

async fn create_key(guest: Guest) -> Result<Response, Fault> {
    let (endpoint, name) = (guest.resource(2)?, guest.param::<String>("key")?);
    let caller = guest.admitted::<CreateNamedKey>(&endpoint).await?;
    let house = guest.house().clone();
    let request = request(guest.json().await?)?;
    let made = enter(&house, &caller, CreateNamedKey { endpoint, name, request }).await?;
    let body = endpoint::NewNamedKey { described: view(&made.key), key: made.text.expose().clone() };
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::CREATED, no_store, axum::Json(body)).into_response())
}

async fn revoke_key(guest: Guest) -> Result<Response, Fault> {
    let op = RevokeNamedKey { endpoint: guest.resource(2)?, name: guest.param("key")? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
