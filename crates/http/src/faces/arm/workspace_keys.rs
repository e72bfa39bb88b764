//! The keys of a workspace's companions: showing them, and taking over those that were regenerated.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    resources::{ListWorkspaceKeys, ResyncKeys},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Fault, WORKSPACE};
use crate::{Doors, Guest};

/// The doors of a workspace's keys.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .open::<ListWorkspaceKeys, _, _>(Method::POST, &format!("{WORKSPACE}/listKeys"), list_keys)
        .open::<ResyncKeys, _, _>(Method::POST, &format!("{WORKSPACE}/resyncKeys"), resync_keys)
}

async fn list_keys(guest: Guest) -> Result<Response, Fault> {
    let op = ListWorkspaceKeys { workspace: guest.workspace()? };
    let keys = enter(guest.house(), &guest.caller().await?, op).await?;
    let workspace = &keys.workspace.properties;
    let credentials = workspace.container_registry.as_ref().map(|registry| {
        let view = |(name, value): &(String, kernel::Secret<String>)| json!({"name": name, "value": value.expose()});
        json!({
            "location": keys.workspace.location,
            "username": registry.name(),
            "passwords": keys.registry.iter().map(view).collect::<Vec<Value>>(),
        })
    });
    // Two names of one thing: api-versions differ.
    let answer = json!({
        "userStorageKey": keys.storage.expose(),
        "userStorageResourceId": workspace.storage_account,
        "userStorageArmId": workspace.storage_account,
        "appInsightsInstrumentationKey": keys.instrumentation,
        "containerRegistryCredentials": credentials,
    });
    Ok(axum::Json(answer).into_response())
}

async fn resync_keys(guest: Guest) -> Result<Response, Fault> {
    let op = ResyncKeys::new(guest.workspace()?);
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}
