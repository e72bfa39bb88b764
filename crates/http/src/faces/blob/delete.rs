//! Deleting, and having back.

use axum::response::Response;
use domain::{
    gate::enter,
    storage::{
        DELETE, DELETE_VERSION, DeleteBlob, DeleteBlobVersion, Moment, Need, Snapshots, UndeleteBlob, WRITE, invalid,
    },
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
    // Named and empty, it names no version: what is there now is not what was meant.
    if visit.find("versionid").is_some() {
        return delete_version(visit).await;
    }
    let arrival = visit.arrive(&Need::blob(DELETE, "d")).await?;
    let snapshots = match text(&visit, "x-ms-delete-snapshots")?.map(str::to_ascii_lowercase).as_deref() {
        None => Snapshots::Keep,
        Some("include") => Snapshots::Include,
        Some("only") => Snapshots::Only,
        Some(_) => {
            return Err(invalid("InvalidHeaderValue", "`x-ms-delete-snapshots` must be `include` or `only`"));
        }
    };
    let snapshot = match visit.moment()? {
        Moment::Snapshot(time) => Some(time),
        Moment::Now | Moment::Version(_) => None,
    };
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

/// `DELETE ?versionid=`.
async fn delete_version(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&Need::blob(DELETE_VERSION, "x")).await?;
    if !visit.query("deletetype").is_empty() || visit.header("x-ms-delete-snapshots").is_some() {
        return Err(invalid("InvalidHeaderValue", "a version is deleted by itself"));
    }
    let Moment::Version(version) = visit.moment()? else {
        return Err(invalid("InvalidQueryParameterValue", "`versionid` names no version"));
    };
    let op = DeleteBlobVersion { at: visit.in_container(&arrival)?, version, guard: guard(&visit)? };
    enter(visit.house(), &arrival.caller, op).await?;
    Ok(done(StatusCode::ACCEPTED))
}

/// `PUT ?comp=undelete`.
pub(super) async fn undelete(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&Need::blob(WRITE, "w")).await?;
    enter(visit.house(), &arrival.caller, UndeleteBlob { at: visit.in_container(&arrival)? }).await?;
    Ok(done(StatusCode::OK))
}
