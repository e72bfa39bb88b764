//! `registered-models/…`.

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::{
        CreateRegisteredModel, DeleteRegisteredModel, GetLatestVersions, GetModelVersion, GetRegisteredModel,
        ModelChange, ModelView, Page, SearchRegisteredModels, UpdateRegisteredModel, VersionKey,
    },
};
use http::Method;
use kernel::Result;
use wire::mlflow;

use super::{
    Desk, Fault, arrive,
    fields::Fields,
    model_versions::version,
    view::{self, done, reply},
};
use crate::{Doors, Guest};

/// The doors below `…/api/2.0/mlflow`.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let at = |path: &str| format!("{base}/registered-models/{path}");
    doors
        .open::<CreateRegisteredModel, _, _>(Method::POST, &at("create"), create_model)
        .open::<GetRegisteredModel, _, _>(Method::GET, &at("get"), get_model)
        .open::<SearchRegisteredModels, _, _>(Method::GET, &at("search"), search_models)
        .open::<UpdateRegisteredModel, _, _>(Method::PATCH, &at("update"), describe_model)
        .open::<UpdateRegisteredModel, _, _>(Method::POST, &at("rename"), rename_model)
        .open::<DeleteRegisteredModel, _, _>(Method::DELETE, &at("delete"), delete_model)
        .open::<GetLatestVersions, _, _>(Method::POST, &at("get-latest-versions"), get_latest)
        .open::<GetLatestVersions, _, _>(Method::GET, &at("get-latest-versions"), find_latest)
        .open::<UpdateRegisteredModel, _, _>(Method::POST, &at("set-tag"), set_tag)
        .open::<UpdateRegisteredModel, _, _>(Method::DELETE, &at("delete-tag"), delete_tag)
        .open::<UpdateRegisteredModel, _, _>(Method::POST, &at("alias"), set_alias)
        .open::<UpdateRegisteredModel, _, _>(Method::DELETE, &at("alias"), delete_alias)
        .open::<GetModelVersion, _, _>(Method::GET, &at("alias"), get_by_alias)
}

fn show(view: ModelView) -> Response {
    reply(mlflow::RegisteredModelReply { registered_model: view::model_view(view) })
}

async fn create_model(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<CreateRegisteredModel>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let op = CreateRegisteredModel {
        workspace,
        name: fields.need("name")?,
        description: fields.text_or_empty("description")?,
        tags: fields.pairs("tags")?,
    };
    let model = enter(&house, &caller, op).await?;
    Ok(show(ModelView { model, latest: Vec::new() }))
}

async fn get_model(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetRegisteredModel>(&guest).await?;
    let name = Fields::query(&guest, &["name"]).need("name")?;
    Ok(show(enter(&house, &caller, GetRegisteredModel { workspace, name }).await?))
}

async fn search_models(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<SearchRegisteredModels>(&guest).await?;
    let query = Fields::query(&guest, &["filter", "max_results", "order_by", "page_token"]).search(100, Some(1000))?;
    let page = enter(&house, &caller, SearchRegisteredModels { workspace, query }).await?;
    let registered_models = page.items.into_iter().map(view::model_view).collect();
    Ok(reply(mlflow::RegisteredModels { registered_models, next_page_token: page.next }))
}

async fn change(desk: Desk, fields: &Fields, change: ModelChange) -> Result<ModelView> {
    let (house, caller, workspace) = desk;
    enter(&house, &caller, UpdateRegisteredModel { workspace, name: fields.need("name")?, change }).await
}

async fn describe_model(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<UpdateRegisteredModel>(&guest).await?;
    let fields = Fields::body(guest).await?;
    let words = fields.text_or_empty("description")?;
    Ok(show(change(desk, &fields, ModelChange::Describe(words)).await?))
}

async fn rename_model(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<UpdateRegisteredModel>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let name = fields.need("new_name")?;
    Ok(show(change(desk, &fields, ModelChange::Rename(name)).await?))
}

async fn delete_model(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<DeleteRegisteredModel>(&guest).await?;
    let name = Fields::body(guest).await?.need("name")?;
    enter(&house, &caller, DeleteRegisteredModel { workspace, name }).await?;
    Ok(done())
}

async fn get_latest(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<GetLatestVersions>(&guest).await?;
    latest(desk, Fields::posted(guest).await?).await
}

async fn find_latest(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<GetLatestVersions>(&guest).await?;
    latest(desk, Fields::query(&guest, &["name", "stages"])).await
}

async fn latest((house, caller, workspace): Desk, fields: Fields) -> Result<Response, Fault> {
    let op = GetLatestVersions { workspace, name: fields.need("name")?, stages: fields.texts("stages")? };
    let items = enter(&house, &caller, op).await?;
    Ok(reply(view::model_versions(Page { items, next: None })))
}

async fn set_tag(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<UpdateRegisteredModel>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let tag = ModelChange::SetTag(fields.need("key")?, fields.text_or_empty("value")?);
    change(desk, &fields, tag).await?;
    Ok(done())
}

async fn delete_tag(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<UpdateRegisteredModel>(&guest).await?;
    let fields = Fields::body(guest).await?;
    change(desk, &fields, ModelChange::DeleteTag(fields.need("key")?)).await?;
    Ok(done())
}

async fn set_alias(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<UpdateRegisteredModel>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let alias = ModelChange::SetAlias(fields.need("alias")?, version(&fields)?);
    change(desk, &fields, alias).await?;
    Ok(done())
}

async fn delete_alias(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<UpdateRegisteredModel>(&guest).await?;
    let fields = Fields::body(guest).await?;
    change(desk, &fields, ModelChange::DeleteAlias(fields.need("alias")?)).await?;
    Ok(done())
}

async fn get_by_alias(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetModelVersion>(&guest).await?;
    let fields = Fields::query(&guest, &["name", "alias"]);
    let name = fields.need("name")?;
    let key = VersionKey::Alias(fields.need("alias")?);
    let found = enter(&house, &caller, GetModelVersion { workspace, name, key }).await?;
    Ok(reply(mlflow::ModelVersionReply { model_version: view::model_version(found) }))
}
