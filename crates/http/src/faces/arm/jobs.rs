//! Command jobs: submit, look, cancel; their logs and outputs.

mod view;

use std::{fmt::Display, str::FromStr, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use domain::{
    compute::{
        CancelJob, GetJob, GetJobLog, IdentityWanted, JobIdentity, ListJobLogs, ListJobOutputs, ListJobs, NewJob,
        PutJob,
    },
    data_assets::{DataKind, InputWanted},
    gate::enter,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use kernel::{Error, Kind, ResourceId};
use serde_json::Value;
use wire::{arm, job};

use super::{Fault, WORKSPACE, list, named};
use crate::{Doors, Guest};

/// Jobs of a page, when the client does not say.
const PAGE: usize = 100;
/// Files of a page, when the client does not say; also the most.
const FILES: usize = 1000;

/// The doors of jobs.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{WORKSPACE}/jobs");
    let one = format!("{WORKSPACE}/jobs/{{name}}");
    doors
        .open::<ListJobs, _, _>(Method::GET, &all, list_jobs)
        .open::<PutJob, _, _>(Method::PUT, &one, put_job)
        .open::<GetJob, _, _>(Method::GET, &one, get_job)
        .open::<CancelJob, _, _>(Method::POST, &format!("{one}/cancel"), cancel_job)
        .open::<GetJob, _, _>(Method::GET, &format!("{one}/cancellation"), get_cancellation)
        .open::<ListJobLogs, _, _>(Method::GET, &format!("{one}/logs"), list_logs)
        .open::<GetJobLog, _, _>(Method::GET, &format!("{one}/logs/{{*log}}"), get_log)
        .open::<ListJobOutputs, _, _>(Method::GET, &format!("{one}/outputs"), list_outputs)
}

/// The job in an address that goes on below it.
fn job_id(guest: &Guest) -> Result<ResourceId, Error> {
    let name: String = guest.param("name")?;
    guest.workspace()?.child(["jobs", name.as_str()]).map_err(|_| Error::not_found("the job in the address"))
}

/// A number in the query, if it is there.
fn number<T: FromStr<Err: Display>>(guest: &Guest, name: &str) -> Result<Option<T>, Error> {
    guest.query(name).map(|text| text.parse()).transpose().map_err(|why| Error::invalid(name, why))
}

fn unsupported(field: &str, why: &str) -> Error {
    Error::new(Kind::Unsupported, format!("`properties.{field}`: {why}"))
}

/// Refuses what is understood and not offered.
fn refuse_what_is_not_offered(input: &job::JobInput) -> Result<(), Error> {
    if !input.job_type.eq_ignore_ascii_case("command") {
        return Err(unsupported("jobType", "only `Command` jobs are supported"));
    }
    if input.environment_id.as_deref().is_some_and(|id| !id.is_empty()) {
        let why =
            "environments are not supported; `requirements.txt` at the root of the snapshot says what is installed";
        return Err(unsupported("environmentId", why));
    }
    if input.outputs.as_ref().is_some_and(|outputs| !outputs.is_empty()) {
        return Err(unsupported("outputs", "named outputs are not supported; files in `./outputs` are kept"));
    }
    if input.distribution.as_ref().is_some_and(|value| !value.is_null()) {
        return Err(unsupported("distribution", "distributed jobs are not supported"));
    }
    let instances = input.resources.as_ref().and_then(|resources| resources.instance_count);
    if instances.is_some_and(|count| count > 1) {
        return Err(unsupported("resources.instanceCount", "a job runs on one instance"));
    }
    Ok(())
}

/// A literal as the shell will see it.
fn literal(name: &str, input: job::JobInputValue) -> Result<(String, String), Error> {
    let field = format!("inputs.{name}");
    if input.job_input_type != "literal" {
        return Err(unsupported(&field, "only `literal`, `uri_file`, `uri_folder` and `mltable` inputs are supported"));
    }
    match input.value {
        Some(Value::String(text)) => Ok((name.to_owned(), text)),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok((name.to_owned(), value.to_string())),
        _ => Err(Error::invalid(format!("properties.{field}"), "`value` must be text, a number or a truth value")),
    }
}

/// Whether an input is data.
fn is_data(input: &job::JobInputValue) -> bool {
    DataKind::parse("jobInputType", &input.job_input_type).is_ok()
}

/// Data, as the client names it.
fn data(name: &str, input: job::JobInputValue) -> Result<(String, InputWanted), Error> {
    let field = format!("inputs.{name}");
    let mode = input.mode.unwrap_or_default().to_ascii_lowercase();
    if !matches!(mode.as_str(), "" | "download" | "readonlymount") {
        return Err(unsupported(&format!("{field}.mode"), "only `Download` and `ReadOnlyMount` are supported"));
    }
    let kind = DataKind::parse(&format!("properties.{field}.jobInputType"), &input.job_input_type)?;
    let asset = input.uri.unwrap_or_default();
    Ok((name.to_owned(), InputWanted { asset, kind: Some(kind) }))
}

/// Whom the code acts as.
fn identity(input: job::JobIdentity) -> Result<JobIdentity, Error> {
    match input.identity_type.to_ascii_lowercase().as_str() {
        "amltoken" => Ok(JobIdentity::RunOnly),
        "managed" => {
            let resource = input.resource_id.filter(|id| !id.is_empty()).map(|id| id.parse()).transpose();
            let resource = resource.map_err(|why| Error::invalid("properties.identity.resourceId", why))?;
            Ok(JobIdentity::Managed(IdentityWanted { client: input.client_id, object: input.object_id, resource }))
        }
        "useridentity" => {
            let why =
                "a compute target never gets a person's token; use `Managed` with an identity that has the rights";
            Err(unsupported("identity", why))
        }
        _ => Err(Error::invalid("properties.identity.identityType", "must be `AMLToken` or `Managed`")),
    }
}

fn new_job(workspace: &ResourceId, body: arm::Put<job::JobInput>) -> Result<NewJob, Error> {
    let input = body.properties;
    refuse_what_is_not_offered(&input)?;
    let hbi = high_impact(&input)?;
    let compute = match input.compute_id.as_deref().filter(|id| !id.is_empty()) {
        // A bare name is a target of the same workspace.
        Some(name) if !name.contains('/') => workspace.child(["computes", name]).map(Some),
        Some(id) => id.parse().map(Some),
        None => Ok(None),
    };
    let compute = compute.map_err(|why| Error::invalid("properties.computeId", why))?;
    let code = input.code_id.filter(|id| !id.is_empty());
    let code = code.map(|id| id.parse()).transpose().map_err(|why| Error::invalid("properties.codeId", why))?;
    let (assets, inputs): (Vec<_>, Vec<_>) =
        input.inputs.unwrap_or_default().into_iter().partition(|(_, input)| is_data(input));
    let resources = input.resources.unwrap_or_default();
    let tags = input.tags.unwrap_or_default().into_iter().map(|(key, value)| (key, value.unwrap_or_default()));
    let variables = input.environment_variables.unwrap_or_default();
    Ok(NewJob {
        command: input.command,
        code,
        compute,
        experiment: input.experiment_name,
        display_name: input.display_name,
        description: input.description.unwrap_or_default(),
        variables: variables.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        inputs: inputs.into_iter().map(|(name, input)| literal(&name, input)).collect::<Result<_, _>>()?,
        data: assets.into_iter().map(|(name, input)| data(&name, input)).collect::<Result<_, _>>()?,
        properties: input.properties.unwrap_or_default(),
        tags: tags.collect(),
        timeout: input.limits.and_then(|limits| limits.timeout),
        memory_mib: resources.memory_mib,
        pids: resources.pids,
        scratch_mib: resources.scratch_mib,
        required_walls: input.required_walls.unwrap_or_default(),
        identity: input.identity.map(identity).transpose()?.unwrap_or_default(),
        hbi,
    })
}

/// Whether a job asks to be treated as one of high business impact: by its own field, or by a property, since that is what Azure's
/// clients can send.
fn high_impact(input: &job::JobInput) -> Result<bool, Error> {
    let named = input.properties.iter().flatten().find(|(name, _)| name.eq_ignore_ascii_case("highBusinessImpact"));
    let said = match named {
        None => false,
        Some((_, word)) if word.eq_ignore_ascii_case("true") => true,
        Some((_, word)) if word.eq_ignore_ascii_case("false") => false,
        Some(_) => return Err(Error::invalid("properties.properties.highBusinessImpact", "must be `true` or `false`")),
    };
    Ok(said || input.high_business_impact == Some(true))
}

async fn put_job(guest: Guest) -> Result<Response, Fault> {
    let (id, workspace) = (guest.resource(0)?, guest.workspace()?);
    let caller = guest.admitted::<PutJob>(&id).await?;
    let shell = guest.shell();
    let job = new_job(&workspace, guest.json().await?)?;
    let status = enter(shell.house(), &caller, PutJob { id, job }).await?;
    Ok(named(StatusCode::CREATED, view::job(&shell, &status)))
}

async fn get_job(guest: Guest) -> Result<Response, Fault> {
    let op = GetJob { id: guest.resource(0)? };
    let status = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view::job(&guest, &status)))
}

async fn list_jobs(guest: Guest) -> Result<Response, Fault> {
    let skip = number(&guest, "$skip")?.unwrap_or(0);
    let top = number(&guest, "$top")?.unwrap_or(PAGE).clamp(1, 1000);
    let op = ListJobs { workspace: guest.workspace()?, skip, top };
    let (jobs, has_more) = enter(guest.house(), &guest.caller().await?, op).await?;
    let next_link = has_more.then(|| guest.link_with("$skip", &skip.saturating_add(top).to_string()));
    let value = jobs.iter().map(|status| view::job(&guest, status)).collect();
    Ok(axum::Json(arm::List { value, next_link }).into_response())
}

async fn cancel_job(guest: Guest) -> Result<Response, Fault> {
    let op = CancelJob { id: guest.resource(1)? };
    let status = enter(guest.house(), &guest.caller().await?, op).await?;
    if status.launch.state.is_final() {
        return Ok(StatusCode::OK.into_response());
    }
    Ok(going_on(&guest, &status.row.value.id))
}

/// 202 with the address to ask again.
fn going_on(guest: &Guest, id: &ResourceId) -> Response {
    let mut response = StatusCode::ACCEPTED.into_response();
    let address = format!("{}{id}/cancellation", guest.house().settings().url);
    if let Ok(address) = HeaderValue::from_str(&address) {
        response.headers_mut().insert(header::LOCATION, address);
    }
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

async fn get_cancellation(guest: Guest) -> Result<Response, Fault> {
    let op = GetJob { id: guest.resource(1)? };
    let status = enter(guest.house(), &guest.caller().await?, op).await?;
    if status.launch.state.is_final() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(going_on(&guest, &status.row.value.id))
}

async fn list_logs(guest: Guest) -> Result<Response, Fault> {
    let logs = enter(guest.house(), &guest.caller().await?, ListJobLogs { id: job_id(&guest)? }).await?;
    Ok(list(logs.into_iter().map(|(path, length)| job::JobFile { path, length }).collect()))
}

async fn get_log(guest: Guest) -> Result<Response, Fault> {
    let wait = Duration::from_secs(number(&guest, "wait")?.unwrap_or(0));
    let offset = number(&guest, "offset")?.unwrap_or(0);
    let op = GetJobLog { id: job_id(&guest)?, name: guest.param("log")?, offset, wait };
    let piece = enter(guest.house(), &guest.caller().await?, op).await?;
    let mut response = Body::from(piece.bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    let state = HeaderValue::from_static(piece.state.word());
    headers.insert(HeaderName::from_static("x-bartizan-run-state"), state);
    Ok(response)
}

/// The files that the run left, in all directories.
async fn list_outputs(guest: Guest) -> Result<Response, Fault> {
    let top = number(&guest, "$top")?.unwrap_or(FILES).clamp(1, FILES);
    let op = ListJobOutputs { id: job_id(&guest)?, after: guest.query("$skipToken"), top };
    let page = enter(guest.house(), &guest.caller().await?, op).await?;
    let next_link = page.next.map(|token| guest.link_with("$skipToken", &token));
    let value = page.files.into_iter().map(|(path, length)| job::JobFile { path, length }).collect();
    Ok(axum::Json(arm::List { value, next_link }).into_response())
}
