//! How long the activity log is kept, and the newest signed cut.

use axum::response::{IntoResponse, Response};
use domain::{
    audit::{GetCut, GetRetention, PutRetention, Retention},
    gate::enter,
};
use http::{Method, header};
use kernel::ResourceId;
use serde_json::json;

use crate::{Doors, Guest, faces::arm::Fault};

pub(super) fn doors(doors: Doors) -> Doors {
    let place = "/activity-log/v1/retention";
    doors
        .open::<GetRetention, _, _>(Method::GET, place, get_retention)
        .open::<PutRetention, _, _>(Method::PUT, place, put_retention)
        .open::<GetCut, _, _>(Method::GET, "/activity-log/v1/cut", get_cut)
}

fn view(kept: &Retention) -> Response {
    let changed_at = kept.changed_at.map(kernel::Timestamp::rfc3339);
    axum::Json(json!({"days": kept.days, "changedAt": changed_at, "changedBy": kept.changed_by})).into_response()
}

async fn get_retention(guest: Guest) -> Result<Response, Fault> {
    Ok(view(&enter(guest.house(), &guest.caller().await?, GetRetention).await?))
}

async fn put_retention(guest: Guest) -> Result<Response, Fault> {
    let house = guest.house().clone();
    let caller = guest.admitted::<PutRetention>(&ResourceId::root()).await?;
    let body: wire::diagnostics::Kept = guest.json().await?;
    Ok(view(&enter(&house, &caller, PutRetention { days: body.days }).await?))
}

async fn get_cut(guest: Guest) -> Result<Response, Fault> {
    let text = enter(guest.house(), &guest.caller().await?, GetCut).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}
