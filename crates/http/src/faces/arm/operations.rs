//! Long-running operations: what clients poll (`wire/azure.md` §0.6).

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{House, enter},
    operations::{GetOperation, Operation},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use kernel::ResourceId;
use uuid::Uuid;
use wire::arm;

use super::{Fault, WORKSPACE};
use crate::{Doors, Guest};

/// The doors of operations.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .open::<GetOperation, _, _>(Method::GET, &format!("{WORKSPACE}/operationStatuses/{{id}}"), get_status)
        .open::<GetOperation, _, _>(Method::GET, &format!("{WORKSPACE}/operationResults/{{id}}"), get_result)
}

/// The headers that send a client to poll. A zero in `Retry-After` would make it sleep for half a minute.
pub(super) fn polling(house: &House, workspace: &ResourceId, id: Uuid) -> HeaderMap {
    let base = format!("{}{workspace}", house.settings().url);
    let places = [("azure-asyncoperation", "operationStatuses"), ("location", "operationResults")];
    let mut headers = HeaderMap::new();
    for (name, place) in places {
        if let Ok(value) = HeaderValue::from_str(&format!("{base}/{place}/{id}?api-version=2023-04-01")) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    headers
}

fn view(workspace: &ResourceId, operation: &Operation) -> arm::OperationStatus {
    let failure = operation.end.as_ref().and_then(|end| end.failure.as_ref());
    arm::OperationStatus {
        id: format!("{workspace}/operationStatuses/{}", operation.id),
        name: operation.id.to_string(),
        status: operation.status().to_owned(),
        start_time: operation.started_at.rfc3339(),
        end_time: operation.end.as_ref().map(|end| end.at.rfc3339()),
        percent_complete: Some(f64::from(operation.percent)),
        error: failure.map(|failure| arm::ErrorDetail {
            code: failure.code.clone(),
            message: failure.message.clone(),
            target: Some(operation.target.to_string()),
            details: Vec::new(),
        }),
        properties: None,
    }
}

async fn find(guest: &Guest) -> Result<(ResourceId, Operation), Fault> {
    let workspace = guest.workspace()?;
    let op = GetOperation { workspace: workspace.clone(), id: guest.param("id")? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok((workspace, found))
}

async fn get_status(guest: Guest) -> Result<Response, Fault> {
    let (workspace, found) = find(&guest).await?;
    let mut response = axum::Json(view(&workspace, &found)).into_response();
    if found.end.is_none() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}

/// 202 while it goes on, then 200 with the status.
async fn get_result(guest: Guest) -> Result<Response, Fault> {
    let (workspace, found) = find(&guest).await?;
    if found.end.is_none() {
        return Ok((StatusCode::ACCEPTED, polling(guest.house(), &workspace, found.id)).into_response());
    }
    Ok(axum::Json(view(&workspace, &found)).into_response())
}
