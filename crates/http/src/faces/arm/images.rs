//! Images of models, and their parts byte for byte.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use domain::{
    gate::enter,
    images::{Engine, GetImage, Image, ImageRef, ListImageVersions, ListImages, ReadImage, ReadPart, Which},
    provenance::{GetStatementKeys, Link, LinkState, PublicStatementKey, VerifyImage},
};
use http::{Method, header};
use kernel::ResourceId;
use serde_json::{Value, json};
use wire::image;

use super::{Fault, WORKSPACE, list};
use crate::{Doors, Guest};

/// The doors of images.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{WORKSPACE}/images");
    let one = format!("{all}/{{name}}");
    let versions = format!("{one}/versions");
    let version = format!("{versions}/{{version}}");
    doors
        .open::<GetStatementKeys, _, _>(Method::GET, &format!("{WORKSPACE}/statementKeys"), list_keys)
        .open::<VerifyImage, _, _>(Method::GET, &format!("{one}/chain"), verify_image)
        .open::<VerifyImage, _, _>(Method::GET, &format!("{version}/chain"), verify_image)
        .open::<ListImages, _, _>(Method::GET, &all, list_images)
        .open::<GetImage, _, _>(Method::GET, &one, get_image)
        .open::<ListImageVersions, _, _>(Method::GET, &versions, list_versions)
        .open::<GetImage, _, _>(Method::GET, &version, get_image)
        .open::<ReadImage, _, _>(Method::GET, &format!("{version}/manifest"), read_manifest)
        .open::<ReadImage, _, _>(Method::GET, &format!("{version}/config"), read_config)
        .open::<ReadImage, _, _>(Method::GET, &format!("{version}/archive"), read_archive)
        .open::<ReadImage, _, _>(Method::GET, &format!("{version}/layers/{{digest}}"), read_layer)
}

/// The envelope of an image.
pub(super) fn view(workspace: &ResourceId, found: &Image) -> Value {
    let (engine, entry) = match &found.engine {
        Engine::Onnx { model } => ("onnx", model),
        Engine::Python { entry, .. } => ("python", entry),
    };
    let layer = |layer: &domain::images::ImageLayer| image::Layer {
        digest: layer.digest.clone(),
        size: layer.size,
        media_type: layer.media_type.clone(),
        about: layer.about.clone(),
    };
    let properties = image::Image {
        reference: format!("{}@{}", found.name, found.digest),
        digest: found.digest.clone(),
        size: found.size(),
        layers: found.layers.iter().map(layer).collect(),
        model: format!("{workspace}/models/{}/versions/{}", found.model, found.model_version),
        model_digest: found.model_digest.clone(),
        code_id: found.code.clone(),
        engine: engine.to_owned(),
        entry: entry.clone(),
        requirements: found.requirements.clone(),
        built_by: found.built_by.clone(),
        built_at: found.built_at.rfc3339(),
        provisioning_state: String::from("Succeeded"),
    };
    json!({
        "id": format!("{workspace}/images/{}/versions/{}", found.name, found.number),
        "name": found.number.to_string(),
        "type": "Microsoft.MachineLearningServices/workspaces/images/versions",
        "properties": properties,
    })
}

async fn list_images(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.workspace()?;
    let op = ListImages { workspace: workspace.clone() };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(|image| view(&workspace, image)).collect()))
}

async fn list_versions(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.workspace()?;
    let op = ListImageVersions { workspace: workspace.clone(), name: guest.param("name")? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(|image| view(&workspace, image)).collect()))
}

async fn get_image(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.workspace()?;
    let version = guest.param("version").ok();
    let op = GetImage { workspace: workspace.clone(), name: guest.param("name")?, version };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view(&workspace, &found)).into_response())
}

async fn verify_image(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.workspace()?;
    let caller = guest.admitted::<VerifyImage>(&workspace).await?;
    let which = match guest.param::<String>("version") {
        Ok(version) => version.parse()?,
        Err(_) => Which::Newest,
    };
    let image = ImageRef { name: guest.param("name")?, which };
    let found = enter(guest.house(), &caller, VerifyImage { workspace, image }).await?;
    let chain = image::Chain {
        reference: format!("{}@{}", found.image.name, found.image.digest),
        is_sound: found.chain.broken().is_none(),
        links: found.chain.links.iter().map(link).collect(),
        envelope: found.envelope,
        model_envelope: found.model_envelope,
    };
    Ok(axum::Json(chain).into_response())
}

fn link(found: &Link) -> image::ChainLink {
    let (state, reason) = match found.state {
        LinkState::Sound => ("sound", None),
        LinkState::Absent(why) => ("absent", Some(why.to_owned())),
        LinkState::Broken(why) => ("broken", Some(why.to_owned())),
    };
    image::ChainLink {
        of: found.of.to_owned(),
        name: found.name.clone(),
        digest: found.digest.clone(),
        state: state.to_owned(),
        reason,
        key: found.key.clone(),
        signed_for: found.by.clone(),
        signed_at: found.at.clone(),
    }
}

async fn list_keys(guest: Guest) -> Result<Response, Fault> {
    let op = GetStatementKeys { workspace: guest.workspace()? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    let key = |key: PublicStatementKey| image::StatementKey {
        key_id: key.id,
        algorithm: String::from("ES256"),
        public_key: key.pem,
        created_at: key.created_at.rfc3339(),
    };
    Ok(axum::Json(json!({"value": found.into_iter().map(key).collect::<Vec<_>>()})).into_response())
}

async fn read_manifest(guest: Guest) -> Result<Response, Fault> {
    read(guest, ReadPart::Manifest).await
}

async fn read_config(guest: Guest) -> Result<Response, Fault> {
    read(guest, ReadPart::Config).await
}

async fn read_archive(guest: Guest) -> Result<Response, Fault> {
    read(guest, ReadPart::Archive).await
}

async fn read_layer(guest: Guest) -> Result<Response, Fault> {
    let digest = guest.param("digest")?;
    read(guest, ReadPart::Layer(digest)).await
}

async fn read(guest: Guest, part: ReadPart) -> Result<Response, Fault> {
    let op =
        ReadImage { workspace: guest.workspace()?, name: guest.param("name")?, version: guest.param("version")?, part };
    let (media_type, length, content) = enter(guest.house(), &guest.caller().await?, op).await?;
    let headers = [(header::CONTENT_TYPE, media_type), (header::CONTENT_LENGTH, length.to_string())];
    Ok((headers, Body::from_stream(content)).into_response())
}
