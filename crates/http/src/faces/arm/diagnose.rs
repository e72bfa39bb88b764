//! What is wrong with a workspace, in the groups of Azure's answer.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    resources::{DiagnoseWorkspace, Topic, Trouble},
};
use http::Method;
use serde_json::{Value, json};

use super::{Fault, WORKSPACE};
use crate::{Doors, Guest};

/// The door of diagnoses.
pub(super) fn doors(doors: Doors) -> Doors {
    doors.open::<DiagnoseWorkspace, _, _>(Method::POST, &format!("{WORKSPACE}/diagnose"), diagnose)
}

/// The body says what Azure shall look at. All of it is looked at, so the body is not read.
async fn diagnose(guest: Guest) -> Result<Response, Fault> {
    let op = DiagnoseWorkspace { workspace: guest.workspace()? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    let of = |topic: Topic| found.iter().filter(|trouble| trouble.topic == topic).map(view).collect::<Vec<_>>();
    let nothing: Vec<Value> = Vec::new();
    let groups = json!({
        "userDefinedRouteResults": nothing,
        "networkSecurityRuleResults": nothing,
        "resourceLockResults": of(Topic::ResourceLock),
        "dnsResolutionResults": nothing,
        "storageAccountResults": of(Topic::StorageAccount),
        "keyVaultResults": of(Topic::KeyVault),
        "containerRegistryResults": of(Topic::ContainerRegistry),
        "applicationInsightsResults": of(Topic::ApplicationInsights),
        "otherResults": of(Topic::Other),
    });
    Ok(axum::Json(json!({"value": groups})).into_response())
}

fn view(trouble: &Trouble) -> Value {
    let level = if trouble.is_error { "Error" } else { "Warning" };
    json!({"code": trouble.code, "level": level, "message": trouble.message})
}
