//! Certificates of erasure: what is left of workspaces whose keys were destroyed.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::{
    erasure::{GetErasure, ListErasures},
    gate::enter,
};
use http::Method;

use super::{Fault, GROUP, list};
use crate::{Doors, Guest};

/// The doors of certificates.
pub(super) fn doors(doors: Doors) -> Doors {
    let erased = "providers/Microsoft.MachineLearningServices/erasedWorkspaces";
    let subscription = "/subscriptions/{subscription}";
    doors
        .open::<ListErasures, _, _>(Method::GET, &format!("{subscription}/{erased}"), list_erasures)
        .open::<ListErasures, _, _>(Method::GET, &format!("{GROUP}/{erased}"), list_erasures)
        .open::<GetErasure, _, _>(Method::GET, &format!("{subscription}/{erased}/{{guid}}"), get_erasure)
        .open::<GetErasure, _, _>(Method::GET, &format!("{GROUP}/{erased}/{{guid}}"), get_erasure)
}

async fn list_erasures(guest: Guest) -> Result<Response, Fault> {
    let op = ListErasures { parent: guest.resource(3)? };
    Ok(list(enter(guest.house(), &guest.caller().await?, op).await?))
}

async fn get_erasure(guest: Guest) -> Result<Response, Fault> {
    let op = GetErasure { parent: guest.resource(4)?, workspace: guest.param("guid")? };
    Ok(Json(enter(guest.house(), &guest.caller().await?, op).await?).into_response())
}
