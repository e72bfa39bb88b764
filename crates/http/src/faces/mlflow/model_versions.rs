//! `model-versions/…`.

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::{
        CreateModelVersion, DeleteModelVersion, GetModelVersion, SearchModelVersions, UpdateModelVersion,
        VersionChange, VersionKey, VersionView, text,
    },
};
use http::Method;
use kernel::{Error, Kind, Result};
use wire::mlflow;

use super::{
    Desk, Fault, arrive,
    fields::Fields,
    view::{self, done, reply},
};
use crate::{Doors, Guest};

/// The doors below `…/api/2.0/mlflow`.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let at = |path: &str| format!("{base}/model-versions/{path}");
    doors
        .open::<CreateModelVersion, _, _>(Method::POST, &at("create"), create_version)
        .open::<GetModelVersion, _, _>(Method::GET, &at("get"), get_version)
        .open::<GetModelVersion, _, _>(Method::GET, &at("get-download-uri"), get_download_uri)
        .open::<SearchModelVersions, _, _>(Method::GET, &at("search"), search_versions)
        .open::<UpdateModelVersion, _, _>(Method::PATCH, &at("update"), describe_version)
        .open::<UpdateModelVersion, _, _>(Method::POST, &at("transition-stage"), transition_stage)
        .open::<UpdateModelVersion, _, _>(Method::POST, &at("set-tag"), set_tag)
        .open::<UpdateModelVersion, _, _>(Method::DELETE, &at("delete-tag"), delete_tag)
        .open::<DeleteModelVersion, _, _>(Method::DELETE, &at("delete"), delete_version)
}

/// A version's number, which comes as text.
pub(super) fn version(fields: &Fields) -> Result<u64> {
    if let Ok(Some(number)) = fields.integer("version")
        && let Ok(number) = u64::try_from(number)
    {
        return Ok(number);
    }
    let word = text::echo(&fields.need("version")?);
    Err(Error::new(Kind::Invalid, format!("Parameter 'version' must be an integer, got '{word}'.")))
}

fn show(view: VersionView) -> Response {
    reply(mlflow::ModelVersionReply { model_version: view::model_version(view) })
}

async fn create_version(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<CreateModelVersion>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let op = CreateModelVersion {
        workspace,
        name: fields.need("name")?,
        source: fields.need("source")?,
        run: fields.parsed("run_id", "it is not a run id")?,
        description: fields.text_or_empty("description")?,
        run_link: fields.text_or_empty("run_link")?,
        tags: fields.pairs("tags")?,
    };
    // The source says it already.
    fields.text("model_id")?;
    Ok(show(enter(&house, &caller, op).await?))
}

async fn find(guest: &Guest) -> Result<VersionView> {
    let (house, caller, workspace) = arrive::<GetModelVersion>(guest).await?;
    let fields = Fields::query(guest, &["name", "version"]);
    let name = fields.need("name")?;
    let key = VersionKey::Number(version(&fields)?);
    enter(&house, &caller, GetModelVersion { workspace, name, key }).await
}

async fn get_version(guest: Guest) -> Result<Response, Fault> {
    Ok(show(find(&guest).await?))
}

async fn get_download_uri(guest: Guest) -> Result<Response, Fault> {
    Ok(reply(mlflow::ArtifactUri { artifact_uri: find(&guest).await?.artifact_uri }))
}

async fn search_versions(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<SearchModelVersions>(&guest).await?;
    let query =
        Fields::query(&guest, &["filter", "max_results", "order_by", "page_token"]).search(10_000, Some(200_000))?;
    let page = enter(&house, &caller, SearchModelVersions { workspace, query }).await?;
    Ok(reply(view::model_versions(page)))
}

async fn change((house, caller, workspace): Desk, fields: &Fields, change: VersionChange) -> Result<VersionView> {
    let op = UpdateModelVersion { workspace, name: fields.need("name")?, version: version(fields)?, change };
    enter(&house, &caller, op).await
}

async fn describe_version(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<UpdateModelVersion>(&guest).await?;
    let fields = Fields::body(guest).await?;
    let words = fields.text_or_empty("description")?;
    Ok(show(change(desk, &fields, VersionChange::Describe(words)).await?))
}

async fn transition_stage(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<UpdateModelVersion>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let archives_others = fields.flag("archive_existing_versions")?;
    let stage = VersionChange::Stage { stage: fields.need("stage")?, archives_others };
    Ok(show(change(desk, &fields, stage).await?))
}

async fn set_tag(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<UpdateModelVersion>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let tag = VersionChange::SetTag(fields.need("key")?, fields.text_or_empty("value")?);
    change(desk, &fields, tag).await?;
    Ok(done())
}

async fn delete_tag(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<UpdateModelVersion>(&guest).await?;
    let fields = Fields::body(guest).await?;
    change(desk, &fields, VersionChange::DeleteTag(fields.need("key")?)).await?;
    Ok(done())
}

async fn delete_version(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<DeleteModelVersion>(&guest).await?;
    let fields = Fields::body(guest).await?;
    let op = DeleteModelVersion { workspace, name: fields.need("name")?, version: version(&fields)? };
    enter(&house, &caller, op).await?;
    Ok(done())
}
