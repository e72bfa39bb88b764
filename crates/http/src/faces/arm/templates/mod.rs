//! Deployments of templates, to resource groups and subscriptions.

mod errand;
mod jsonc;
mod preview;
mod run;
mod types;
mod view;

use axum::response::{IntoResponse, Response};
use domain::{
    deployments::{
        BeginDeployment, CancelDeployment, DeleteTemplateDeployment, ExportTemplate, ListDeploymentOperations,
        PreviewDeployment, TemplateDeployment, TemplateRequest, ValidateDeployment,
    },
    gate::enter,
    resources::{GetResource, ListResources},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use kernel::{Error, Kind, ResourceId};
use serde_json::{Value, json};
use wire::deployment::PutDeployment;

use super::{Fault, GROUP, list, named};
use crate::{Doors, Guest, guest::parse_json, serve};
use errand::Errand;

const SUBSCRIPTION: &str = "/subscriptions/{subscription}";
/// Deployments within deployments; Azure's bound.
const DEEPEST: u8 = 5;

/// The doors of deployments.
pub(super) fn doors(doors: Doors) -> Doors {
    let old = format!("{GROUP}/deployments/{{deployment}}/operations");
    doors
        .face(|doors| below(doors, GROUP))
        .face(|doors| below(doors, SUBSCRIPTION))
        .open::<ListDeploymentOperations, _, _>(Method::GET, &old, list_operations)
        .open::<ListDeploymentOperations, _, _>(Method::GET, &format!("{old}/{{operation}}"), get_operation)
}

fn below(doors: Doors, scope: &str) -> Doors {
    let all = format!("{scope}/providers/Microsoft.Resources/deployments");
    let one = format!("{all}/{{deployment}}");
    let status = format!("{one}/operationStatuses/{{operation}}");
    let operations = format!("{one}/operations");
    doors
        .open::<ListResources<TemplateDeployment>, _, _>(Method::GET, &all, list_deployments)
        .open::<GetResource<TemplateDeployment>, _, _>(Method::GET, &one, get_deployment)
        .open::<GetResource<TemplateDeployment>, _, _>(Method::HEAD, &one, head_deployment)
        .open::<BeginDeployment, _, _>(Method::PUT, &one, put_deployment)
        .open::<DeleteTemplateDeployment, _, _>(Method::DELETE, &one, delete_deployment)
        .open::<CancelDeployment, _, _>(Method::POST, &format!("{one}/cancel"), cancel_deployment)
        .open::<ValidateDeployment, _, _>(Method::POST, &format!("{one}/validate"), validate)
        .open::<PreviewDeployment, _, _>(Method::POST, &format!("{one}/whatIf"), what_if)
        .open::<ExportTemplate, _, _>(Method::POST, &format!("{one}/exportTemplate"), export)
        .open::<GetResource<TemplateDeployment>, _, _>(Method::GET, &status, get_status)
        .open::<ListDeploymentOperations, _, _>(Method::GET, &operations, list_operations)
        .open::<ListDeploymentOperations, _, _>(Method::GET, &format!("{operations}/{{operation}}"), get_operation)
}

async fn list_deployments(guest: Guest) -> Result<Response, Fault> {
    let op = ListResources::<TemplateDeployment>::new(guest.resource(3)?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(|row| view::deployment(&guest, row)).collect()))
}

async fn get_deployment(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<TemplateDeployment>::new(guest.resource(0)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view::deployment(&guest, &row)))
}

async fn head_deployment(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<TemplateDeployment>::new(guest.resource(0)?);
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn request_of(body: PutDeployment) -> Result<TemplateRequest, Error> {
    let input = body.properties;
    let not_offered = [
        ("templateLink", &input.template_link),
        ("parametersLink", &input.parameters_link),
        ("onErrorDeployment", &input.on_error_deployment),
    ];
    if let Some((field, _)) = not_offered.iter().find(|(_, value)| value.is_some()) {
        let why = format!("`properties.{field}` is not supported; send the template and its parameters themselves");
        return Err(Error::new(Kind::Unsupported, why));
    }
    let template = input.template.ok_or_else(|| Error::invalid("properties.template", "is missing"))?;
    Ok(TemplateRequest { template, parameters: input.parameters.unwrap_or_default(), mode: input.mode })
}

/// The body, as templates are written: az splices them into it as they lie in their files.
async fn body_of(guest: Guest) -> Result<PutDeployment, Fault> {
    Ok(parse_json(&jsonc::strict(&guest.bytes().await?))?)
}

async fn put_deployment(guest: Guest) -> Result<Response, Fault> {
    let id = guest.resource(0)?;
    let caller = guest.admitted::<BeginDeployment>(&id).await?;
    let (shell, errand) = (guest.shell(), Errand::of(&guest)?);
    if errand.depth() > DEEPEST {
        let why = format!("deployments are nested at most {DEEPEST} deep");
        return Err(Error::new(Kind::Invalid, why).coded("InvalidTemplate").into());
    }
    let mut body: PutDeployment = body_of(guest).await?;
    let (location, tags) = (body.location.take().unwrap_or_default(), body.tags.take().unwrap_or_default());
    let request = request_of(body)?;
    // What no door makes is refused before anything is made.
    let rehearsal = ValidateDeployment { id: id.clone(), request: request.clone() };
    types::require_doors(&enter(shell.house(), &caller, rehearsal).await?.plan)?;
    let op = BeginDeployment { id, location, tags, request };
    let begun = enter(shell.house(), &caller, op).await?;
    let (row, is_new) = (begun.written.row.clone(), begun.written.is_new);
    let shown = view::deployment(&shell, &row);
    // It goes on whether or not the caller waits for it.
    serve::go_on(run::carry_out(errand, begun));
    let mut response = named(if is_new { StatusCode::CREATED } else { StatusCode::OK }, shown);
    let headers = polling(&shell, &row.value.id, &row.value.properties.run.to_string());
    response.headers_mut().extend(headers);
    Ok(response)
}

fn polling(guest: &Guest, id: &ResourceId, run: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let place = format!("{}{id}/operationStatuses/{run}?api-version=2020-06-01", guest.house().settings().url);
    if let Ok(place) = HeaderValue::from_str(&place.replace(' ', "%20")) {
        headers.insert(HeaderName::from_static("azure-asyncoperation"), place);
    }
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    headers
}

async fn get_status(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<TemplateDeployment>::new(guest.resource(2)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    let asked: String = guest.param("operation")?;
    if row.value.properties.run.to_string() != asked {
        return Err(Error::not_found("the operation in the address").into());
    }
    let mut response = axum::Json(view::status(&guest, &row)).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    Ok(response)
}

async fn delete_deployment(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteTemplateDeployment { id: guest.resource(0)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn cancel_deployment(guest: Guest) -> Result<Response, Fault> {
    let op = CancelDeployment { id: guest.resource(1)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn validate(guest: Guest) -> Result<Response, Fault> {
    let id = guest.resource(1)?;
    let caller = guest.admitted::<ValidateDeployment>(&id).await?;
    let shell = guest.shell();
    let request = request_of(body_of(guest).await?)?;
    let rehearsal = enter(shell.house(), &caller, ValidateDeployment { id: id.clone(), request }).await?;
    let plan = &rehearsal.plan;
    types::require_doors(plan)?;
    Ok(axum::Json(view::validated(&id, plan)).into_response())
}

async fn what_if(guest: Guest) -> Result<Response, Fault> {
    let id = guest.resource(1)?;
    let caller = guest.admitted::<PreviewDeployment>(&id).await?;
    let (shell, errand) = (guest.shell(), Errand::of(&guest)?);
    let request = request_of(body_of(guest).await?)?;
    let rehearsal = enter(shell.house(), &caller, PreviewDeployment { id, request }).await?;
    let plan = &rehearsal.plan;
    types::require_doors(plan)?;
    let changes = preview::changes(&errand, plan).await?;
    Ok(axum::Json(json!({"status": "Succeeded", "properties": {"changes": changes}})).into_response())
}

async fn export(guest: Guest) -> Result<Response, Fault> {
    let op = ExportTemplate { id: guest.resource(1)? };
    let template = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(json!({"template": template})).into_response())
}

/// The deployment in the address: its operations have an older address too, which is no resource id.
fn of_operations(guest: &Guest) -> Result<ResourceId, Error> {
    let (subscription, name): (String, String) = (guest.param("subscription")?, guest.param("deployment")?);
    let group = guest.param::<String>("group").map(|group| format!("/resourceGroups/{group}")).unwrap_or_default();
    let id = format!("/subscriptions/{subscription}{group}/providers/Microsoft.Resources/deployments/{name}");
    id.parse().map_err(|_| Error::not_found("the deployment in the address"))
}

async fn operations(guest: &Guest) -> Result<Vec<Value>, Fault> {
    let id = of_operations(guest)?;
    let steps = enter(guest.house(), &guest.caller().await?, ListDeploymentOperations { id: id.clone() }).await?;
    Ok(steps.iter().map(|step| view::operation(&id, step)).collect())
}

async fn list_operations(guest: Guest) -> Result<Response, Fault> {
    Ok(list(operations(&guest).await?))
}

async fn get_operation(guest: Guest) -> Result<Response, Fault> {
    let asked: String = guest.param("operation")?;
    let found = operations(&guest).await?.into_iter().find(|one| one.get("operationId") == Some(&json!(asked)));
    let found = found.ok_or_else(|| Error::not_found("the operation in the address"))?;
    Ok(axum::Json(found).into_response())
}
