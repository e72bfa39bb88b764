//! `experiments/…`.

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::{
        CreateExperiment, DeleteExperiment, ExperimentChange, ExperimentKey, GetExperiment, SearchExperiments,
        UpdateExperiment,
    },
};
use http::Method;
use kernel::Result;
use wire::mlflow;

use super::{
    Desk, Fault, arrive,
    fields::Fields,
    view::{self, done, reply},
};
use crate::{Doors, Guest};

/// The doors below `…/api/2.0/mlflow`.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let at = |path: &str| format!("{base}/experiments/{path}");
    doors
        .open::<CreateExperiment, _, _>(Method::POST, &at("create"), create_experiment)
        .open::<GetExperiment, _, _>(Method::GET, &at("get"), get_experiment)
        .open::<GetExperiment, _, _>(Method::GET, &at("get-by-name"), get_experiment_by_name)
        .open::<SearchExperiments, _, _>(Method::POST, &at("search"), search_experiments)
        .open::<SearchExperiments, _, _>(Method::GET, &at("search"), find_experiments)
        .open::<DeleteExperiment, _, _>(Method::POST, &at("delete"), delete_experiment)
        .open::<UpdateExperiment, _, _>(Method::POST, &at("restore"), restore_experiment)
        .open::<UpdateExperiment, _, _>(Method::POST, &at("update"), rename_experiment)
        .open::<UpdateExperiment, _, _>(Method::POST, &at("set-experiment-tag"), set_tag)
        .open::<UpdateExperiment, _, _>(Method::POST, &at("delete-experiment-tag"), delete_tag)
}

async fn create_experiment(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<CreateExperiment>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    // Where files lie is the server's business: an `artifact_location` that a client chose is not looked at.
    let name = fields.need("name")?;
    fields.text("artifact_location")?;
    let op = CreateExperiment { workspace, name, tags: fields.pairs("tags")? };
    let experiment_id = enter(&house, &caller, op).await?;
    Ok(reply(mlflow::ExperimentId { experiment_id }))
}

async fn get_experiment(guest: Guest) -> Result<Response, Fault> {
    show(guest, "experiment_id", ExperimentKey::Id).await
}

async fn get_experiment_by_name(guest: Guest) -> Result<Response, Fault> {
    show(guest, "experiment_name", ExperimentKey::Name).await
}

async fn show(guest: Guest, name: &str, key: impl FnOnce(String) -> ExperimentKey) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetExperiment>(&guest).await?;
    let key = key(Fields::query(&guest, &[name]).need(name)?);
    let experiment = enter(&house, &caller, GetExperiment { workspace, key }).await?;
    Ok(reply(mlflow::ExperimentReply { experiment: view::experiment(experiment) }))
}

async fn search_experiments(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<SearchExperiments>(&guest).await?;
    search(desk, Fields::posted(guest).await?).await
}

async fn find_experiments(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<SearchExperiments>(&guest).await?;
    search(desk, Fields::query(&guest, &["max_results", "view_type", "filter", "order_by", "page_token"])).await
}

async fn search((house, caller, workspace): Desk, fields: Fields) -> Result<Response, Fault> {
    // Absent counts as 0 here, which is refused.
    let op = SearchExperiments { workspace, query: fields.search(0, None)?, view: fields.view("view_type")? };
    let page = enter(&house, &caller, op).await?;
    let experiments = page.items.into_iter().map(view::experiment).collect();
    Ok(reply(mlflow::Experiments { experiments, next_page_token: page.next }))
}

async fn delete_experiment(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<DeleteExperiment>(&guest).await?;
    let id = Fields::posted(guest).await?.need("experiment_id")?;
    enter(&house, &caller, DeleteExperiment { workspace, id }).await?;
    Ok(done())
}

async fn change(guest: Guest, read: impl FnOnce(&Fields) -> Result<ExperimentChange>) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<UpdateExperiment>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let id = fields.need("experiment_id")?;
    let op = UpdateExperiment { workspace, id, change: read(&fields)? };
    enter(&house, &caller, op).await?;
    Ok(done())
}

async fn restore_experiment(guest: Guest) -> Result<Response, Fault> {
    change(guest, |_| Ok(ExperimentChange::Restore)).await
}

async fn rename_experiment(guest: Guest) -> Result<Response, Fault> {
    change(guest, |fields| Ok(ExperimentChange::Rename(fields.need("new_name")?))).await
}

async fn set_tag(guest: Guest) -> Result<Response, Fault> {
    change(guest, |fields| Ok(ExperimentChange::SetTag(fields.need("key")?, fields.text_or_empty("value")?))).await
}

async fn delete_tag(guest: Guest) -> Result<Response, Fault> {
    change(guest, |fields| Ok(ExperimentChange::DeleteTag(fields.need("key")?))).await
}
