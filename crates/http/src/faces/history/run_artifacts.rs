//! Files below their run's own address, as `azureml-mlflow` asks for them.

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::{
        ArtifactPath,
        azure::{AddressFiles, AddressNewFiles, GetRunStory, ListRunFiles},
    },
};
use http::Method;
use kernel::{Result, RunId};

use super::{Desk, Fault, arrive, artifacts, body, experiment_of, run_of};
use crate::{Doors, Guest};

/// The doors below `/history/v1.0{workspace}`.
pub(super) fn doors(mut doors: Doors, base: &str) -> Doors {
    for experiment in ["experiments/{experiment}", "experimentids/{experimentId}"] {
        let all = format!("{base}/{experiment}/runs/{{run}}/artifacts");
        doors = doors
            .open::<ListRunFiles, _, _>(Method::GET, &all, list)
            .open::<AddressNewFiles, _, _>(Method::POST, &format!("{all}/batch/metadata"), create)
            .open::<AddressFiles, _, _>(Method::GET, &format!("{all}/contentinfo"), content_info)
            .open::<AddressFiles, _, _>(Method::GET, &format!("{all}/prefix/contentinfo"), prefix_info);
    }
    doors
}

/// The run, which must lie in the experiment that the address names.
async fn run_in_place(guest: &Guest, (house, caller, workspace): &Desk) -> Result<RunId> {
    let run = run_of(guest)?;
    let op = GetRunStory { workspace: workspace.clone(), experiment: Some(experiment_of(guest)?), run: run.clone() };
    enter(house, caller, op).await?;
    Ok(run)
}

fn path_of(guest: &Guest) -> Result<ArtifactPath> {
    ArtifactPath::parse(guest.query("path").unwrap_or_default().trim_end_matches('/'))
}

async fn list(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<ListRunFiles>(&guest).await?;
    let run = run_in_place(&guest, &desk).await?;
    artifacts::listed(&guest, desk, run, ArtifactPath::default()).await
}

async fn create(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<AddressNewFiles>(&guest).await?;
    let run = run_in_place(&guest, &desk).await?;
    let shell = guest.shell();
    let paths: artifacts::Paths = body::read(&guest.bytes().await?)?;
    artifacts::addresses(&shell, desk, run, paths.read()?).await
}

async fn content_info(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<AddressFiles>(&guest).await?;
    let run = run_in_place(&guest, &desk).await?;
    artifacts::one(&guest, desk, run, path_of(&guest)?).await
}

async fn prefix_info(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<AddressFiles>(&guest).await?;
    let run = run_in_place(&guest, &desk).await?;
    artifacts::below(&guest, desk, run, path_of(&guest)?).await
}
