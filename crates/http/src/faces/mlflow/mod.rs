//! MLflow's REST interface, below each workspace's own base address. Facts: client 3.17.

mod artifacts;
mod azure_form;
mod batch;
mod error;
mod experiments;
mod fields;
mod import;
mod json;
mod logged_models;
mod media_type;
mod metrics;
mod model_versions;
mod pages;
mod range;
mod registered_models;
mod runs;
mod server;
mod traces;
mod uploads;
mod view;
mod webhooks;
mod workspaces;

use std::sync::Arc;

pub use error::Fault;

use domain::gate::{House, Op};
use http::HeaderMap;
use kernel::{Caller, ResourceId, Result};

use super::arm::WORKSPACE;
use crate::{Doors, Guest};

/// The doors of this face.
pub fn doors(mut doors: Doors) -> Doors {
    // Azure hands out the first form; both are the same.
    for prefix in ["/mlflow/v1.0", "/mlflow/v2.0"] {
        let base = format!("{prefix}{WORKSPACE}");
        let (api, tracking) = (format!("{base}/api/2.0"), format!("{base}/api/2.0/mlflow"));
        doors = doors
            .face(|doors| experiments::doors(doors, &tracking))
            .face(|doors| runs::doors(doors, &tracking))
            .face(|doors| metrics::doors(doors, &tracking))
            .face(|doors| artifacts::doors(doors, &api))
            .face(|doors| uploads::doors(doors, &api))
            .face(|doors| logged_models::doors(doors, &tracking))
            .face(|doors| registered_models::doors(doors, &tracking))
            .face(|doors| model_versions::doors(doors, &tracking))
            .face(|doors| traces::doors(doors, &base))
            .face(|doors| pages::doors(doors, &base))
            .face(|doors| webhooks::doors(doors, &tracking))
            .face(|doors| import::doors(doors, &api))
            .face(|doors| server::doors(doors, &base))
            .face(|doors| workspaces::doors(doors, prefix));
    }
    doors
}

/// The address that is routed in place of this one: that of clients for one of MLflow's pages, and that of the workspace that the header
/// names for one below its group. None where the path stays what it is.
pub(crate) fn address(path: &str, headers: &HeaderMap) -> Option<String> {
    let twin = pages::twin(path);
    workspaces::address(twin.as_deref().unwrap_or(path), headers).or(twin)
}

/// What a handler needs once its request has been read.
type Desk = (Arc<House>, Caller, ResourceId);

/// Who asks, and for which workspace. Whoever may not ask for `O` there learns that before anything else is looked at.
async fn arrive<O: Op>(guest: &Guest) -> Result<Desk> {
    let workspace = guest.workspace()?;
    let caller = guest.admitted::<O>(&workspace).await?;
    workspaces::must_agree(guest, &workspace)?;
    Ok((guest.house().clone(), caller, workspace))
}
