//! `api/2.0/bartizan/import/…`: ours, not MLflow's. What `bartizan import mlflow` cannot say in MLflow's own words.

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::{ImportLoggedModel, ImportModelVersion, ImportRun, Origin, RunView, VersionView, text},
};
use http::Method;
use kernel::{Result, Timestamp};
use wire::mlflow;

use super::{
    Fault, arrive,
    fields::Fields,
    runs::{run_id, status, time},
    view::{self, reply},
};
use crate::{Doors, Guest};

/// The doors below `…/api/2.0`.
pub(super) fn doors(doors: Doors, api: &str) -> Doors {
    let at = |path: &str| format!("{api}/bartizan/import/{path}");
    doors
        .open::<ImportRun, _, _>(Method::POST, &at("runs"), import_run)
        .open::<ImportLoggedModel, _, _>(Method::POST, &at("logged-models"), import_logged_model)
        .open::<ImportModelVersion, _, _>(Method::POST, &at("model-versions"), import_version)
}

fn need_time(fields: &Fields, name: &str) -> Result<Timestamp> {
    time(fields, name)?.ok_or_else(|| text::missing(name))
}

fn origin(fields: &Fields, at: &str) -> Result<Origin> {
    let (source, user) = (fields.need("source")?, fields.text_or_empty("user_id")?);
    Ok(Origin { source, user, at: need_time(fields, at)? })
}

async fn import_run(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<ImportRun>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let op = ImportRun {
        workspace,
        experiment: fields.need("experiment_id")?,
        run: run_id(&fields)?,
        name: fields.need("run_name")?,
        status: status(&fields)?.ok_or_else(|| text::missing("status"))?,
        ended_at: time(&fields, "end_time")?,
        tags: fields.pairs("tags")?,
        origin: origin(&fields, "start_time")?,
    };
    let run = enter(&house, &caller, op).await?;
    let made = RunView { run, metrics: Default::default(), links: Default::default() };
    Ok(reply(mlflow::RunReply { run: view::run(made, true) }))
}

async fn import_logged_model(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<ImportLoggedModel>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let op = ImportLoggedModel {
        workspace,
        experiment: fields.need("experiment_id")?,
        id: fields.need("model_id")?,
        name: fields.need("name")?,
        model_type: fields.text_or_empty("model_type")?,
        source_run: fields.parsed("source_run_id", "it is not a run id")?,
        updated_at: need_time(&fields, "last_updated_timestamp_ms")?,
        params: fields.pairs("params")?,
        tags: fields.pairs("tags")?,
        origin: origin(&fields, "creation_timestamp_ms")?,
    };
    let model = enter(&house, &caller, op).await?;
    Ok(reply(mlflow::LoggedModelReply { model: view::logged_model(model) }))
}

async fn import_version(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<ImportModelVersion>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let op = ImportModelVersion {
        workspace,
        name: fields.need("name")?,
        version: super::model_versions::version(&fields)?,
        files: fields.need("files")?,
        run: fields.parsed("run_id", "it is not a run id")?,
        description: fields.text_or_empty("description")?,
        run_link: fields.text_or_empty("run_link")?,
        stage: fields.need("current_stage")?,
        updated_at: need_time(&fields, "last_updated_timestamp")?,
        tags: fields.pairs("tags")?,
        origin: origin(&fields, "creation_timestamp")?,
    };
    let found: VersionView = enter(&house, &caller, op).await?;
    Ok(reply(mlflow::ModelVersionReply { model_version: view::model_version(found) }))
}
