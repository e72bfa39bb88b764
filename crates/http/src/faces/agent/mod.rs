//! What agents call: `/agent/v1/runs/{run}/…`, as `wire::agent` says.

mod error;
mod view;

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use domain::{
    compute::{
        AgentAddress, AppendLog, FinishRun, GetRunFile, GetRunIdentityToken, GetRunInput, GetRunLayer, GetRunSecrets,
        Heartbeat, PutRunArtifact, ReportStatus, StartRun,
    },
    gate::{ByteStream, Op, enter},
    identity::IdentityChoice,
};
use http::{HeaderValue, Method, StatusCode, header};
use kernel::{Caller, Error, Kind, ResourceId, Result, Secret, Who};
use wire::agent;

use self::{error::Fault, view::state_of};
use crate::{Doors, Guest, guest::parse_json};

/// The doors of this face.
pub fn doors(doors: Doors) -> Doors {
    let run = "/agent/v1/runs/{run}";
    doors
        .open::<StartRun, _, _>(Method::POST, &format!("{run}/start"), start_run)
        .open::<GetRunFile, _, _>(Method::GET, &format!("{run}/files/{{sha256}}"), get_file)
        .open::<GetRunInput, _, _>(Method::GET, &format!("{run}/inputs/{{name}}/{{index}}"), get_input)
        .open::<GetRunLayer, _, _>(Method::GET, &format!("{run}/layers/{{digest}}"), get_layer)
        .open::<ReportStatus, _, _>(Method::POST, &format!("{run}/status"), report_status)
        .open::<Heartbeat, _, _>(Method::POST, &format!("{run}/heartbeat"), heartbeat)
        .open::<AppendLog, _, _>(Method::POST, &format!("{run}/logs/{{*name}}"), append_log)
        .open::<PutRunArtifact, _, _>(Method::PUT, &format!("{run}/artifacts/{{*path}}"), put_artifact)
        .open::<GetRunIdentityToken, _, _>(Method::GET, &format!("{run}/identity"), get_identity_token)
        .open::<GetRunSecrets, _, _>(Method::GET, &format!("{run}/secrets"), get_secrets)
        .open::<FinishRun, _, _>(Method::POST, &format!("{run}/finish"), finish_run)
}

/// Who asks, before any body is read: the run in the address, and the workspace of the caller's own token. Callers that are
/// no run are looked up at the root, where the gate judges them, and refused behind it.
async fn admitted<O: Op>(guest: &Guest) -> Result<(Caller, AgentAddress)> {
    let scope = match guest.caller().await?.who {
        Who::Run(run) => run.scope,
        Who::Principal(_) | Who::Keyed(_) | Who::House | Who::Nobody => ResourceId::root(),
    };
    let caller = guest.admitted::<O>(&scope).await?;
    Ok((caller, AgentAddress { run: guest.param("run")?, scope }))
}

fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

async fn start_run(guest: Guest) -> Result<Response, Fault> {
    let missing = || Error::new(Kind::Unauthenticated, "a bootstrap token is required");
    let token = Secret::new(guest.bearer().ok_or_else(missing)?.to_owned());
    let (house, caller, run) = (guest.house().clone(), Caller::nobody(guest.source()), guest.param("run")?);
    // A few short fields; whoever asks is nobody yet.
    let body: agent::Start = parse_json(&guest.bytes_to(16 * 1024).await?)?;
    let scratch = body.scratch.map(|scratch| view::swap_of(scratch.swap));
    let op = StartRun { run, token, version: body.version, missing_walls: body.missing_walls, scratch };
    let assignment = enter(&house, &caller, op).await?;
    Ok(axum::Json(view::assignment(assignment)).into_response())
}

async fn get_file(guest: Guest) -> Result<Response, Fault> {
    let (caller, address) = admitted::<GetRunFile>(&guest).await?;
    let op = GetRunFile { address, sha256: guest.param("sha256")? };
    let (body, length) = enter(guest.house(), &caller, op).await?;
    Ok(bytes(body, length))
}

async fn get_input(guest: Guest) -> Result<Response, Fault> {
    let (caller, address) = admitted::<GetRunInput>(&guest).await?;
    let op = GetRunInput { address, name: guest.param("name")?, index: guest.param("index")? };
    let (body, length) = enter(guest.house(), &caller, op).await?;
    Ok(bytes(body, length))
}

async fn get_layer(guest: Guest) -> Result<Response, Fault> {
    let (caller, address) = admitted::<GetRunLayer>(&guest).await?;
    let op = GetRunLayer { address, digest: guest.param("digest")? };
    let (body, length) = enter(guest.house(), &caller, op).await?;
    Ok(bytes(body, length))
}

fn bytes(body: ByteStream, length: u64) -> Response {
    let mut response = axum::body::Body::from_stream(body).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}

async fn report_status(guest: Guest) -> Result<Response, Fault> {
    let (house, (caller, address)) = (guest.house().clone(), admitted::<ReportStatus>(&guest).await?);
    let body: agent::Status = guest.json().await?;
    enter(&house, &caller, ReportStatus { address, state: state_of(body.state), message: body.message }).await?;
    Ok(done())
}

async fn heartbeat(guest: Guest) -> Result<Response, Fault> {
    let (house, (caller, address)) = (guest.house().clone(), admitted::<Heartbeat>(&guest).await?);
    let body: agent::Heartbeat = guest.json().await?;
    let op = Heartbeat { address, wait: Duration::from_secs(body.wait_seconds) };
    let orders = enter(&house, &caller, op).await?;
    Ok(axum::Json(view::orders(orders)).into_response())
}

async fn append_log(guest: Guest) -> Result<Response, Fault> {
    let (house, (caller, address)) = (guest.house().clone(), admitted::<AppendLog>(&guest).await?);
    let name = guest.param("name")?;
    let offset = guest.query("offset").and_then(|text| text.parse().ok());
    let offset = offset.ok_or_else(|| Error::invalid("offset", "must be a number of bytes"))?;
    let op = AppendLog { address, name, offset, bytes: guest.bytes().await? };
    enter(&house, &caller, op).await?;
    Ok(done())
}

async fn put_artifact(guest: Guest) -> Result<Response, Fault> {
    let (house, (caller, address)) = (guest.house().clone(), admitted::<PutRunArtifact>(&guest).await?);
    let path = guest.param("path")?;
    enter(&house, &caller, PutRunArtifact { address, path, body: guest.stream() }).await?;
    Ok(done())
}

async fn get_identity_token(guest: Guest) -> Result<Response, Fault> {
    let (caller, address) = admitted::<GetRunIdentityToken>(&guest).await?;
    let choice = IdentityChoice {
        client: guest.query("client_id"),
        object: guest.query("object_id"),
        resource: guest.query("msi_res_id"),
    };
    let resource = guest.query("resource").ok_or_else(|| Error::invalid("resource", "is required"))?;
    let op = GetRunIdentityToken { address, resource, choice };
    let (token, client) = enter(guest.house(), &caller, op).await?;
    let view = agent::IdentityToken {
        access_token: token.token.expose().clone(),
        expires_in: token.expires_in,
        expires_on: token.expires_on,
        not_before: token.expires_on.saturating_sub(token.expires_in).saturating_sub(1),
        resource: token.resource,
        client_id: client.to_string(),
    };
    Ok(axum::Json(view).into_response())
}

async fn get_secrets(guest: Guest) -> Result<Response, Fault> {
    let (caller, address) = admitted::<GetRunSecrets>(&guest).await?;
    let found = enter(guest.house(), &caller, GetRunSecrets { address }).await?;
    let values = found.into_iter().map(|(variable, value)| (variable, value.expose().clone())).collect();
    Ok(axum::Json(agent::Secrets { values }).into_response())
}

async fn finish_run(guest: Guest) -> Result<Response, Fault> {
    let (house, (caller, address)) = (guest.house().clone(), admitted::<FinishRun>(&guest).await?);
    let body: agent::Finish = guest.json().await?;
    let op = FinishRun {
        address,
        state: state_of(body.state),
        exit_code: body.exit_code,
        message: body.message,
        missing_walls: body.missing_walls,
        is_scratch_cleared: body.scratch_cleared == Some(true),
    };
    enter(&house, &caller, op).await?;
    Ok(done())
}
