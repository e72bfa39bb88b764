//! Deployments of online endpoints.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{Row, enter},
    images::Code,
    resources::{GetResource, ListResources, Resource},
    scoring::{
        AuthWords, DeleteDeployment, Deployment, DeploymentRequest, GetServiceLog, PutDeployment, RequestSettings,
        ServiceKind,
    },
};
use http::{Method, StatusCode};
use kernel::{Error, Kind, ResourceId};
use serde_json::Value;
use wire::{arm, endpoint};

use super::{Fault, WORKSPACE, endpoints::key_pair, list, named, operations, precondition, show, view::id_field};
use crate::{Doors, Guest};

/// The doors of deployments.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{WORKSPACE}/onlineEndpoints/{{endpoint}}/deployments");
    let one = format!("{all}/{{deployment}}");
    doors
        .open::<ListResources<Deployment>, _, _>(Method::GET, &all, list_deployments)
        .open::<GetResource<Deployment>, _, _>(Method::GET, &one, get_deployment)
        .open::<PutDeployment, _, _>(Method::PUT, &one, put_deployment)
        .open::<PutDeployment, _, _>(Method::PATCH, &one, patch_deployment)
        .open::<DeleteDeployment, _, _>(Method::DELETE, &one, delete_deployment)
        .open::<GetServiceLog, _, _>(Method::POST, &format!("{one}/getLogs"), get_logs)
}

fn view(row: &Row<Resource<Deployment>>) -> arm::Resource<endpoint::Deployment> {
    let resource = &row.value;
    let deployment = &resource.properties;
    let (plan, image) = (&deployment.plan, &deployment.image);
    let workspace = resource.id.workspace().unwrap_or_else(ResourceId::root);
    let kind = deployment.kind.word();
    let memory_limit = u32::try_from(plan.memory_limit_mib).map_or(f64::from(u32::MAX), f64::from) / 1024.0;
    let properties = endpoint::Deployment {
        endpoint_compute_type: plan.kind_word.clone().unwrap_or_else(|| kind.to_owned()),
        compute_type: kind.to_owned(),
        image: format!("{}@{}", image.name, image.digest),
        model: format!("{workspace}/models/{}/versions/{}", image.model, image.version),
        model_digest: image.model_digest.clone(),
        state: deployment.state.word().to_owned(),
        reason: deployment.reason.clone(),
        provisioning_state: deployment.provisioning.word().to_owned(),
        description: plan.description.clone(),
        environment_variables: plan.variables.clone(),
        cpu: plan.cpu,
        memory_in_gb: plan.memory_gb,
        memory_in_gb_limit: memory_limit,
        request_settings: endpoint::RequestSettings {
            max_concurrent_requests_per_instance: Some(plan.requests.concurrent),
            max_queue_wait: Some(duration(plan.requests.wait_ms)),
            request_timeout: Some(duration(plan.requests.timeout_ms)),
        },
        app_insights_enabled: plan.app_insights,
        instance_type: plan.instance_type.clone(),
        scale_settings: BTreeMap::from([(String::from("scaleType"), Value::from("Default"))]),
        properties: plan.properties.clone(),
        warnings: deployment.warnings.clone(),
    };
    arm::Resource {
        sku: Some(arm::Sku { name: String::from("Default"), tier: None, capacity: Some(1) }),
        ..show(row, properties)
    }
}

/// Milliseconds as an ISO 8601 duration.
fn duration(ms: u64) -> String {
    match (ms.div_euclid(1000), ms.rem_euclid(1000)) {
        (seconds, 0) => format!("PT{seconds}S"),
        (seconds, rest) => format!("PT{seconds}.{rest:03}S"),
    }
}

/// An ISO 8601 duration of minutes and seconds, in milliseconds.
fn milliseconds(field: &str, text: &str) -> Result<u64, Error> {
    let unusable = || Error::invalid(field, "must be a duration such as `PT60S`, `PT1M` or `PT0.5S`");
    let mut rest = text.strip_prefix("PT").filter(|rest| !rest.is_empty()).ok_or_else(unusable)?;
    let mut total: u64 = 0;
    for (unit, factor) in [('M', 60_000), ('S', 1000)] {
        if let Some((number, after)) = rest.split_once(unit) {
            let (whole, part) = number.split_once('.').unwrap_or((number, ""));
            let is_fit = whole.len() <= 6 && part.len() <= 3 && part.bytes().all(|c| c.is_ascii_digit());
            let whole: u64 = whole.parse().ok().filter(|_| is_fit).ok_or_else(unusable)?;
            let part: u64 = format!("{part:0<3}").parse().map_err(|_| unusable())?;
            let thousandths = whole.saturating_mul(1000).saturating_add(part);
            total = total.saturating_add(thousandths.saturating_mul(factor).div_euclid(1000));
            rest = after;
        }
    }
    if rest.is_empty() { Ok(total) } else { Err(unusable()) }
}

fn kind(word: &str) -> Result<(ServiceKind, Option<String>), Error> {
    let known = [
        ("SingleContainer", ServiceKind::SingleContainer, false),
        ("Cluster", ServiceKind::Cluster, false),
        ("Managed", ServiceKind::Cluster, true),
        ("Kubernetes", ServiceKind::Cluster, true),
    ];
    let found = known.into_iter().find(|(name, ..)| name.eq_ignore_ascii_case(word));
    let found = found.map(|(name, kind, is_azure)| (kind, is_azure.then(|| name.to_owned())));
    found.ok_or_else(|| Error::invalid("properties.endpointComputeType", "must be `SingleContainer` or `Cluster`"))
}

fn settings(input: endpoint::RequestSettings) -> Result<RequestSettings, Error> {
    let default = RequestSettings::default();
    let wait = input.max_queue_wait.map(|text| milliseconds("properties.requestSettings.maxQueueWait", &text));
    let timeout = input.request_timeout.map(|text| milliseconds("properties.requestSettings.requestTimeout", &text));
    Ok(RequestSettings {
        concurrent: input.max_concurrent_requests_per_instance.unwrap_or(default.concurrent),
        wait_ms: wait.transpose()?.unwrap_or(default.wait_ms),
        timeout_ms: timeout.transpose()?.unwrap_or(default.timeout_ms),
    })
}

fn request(body: endpoint::Put<endpoint::DeploymentInput>) -> Result<DeploymentRequest, Error> {
    let input = body.properties;
    let kind = input.endpoint_compute_type.as_deref().map(kind).transpose()?;
    if input.environment_id.is_some() && input.image.is_none() {
        let why = "`properties.environmentId`: environments are not supported here; package the model with its requirements \
                   (`POST …/models/{name}/versions/{v}/package`) and name the image";
        return Err(Error::new(Kind::Unsupported, why));
    }
    let cmk = [&input.cmk_vault_base_url, &input.cmk_key_name, &input.cmk_key_version];
    if input.encryption_properties.is_some() || cmk.iter().any(|word| word.is_some()) {
        let why = "`properties.encryptionProperties`: a key for one deployment is not supported: it has no disk of its own here, and its image, \
                   logs and records lie under the workspace's key; hold the workspace with a key of yours (`changeEncryptionKey`)";
        return Err(Error::new(Kind::Unsupported, why));
    }
    let code = match input.code_configuration {
        Some(code) => {
            let asset = id_field("properties.codeConfiguration.codeId", code.code_id)?;
            let missing = || Error::invalid("properties.codeConfiguration.codeId", "name the code asset");
            Some(Code { asset: asset.ok_or_else(missing)?, script: code.scoring_script })
        }
        None => None,
    };
    let (kind, kind_word) = kind.map_or((None, None), |(kind, word)| (Some(kind), word));
    Ok(DeploymentRequest {
        location: body.location,
        tags: body.tags,
        kind,
        kind_word,
        image: input.image.as_deref().map(str::parse).transpose()?,
        model: id_field("properties.model", input.model)?,
        code,
        auth: AuthWords { key: input.auth_enabled, token: input.token_auth_enabled },
        keys: key_pair(input.keys)?,
        description: input.description,
        variables: input.environment_variables,
        cpu: input.cpu,
        memory_gb: input.memory_in_gb,
        memory_limit_gb: input.memory_in_gb_limit,
        requests: input.request_settings.map(settings).transpose()?,
        app_insights: input.app_insights_enabled,
        instance_type: input.instance_type,
        properties: input.properties,
    })
}

async fn list_deployments(guest: Guest) -> Result<Response, Fault> {
    let op = ListResources::<Deployment>::new(guest.resource(1)?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(view).collect()))
}

async fn get_deployment(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<Deployment>::new(guest.resource(0)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view(&row)))
}

async fn put_deployment(guest: Guest) -> Result<Response, Fault> {
    write(guest, false).await
}

async fn patch_deployment(guest: Guest) -> Result<Response, Fault> {
    write(guest, true).await
}

/// Answers when the change is recorded; the operation tells when the new replica answers.
async fn write(guest: Guest, is_patch: bool) -> Result<Response, Fault> {
    let id = guest.resource(0)?;
    let (caller, precondition) = (guest.admitted::<PutDeployment>(&id).await?, precondition(&guest)?);
    let (house, workspace) = (guest.house().clone(), guest.workspace()?);
    let request = request(guest.json().await?)?;
    let made = enter(&house, &caller, PutDeployment { id, request, is_patch, precondition }).await?;
    let status = match (made.is_new, made.operation) {
        (true, _) => StatusCode::CREATED,
        // PATCH is answered with 200 or 202 (`wire/azure.md` §0.7).
        (false, Some(_)) if is_patch => StatusCode::ACCEPTED,
        (false, _) => StatusCode::OK,
    };
    let mut response = named(status, view(&made.row));
    if let Some(operation) = made.operation {
        response.headers_mut().extend(operations::polling(&house, &workspace, operation));
    }
    Ok(response)
}

async fn delete_deployment(guest: Guest) -> Result<Response, Fault> {
    enter(guest.house(), &guest.caller().await?, DeleteDeployment { id: guest.resource(0)? }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn get_logs(guest: Guest) -> Result<Response, Fault> {
    let (deployment, house) = (guest.resource(1)?, guest.house().clone());
    let caller = guest.admitted::<GetServiceLog>(&deployment).await?;
    let bytes = guest.bytes().await?;
    let body: endpoint::GetLogs =
        if bytes.is_empty() { endpoint::GetLogs::default() } else { crate::guest::parse_json(&bytes)? };
    let op = GetServiceLog { deployment, tail: body.tail.unwrap_or(500).min(10_000) };
    let content = enter(&house, &caller, op).await?;
    Ok(axum::Json(endpoint::Logs { content }).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_go_there_and_back() {
        for (text, ms) in [("PT60S", 60_000), ("PT0.5S", 500), ("PT1M", 60_000), ("PT1M30S", 90_000), ("PT0.05S", 50)] {
            assert_eq!(milliseconds("x", text).unwrap(), ms, "{text}");
        }
        assert_eq!((duration(60_000), duration(500)), (String::from("PT60S"), String::from("PT0.500S")));
        for bad in ["", "PT", "60", "PTS", "PT1H", "PT-1S", "PT1.2.3S", "PT1SS", "P1D", "PT1S1M"] {
            assert!(milliseconds("x", bad).is_err(), "{bad}");
        }
    }
}
