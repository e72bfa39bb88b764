//! `experiments/{name}` and `experimentids/{id}`.

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::{
        CreateExperiment, DeleteExperiment, ExperimentChange, ExperimentKey, GetExperiment, Query, SearchExperiments,
        UpdateExperiment, View,
    },
};
use http::Method;
use kernel::{Kind, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Fault, arrive, body, experiment_of, reply, unsupported, view};
use crate::{Doors, Guest};

/// Most experiments of a page.
const PAGE: usize = 500;

/// The doors below `/history/v1.0{workspace}`.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let (by_name, by_id) =
        (format!("{base}/experiments/{{experiment}}"), format!("{base}/experimentids/{{experimentId}}"));
    doors
        .open::<GetExperiment, _, _>(Method::GET, &by_name, get)
        .open::<CreateExperiment, _, _>(Method::POST, &by_name, create)
        .open::<SearchExperiments, _, _>(Method::POST, &format!("{base}/experiments:query"), list)
        .open::<GetExperiment, _, _>(Method::GET, &by_id, get)
        .open::<UpdateExperiment, _, _>(Method::PATCH, &by_id, change)
        .open::<DeleteExperiment, _, _>(Method::DELETE, &by_id, delete)
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetExperiment>(&guest).await?;
    let found = enter(&house, &caller, GetExperiment { workspace, key: experiment_of(&guest)? }).await?;
    Ok(reply(view::experiment(&found)))
}

/// Makes an experiment, or gives the living one of that name.
async fn create(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<CreateExperiment>(&guest).await?;
    let name: String = guest.param("experiment")?;
    let made = CreateExperiment { workspace: workspace.clone(), name: name.clone(), tags: Vec::new() };
    let fault = enter(&house, &caller, made).await.err().filter(|fault| fault.kind() != Kind::Exists);
    if let Some(fault) = fault {
        return Err(fault.into());
    }
    let found = enter(&house, &caller, GetExperiment { workspace, key: ExperimentKey::Name(name) }).await?;
    Ok(reply(view::experiment(&found)))
}

/// What a list is asked with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    #[serde(default)]
    filter: Option<String>,
    #[serde(default)]
    continuation_token: Option<String>,
    #[serde(default)]
    top: Option<usize>,
}

async fn list(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<SearchExperiments>(&guest).await?;
    let asked: Asked = body::read(&guest.bytes().await?)?;
    if asked.filter.is_some_and(|filter| !filter.trim().is_empty()) {
        return Err(unsupported("experiments are listed without a filter; ask for one by its name").into());
    }
    let most = asked.top.unwrap_or(PAGE).clamp(1, PAGE);
    let query = Query { filter: String::new(), order_by: Vec::new(), most, page_token: asked.continuation_token };
    let page = enter(&house, &caller, SearchExperiments { workspace, query, view: View::Active }).await?;
    let value: Vec<Value> = page.items.iter().map(view::experiment).collect();
    Ok(reply(json!({"value": value, "continuationToken": page.next})))
}

/// A change; what is left out stays.
#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    archive: Option<bool>,
    #[serde(default)]
    tags: Option<Map<String, Value>>,
}

async fn change(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<UpdateExperiment>(&guest).await?;
    let id: String = guest.param("experimentId")?;
    let change: Change = body::read(&guest.bytes().await?)?;
    let text = |value: Value| match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let mut changes: Vec<ExperimentChange> = Vec::new();
    if change.archive == Some(false) {
        changes.push(ExperimentChange::Restore);
    }
    changes.extend(change.name.map(ExperimentChange::Rename));
    let note = |text| ExperimentChange::SetTag(String::from("mlflow.note.content"), text);
    changes.extend(change.description.map(note));
    let tags = change.tags.unwrap_or_default().into_iter();
    changes.extend(tags.map(|(key, value)| ExperimentChange::SetTag(key, text(value))));
    for change in changes {
        enter(&house, &caller, UpdateExperiment { workspace: workspace.clone(), id: id.clone(), change }).await?;
    }
    if change.archive == Some(true) {
        enter(&house, &caller, DeleteExperiment { workspace: workspace.clone(), id: id.clone() }).await?;
    }
    let found = enter(&house, &caller, GetExperiment { workspace, key: ExperimentKey::Id(id) }).await?;
    Ok(reply(view::experiment(&found)))
}

async fn delete(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<DeleteExperiment>(&guest).await?;
    enter(&house, &caller, DeleteExperiment { workspace, id: guest.param("experimentId")? }).await?;
    Ok(reply(json!({})))
}
