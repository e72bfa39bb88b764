//! One module per protocol. Each has its own doors and its own form of errors.

pub mod agent;
pub mod arm;
pub mod blob;
pub mod credential;
pub mod entra;
pub mod federation;
pub mod graph;
pub mod history;
pub mod keyvault;
pub mod mlflow;
pub mod monitor;
pub mod oci;
pub mod safekeeping;
pub mod score;
pub mod signin;

use crate::Doors;

/// The doors of all faces.
pub fn doors() -> Doors {
    Doors::default()
        .face(entra::doors)
        .face(graph::doors)
        .face(federation::doors)
        .face(arm::doors)
        .face(keyvault::doors)
        .face(credential::doors)
        .face(agent::doors)
        .face(blob::doors)
        .face(oci::doors)
        .face(monitor::doors)
        .face(safekeeping::doors)
        .face(score::doors)
        .face(mlflow::doors)
        .face(history::doors)
        .face(signin::doors)
}
