//! Deleting, and having back.

use axum::response::Response;
use domain::{
    gate::enter,
    storage::{DELETE, DeleteBlob, Need, Snapshots, UndeleteBlob, WRITE, invalid},
};
use http::StatusCode;
use kernel::Result;

use super::{
    done,
    headers::{guard, text},
    visit::Visit,
};

/// `DELETE`.
pub(super) async fn delete(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&Need::blob(DELETE, "d")).await?;
    let snapshots = match text(&visit, "x-ms-delete-snapshots")?.map(str::to_ascii_lowercase).as_deref() {
        None => Snapshots::Keep,
        Some("include") => Snapshots::Include,
        Some("only") => Snapshots::Only,
        Some(_) => {
            return Err(invalid("InvalidHeaderValue", "`x-ms-delete-snapshots` must be `include` or `only`"));
        }
    };
    let snapshot = visit.snapshot()?;
    if snapshot.is_some() && snapshots != Snapshots::Keep {
        return Err(invalid(
            "InvalidHeaderValue",
            "`x-ms-delete-snapshots` is for a blob, not for one of its snapshots",
        ));
    }
    if !visit.query("deletetype").is_empty() {
        return Err(invalid(
            "UnsupportedQueryParameter",
            "deleted blobs are removed when their time is over, not before",
        ));
    }
    let op = DeleteBlob { at: visit.in_container(&arrival)?, snapshot, snapshots, guard: guard(&visit)? };
    enter(visit.house(), &arrival.caller, op).await?;
    Ok(done(StatusCode::ACCEPTED))
}

/// `PUT ?comp=undelete`.
pub(super) async fn undelete(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&Need::blob(WRITE, "w")).await?;
    enter(visit.house(), &arrival.caller, UndeleteBlob { at: visit.in_container(&arrival)? }).await?;
    Ok(done(StatusCode::OK))
}
