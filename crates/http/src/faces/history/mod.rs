//! Runs as Azure's own clients see them: run history, metrics, files. Facts: `azureml-core` 1.60 (`_restclient/operations`) and
//! `azureml-mlflow` 1.62.
//!
//! | below | what |
//! | --- | --- |
//! | `/history/v1.0{workspace}` | experiments, runs, their events and files |
//! | `/metric/v2.0{workspace}` | metrics of runs |
//! | `/artifact/v2.0{workspace}` | files, by `ExperimentRun/dcid.{run}/{path}` |
//! | `https://run-files.blob.core.{suffix}`, or `/run-files` | one file each, as a blob with a signature |
//!
//! All of it is another view of what MLflow's face shows.

mod address;
mod artifacts;
mod blob;
mod body;
mod discovery;
mod events;
mod experiments;
mod metrics;
mod old_metrics;
mod run_artifacts;
mod runs;
mod view;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{House, Op},
    tracking::ExperimentKey,
};
use http::{HeaderValue, header};
use kernel::{Caller, Error, Kind, ResourceId, Result, RunId};
use serde::Serialize;

pub(super) use super::arm::Fault;
use super::arm::WORKSPACE;
use crate::{Doors, Guest};

/// The doors of this face.
pub fn doors(doors: Doors) -> Doors {
    let history = format!("/history/v1.0{WORKSPACE}");
    doors
        .face(|doors| experiments::doors(doors, &history))
        .face(|doors| runs::doors(doors, &history))
        .face(|doors| events::doors(doors, &history))
        .face(|doors| run_artifacts::doors(doors, &history))
        .face(|doors| old_metrics::doors(doors, &history))
        .face(|doors| metrics::doors(doors, &format!("/metric/v2.0{WORKSPACE}/runs/{{run}}")))
        .face(|doors| artifacts::doors(doors, &format!("/artifact/v2.0{WORKSPACE}/artifacts")))
        .face(blob::doors)
        .face(discovery::doors)
}

/// What a handler needs once its request has been read.
type Desk = (Arc<House>, Caller, ResourceId);

/// Who asks, and for which workspace. Whoever may not ask for `O` there learns that before anything else is looked at.
async fn arrive<O: Op>(guest: &Guest) -> Result<Desk> {
    let workspace = guest.workspace()?;
    let caller = guest.admitted::<O>(&workspace).await?;
    Ok((guest.house().clone(), caller, workspace))
}

/// A reply that nobody keeps: some hold addresses that open things.
fn reply(body: impl Serialize) -> Response {
    let mut response = axum::Json(body).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The run that the address names.
fn run_of(guest: &Guest) -> Result<RunId> {
    guest.param("run")
}

/// The experiment that the address names, by name or by id.
fn experiment_of(guest: &Guest) -> Result<ExperimentKey> {
    match guest.param("experiment") {
        Ok(name) => Ok(ExperimentKey::Name(name)),
        Err(_) => Ok(ExperimentKey::Id(guest.param("experimentId")?)),
    }
}

/// The container of a run's files.
fn container_of(run: &RunId) -> String {
    format!("dcid.{run}")
}

/// The run whose container this is.
fn run_of_container(container: &str) -> Result<RunId> {
    let missing = || Error::not_found(format_args!("the container `{}`", domain::tracking::text::echo(container)));
    container.strip_prefix("dcid.").and_then(|run| run.parse().ok()).ok_or_else(missing)
}

fn unsupported(why: &str) -> Error {
    Error::new(Kind::Unsupported, why.to_owned())
}
