//! Online endpoints: their form of proof, keys, tokens and records of calls.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{House, enter},
    scoring::{
        DeleteEndpoint, EndpointRequest, EndpointView, Form, GetEndpoint, IssueServiceToken, KeyPair, ListEndpoints,
        ListRequests, ListServiceKeys, PutEndpoint, RegenerateServiceKey, RequestRecord, flush_requests,
    },
};
use http::{Method, StatusCode};
use kernel::{Error, Kind, Secret};
use wire::{arm, endpoint};

use super::{Fault, WORKSPACE, list, named, precondition, show};
use crate::{Doors, Guest};

/// The doors of endpoints.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{WORKSPACE}/onlineEndpoints");
    let one = format!("{all}/{{endpoint}}");
    doors
        .open::<ListEndpoints, _, _>(Method::GET, &all, list_endpoints)
        .open::<GetEndpoint, _, _>(Method::GET, &one, get_endpoint)
        .open::<PutEndpoint, _, _>(Method::PUT, &one, put_endpoint)
        .open::<PutEndpoint, _, _>(Method::PATCH, &one, patch_endpoint)
        .open::<DeleteEndpoint, _, _>(Method::DELETE, &one, delete_endpoint)
        .open::<ListServiceKeys, _, _>(Method::POST, &format!("{one}/listKeys"), list_keys)
        .open::<RegenerateServiceKey, _, _>(Method::POST, &format!("{one}/regenerateKeys"), regenerate_key)
        .open::<IssueServiceToken, _, _>(Method::POST, &format!("{one}/token"), issue_token)
        .open::<ListRequests, _, _>(Method::GET, &format!("{one}/requests"), list_requests)
}

fn view(house: &House, found: &EndpointView) -> arm::Resource<endpoint::Endpoint> {
    let resource = &found.row.value;
    let base = format!("{}/api/v1/service/{}/{}", house.settings().url, found.workspace, resource.id.name());
    let properties = endpoint::Endpoint {
        auth_mode: resource.properties.form.map(|form| form.word().to_owned()),
        description: resource.properties.description.clone(),
        scoring_uri: format!("{base}/score"),
        swagger_uri: format!("{base}/swagger.json"),
        traffic: resource.properties.traffic.clone(),
        mirror_traffic: BTreeMap::new(),
        default_deployment: resource.properties.default_deployment.clone(),
        named_keys_enabled: resource.properties.named_keys,
        properties: resource.properties.properties.clone(),
        compute_type: found.kind.map(|kind| kind.word().to_owned()),
        provisioning_state: String::from("Succeeded"),
        public_network_access: String::from("Enabled"),
    };
    show(&found.row, properties)
}

/// Keys that a caller chose.
pub(super) fn key_pair(keys: Option<endpoint::Keys>) -> Result<Option<KeyPair>, Error> {
    keys.map(|keys| KeyPair::supplied(Secret::new(keys.primary_key), Secret::new(keys.secondary_key))).transpose()
}

fn form(word: &str) -> Result<Form, Error> {
    match word.to_ascii_lowercase().as_str() {
        "key" => Ok(Form::Key),
        "amltoken" => Ok(Form::Token),
        "none" => Ok(Form::Off),
        "aadtoken" => {
            let why = "`properties.authMode`: directory tokens are not supported; use `Key` or `AMLToken`";
            Err(Error::new(Kind::Unsupported, why))
        }
        _ => Err(Error::invalid("properties.authMode", "must be `Key`, `AMLToken` or `None`")),
    }
}

fn request(body: endpoint::Put<endpoint::EndpointInput>) -> Result<EndpointRequest, Error> {
    let input = body.properties;
    if input.mirror_traffic.is_some_and(|shares| shares.values().any(|share| *share > 0)) {
        return Err(Error::new(Kind::Unsupported, "`properties.mirrorTraffic`: mirroring is not supported"));
    }
    Ok(EndpointRequest {
        location: body.location,
        tags: body.tags,
        description: input.description,
        form: input.auth_mode.as_deref().map(form).transpose()?,
        keys: key_pair(input.keys)?,
        traffic: input.traffic,
        percentiles: input.traffic_percentile,
        default_deployment: input.default_deployment,
        named_keys: input.named_keys_enabled,
        properties: input.properties,
    })
}

async fn list_endpoints(guest: Guest) -> Result<Response, Fault> {
    let op = ListEndpoints { workspace: guest.workspace()? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(|endpoint| view(guest.house(), endpoint)).collect()))
}

async fn get_endpoint(guest: Guest) -> Result<Response, Fault> {
    let found = enter(guest.house(), &guest.caller().await?, GetEndpoint { id: guest.resource(0)? }).await?;
    Ok(named(StatusCode::OK, view(guest.house(), &found)))
}

async fn put_endpoint(guest: Guest) -> Result<Response, Fault> {
    write(guest, false).await
}

async fn patch_endpoint(guest: Guest) -> Result<Response, Fault> {
    write(guest, true).await
}

/// Done at once: the final body comes with the answer, and nothing needs polling.
async fn write(guest: Guest, must_exist: bool) -> Result<Response, Fault> {
    let (caller, id, precondition) = (guest.caller().await?, guest.resource(0)?, precondition(&guest)?);
    let house = guest.house().clone();
    let request = request(guest.json().await?)?;
    let made = enter(&house, &caller, PutEndpoint { id, request, must_exist, precondition }).await?;
    let status = if made.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(named(status, view(&house, &made)))
}

async fn delete_endpoint(guest: Guest) -> Result<Response, Fault> {
    enter(guest.house(), &guest.caller().await?, DeleteEndpoint { id: guest.resource(0)? }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn list_keys(guest: Guest) -> Result<Response, Fault> {
    let op = ListServiceKeys { endpoint: guest.resource(1)? };
    let keys = enter(guest.house(), &guest.caller().await?, op).await?;
    let body =
        endpoint::Keys { primary_key: keys.primary.expose().clone(), secondary_key: keys.secondary.expose().clone() };
    Ok(axum::Json(body).into_response())
}

async fn regenerate_key(guest: Guest) -> Result<Response, Fault> {
    let endpoint = guest.resource(1)?;
    let caller = guest.admitted::<RegenerateServiceKey>(&endpoint).await?;
    let house = guest.house().clone();
    let body: endpoint::RegenerateKeys = guest.json().await?;
    let value = body.key_value.filter(|value| !value.is_empty()).map(Secret::new);
    let op = RegenerateServiceKey { endpoint, key: body.key_type.parse()?, value };
    enter(&house, &caller, op).await?;
    Ok(StatusCode::OK.into_response())
}

async fn issue_token(guest: Guest) -> Result<Response, Fault> {
    let op = IssueServiceToken { endpoint: guest.resource(1)? };
    let token = enter(guest.house(), &guest.caller().await?, op).await?;
    let body = endpoint::Token {
        access_token: token.token.expose().clone(),
        token_type: String::from("Bearer"),
        expiry_time_utc: token.expires_on,
        refresh_after_time_utc: token.refresh_after,
        expiry_on: token.expires_on,
        refresh_after: token.refresh_after,
    };
    Ok(axum::Json(body).into_response())
}

async fn list_requests(guest: Guest) -> Result<Response, Fault> {
    let endpoint = guest.resource(1)?;
    let caller = guest.admitted::<ListRequests>(&endpoint).await?;
    let top = guest.query("$top").map(|top| top.parse::<usize>()).transpose();
    let top = top.map_err(|_| Error::invalid("$top", "must be a number"))?;
    // What was called until now shall be seen by whoever asks now.
    flush_requests(guest.house()).await?;
    let op = ListRequests { endpoint, most: top.unwrap_or(100).min(10_000) };
    let found = enter(guest.house(), &caller, op).await?;
    Ok(list(found.iter().map(view_request).collect()))
}

fn view_request(record: &RequestRecord) -> endpoint::Request {
    let micros = u32::try_from(record.micros).map_or(f64::from(u32::MAX), f64::from);
    endpoint::Request {
        time_generated: record.at.rfc3339(),
        http_method: record.method.clone(),
        user_agent: record.user_agent.clone(),
        compute_type: record.compute_type.clone(),
        request_url: record.url.clone(),
        status_code: record.status,
        request_id: record.request.to_string(),
        duration: micros / 1000.0,
        caller: record.caller.clone(),
        deployment: record.deployment.clone(),
        model: record.model.clone(),
        model_digest: record.model_digest.clone(),
    }
}
