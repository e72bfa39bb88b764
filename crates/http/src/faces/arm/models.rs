//! Registered models, and packaging them into images.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    images::{
        Code, GetModel, GetModelVersion, ListModelVersions, ListModels, ModelContainer, PackageModel, PutModelVersion,
        VersionedModel,
    },
    tracking::DeleteModelVersion,
};
use http::{Method, StatusCode};
use kernel::Error;
use serde_json::{Value, json};
use wire::{arm, model};

use super::{Fault, WORKSPACE, images, list, view::id_field};
use crate::{Doors, Guest};

/// Most versions of one list.
const MOST: usize = 1000;

/// The doors of models.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{WORKSPACE}/models");
    let one = format!("{all}/{{name}}");
    let versions = format!("{one}/versions");
    let version = format!("{versions}/{{version}}");
    doors
        .open::<ListModels, _, _>(Method::GET, &all, list_models)
        .open::<GetModel, _, _>(Method::GET, &one, get_model)
        .open::<ListModelVersions, _, _>(Method::GET, &versions, list_versions)
        .open::<GetModelVersion, _, _>(Method::GET, &version, get_version)
        .open::<PutModelVersion, _, _>(Method::PUT, &version, put_version)
        .open::<DeleteModelVersion, _, _>(Method::DELETE, &version, delete_version)
        .open::<PackageModel, _, _>(Method::POST, &format!("{version}/package"), package_model)
}

fn view_container(found: &ModelContainer) -> Value {
    let model = &found.model;
    let properties = model::Container {
        latest_version: found.latest.map(|version| version.to_string()),
        next_version: model.last_version.saturating_add(1).to_string(),
        description: model.description.clone(),
        tags: model.tags.clone(),
        properties: BTreeMap::new(),
        is_archived: false,
        provisioning_state: String::from("Succeeded"),
    };
    json!({
        "id": found.id,
        "name": model.name,
        "type": "Microsoft.MachineLearningServices/workspaces/models",
        "systemData": system_data(&model.user, &model.created_at.rfc3339(), &model.updated_at.rfc3339()),
        "properties": properties,
    })
}

/// The registry keeps display names, not ids.
fn system_data(user: &str, created_at: &str, updated_at: &str) -> Value {
    json!({
        "createdBy": user, "createdByType": "User", "createdAt": created_at,
        "lastModifiedBy": user, "lastModifiedByType": "User", "lastModifiedAt": updated_at,
    })
}

fn view_version(found: &VersionedModel) -> Value {
    let version = &found.version;
    let source = version.source.strip_prefix("runs:/").and_then(|rest| rest.split_once('/'));
    let model_uri = match source {
        Some((run, path)) => format!("azureml://jobs/{run}/outputs/artifacts/paths/{path}"),
        None => version.source.clone(),
    };
    let properties = model::Version {
        model_type: String::from(if found.is_mlflow { "mlflow_model" } else { "custom_model" }),
        model_uri,
        description: version.description.clone(),
        flavors: BTreeMap::new(),
        tags: version.tags.clone(),
        properties: BTreeMap::new(),
        stage: version.stage.clone(),
        job_name: version.run.as_ref().map(ToString::to_string),
        file_count: version.files,
        is_anonymous: false,
        is_archived: false,
        provisioning_state: String::from("Succeeded"),
    };
    json!({
        "id": found.id,
        "name": version.version.to_string(),
        "type": "Microsoft.MachineLearningServices/workspaces/models/versions",
        "systemData": system_data(&version.user, &version.created_at.rfc3339(), &version.updated_at.rfc3339()),
        "properties": properties,
    })
}

async fn list_models(guest: Guest) -> Result<Response, Fault> {
    let op = ListModels { workspace: guest.workspace()? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(view_container).collect()))
}

async fn get_model(guest: Guest) -> Result<Response, Fault> {
    let found = enter(guest.house(), &guest.caller().await?, GetModel { id: guest.resource(0)? }).await?;
    Ok(axum::Json(view_container(&found)).into_response())
}

/// Newest first, whatever `$orderBy` asks for: numbers and times agree.
async fn list_versions(guest: Guest) -> Result<Response, Fault> {
    let top = guest.query("$top").map(|top| top.parse::<usize>()).transpose();
    let top = top.map_err(|_| Error::invalid("$top", "must be a number"))?;
    let op = ListModelVersions { model: guest.resource(1)?, most: top.unwrap_or(MOST).min(MOST) };
    let mut found = enter(guest.house(), &guest.caller().await?, op).await?;
    if guest.query("$orderBy").is_some_and(|order| order.to_ascii_lowercase().ends_with(" asc")) {
        found.reverse();
    }
    Ok(list(found.iter().map(view_version).collect()))
}

async fn get_version(guest: Guest) -> Result<Response, Fault> {
    let found = enter(guest.house(), &guest.caller().await?, GetModelVersion { id: guest.resource(0)? }).await?;
    Ok(axum::Json(view_version(&found)).into_response())
}

async fn put_version(guest: Guest) -> Result<Response, Fault> {
    let (id, house) = (guest.resource(0)?, guest.house().clone());
    let caller = guest.admitted::<PutModelVersion>(&id).await?;
    let body: arm::Put<model::VersionInput> = guest.json().await?;
    let op = PutModelVersion {
        id,
        uri: body.properties.model_uri,
        description: body.properties.description.unwrap_or_default(),
        tags: body.properties.tags.or(body.tags).unwrap_or_default(),
    };
    let made = enter(&house, &caller, op).await?;
    Ok((StatusCode::CREATED, axum::Json(view_version(&made))).into_response())
}

async fn delete_version(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.workspace()?;
    let caller = guest.admitted::<DeleteModelVersion>(&workspace).await?;
    let op = DeleteModelVersion { workspace, name: guest.param("name")?, version: guest.param("version")? };
    enter(guest.house(), &caller, op).await?;
    Ok(StatusCode::OK.into_response())
}

/// Builds at once: the final body comes with the answer, and nothing needs polling.
async fn package_model(guest: Guest) -> Result<Response, Fault> {
    let (id, workspace) = (guest.resource(1)?, guest.workspace()?);
    let caller = guest.admitted::<PackageModel>(&id).await?;
    let house = guest.house().clone();
    let body: model::Package = guest.json().await?;
    let code = match (id_field("codeId", body.code_id)?, body.entry_script) {
        (Some(asset), Some(script)) => Some(Code { asset, script }),
        (None, None) => None,
        (Some(_), None) => return Err(Error::invalid("entryScript", "name the script within the code asset").into()),
        (None, Some(_)) => return Err(Error::invalid("codeId", "name the code asset that holds the script").into()),
    };
    let op = PackageModel { id, image: body.target_image_name, code, requirements: body.requirements };
    let image = enter(&house, &caller, op).await?;
    Ok(axum::Json(images::view(&workspace, &image)).into_response())
}
