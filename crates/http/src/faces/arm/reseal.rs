//! Sealing a workspace's data anew under a new key: beginning it, and how it stands.

use std::collections::BTreeSet;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::{
    gate::enter,
    resealing::{GetReseal, Reseal, ResealStatus, StartReseal, TableProgress},
};
use http::{Method, StatusCode};
use wire::encryption as shape;

use super::{Fault, WORKSPACE, operations, workspaces::flag};
use crate::{Doors, Guest};

/// The doors of sealing anew.
pub(super) fn doors(doors: Doors) -> Doors {
    let place = format!("{WORKSPACE}/encryption/reseal");
    doors.open::<StartReseal, _, _>(Method::POST, &place, start).open::<GetReseal, _, _>(
        Method::GET,
        &place,
        get_reseal,
    )
}

fn state(reseal: &Reseal) -> &'static str {
    match (&reseal.failure, reseal.sealed_at, reseal.retired_at) {
        (Some(_), ..) => "Failed",
        (None, _, Some(_)) => "Retired",
        (None, Some(_), None) => "Sealed",
        (None, None, None) => "Sealing",
    }
}

fn view(guest: &Guest, status: &ResealStatus) -> shape::Reseal {
    let ResealStatus { reseal, older } = status;
    let sum = |of: fn(&TableProgress) -> u64| reseal.tables.values().map(of).fold(0, u64::saturating_add);
    let counted = older.iter().flat_map(|older| older.keys());
    let names: BTreeSet<&String> = reseal.tables.keys().chain(counted).collect();
    let table = |name: &String| {
        let found = reseal.tables.get(name).cloned().unwrap_or_default();
        shape::ResealedTable {
            name: name.clone(),
            rows: found.rows,
            seen: found.seen,
            resealed: found.resealed,
            rewrapped_blobs: found.rewrapped_blobs,
            unreadable: found.unreadable,
            older: older.as_ref().map(|older| older.get(name).copied().unwrap_or(0)),
        }
    };
    shape::Reseal {
        state: state(reseal).to_owned(),
        percent_complete: reseal.percent(),
        key_version: reseal.to,
        older_versions: reseal.from.clone(),
        resealed: sum(|table| table.resealed),
        rewrapped_blobs: sum(|table| table.rewrapped_blobs),
        started_at: reseal.started_at.rfc3339(),
        sealed_at: reseal.sealed_at.map(|at| at.rfc3339()),
        retired_at: reseal.retired_at.map(|at| at.rfc3339()),
        failure: reseal.failure.clone(),
        status: format!("{}{}/operationStatuses/{}", guest.house().settings().url, reseal.workspace, reseal.operation),
        tables: names.into_iter().map(table).collect(),
    }
}

async fn start(guest: Guest) -> Result<Response, Fault> {
    let op = StartReseal { workspace: guest.resource(2)? };
    let reseal = enter(guest.house(), &guest.caller().await?, op).await?;
    let headers = operations::polling(guest.house(), &reseal.workspace, reseal.operation);
    let body = view(&guest, &ResealStatus { reseal, older: None });
    Ok((StatusCode::ACCEPTED, headers, Json(body)).into_response())
}

async fn get_reseal(guest: Guest) -> Result<Response, Fault> {
    let op = GetReseal { workspace: guest.resource(2)?, counts: flag(&guest, "count")? };
    let status = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(Json(view(&guest, &status)).into_response())
}
