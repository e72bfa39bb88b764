//! Requests for versions of certificates.

use axum::response::{IntoResponse, Response};
use domain::vault::{CancelPending, CertificateIssuer, DeletePending, GetPending, Pending, PendingStatus};
use http::Method;
use kernel::Error;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Visit};
use crate::{Doors, Guest};

pub(super) fn doors(doors: Doors) -> Doors {
    let pending = "/vaults/{vault}/certificates/{name}/pending";
    doors
        .open::<GetPending, _, _>(Method::GET, pending, get)
        .open::<CancelPending, _, _>(Method::PATCH, pending, update)
        .open::<DeletePending, _, _>(Method::DELETE, pending, delete)
}

/// A request as clients see it.
pub(super) fn view(visit: &Visit, pending: &Pending) -> Value {
    let at = format!("{}/certificates/{}", visit.base, pending.name);
    let mut out = json!({
        "id": format!("{at}/pending"),
        "issuer": {"name": pending.issuer.name()},
        "csr": pending.csr,
        "cancellation_requested": pending.status == PendingStatus::Cancelled,
        "status": pending.status.name(),
        "request_id": pending.request.as_simple().to_string(),
    });
    let more = match (pending.status, pending.issuer) {
        (PendingStatus::Completed, _) => ("target", json!(at)),
        (PendingStatus::InProgress, CertificateIssuer::Unknown) => {
            ("status_details", json!("Pending certificate created. Please Perform Merge to complete the request."))
        }
        (PendingStatus::InProgress, CertificateIssuer::Own) => {
            ("status_details", json!("Certificate request is in progress."))
        }
        (PendingStatus::Cancelled, _) => ("status_details", json!("The request was cancelled.")),
    };
    out.as_object_mut().map(|out| out.insert(more.0.to_owned(), more.1));
    out
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<GetPending>(guest).await?;
    let found = visit.enter(GetPending { vault: visit.vault.clone(), name: visit.name()? }).await?;
    Ok(axum::Json(view(&visit, &found)).into_response())
}

/// What is read of a `PATCH`.
#[derive(Deserialize)]
struct CancelBody {
    cancellation_requested: bool,
}

async fn update(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<CancelPending>(guest).await?;
    let name = visit.name()?;
    visit.knock::<CancelPending>(&visit.scope("certificates", &name)?).await?;
    let (visit, body): (_, CancelBody) = visit.body().await?;
    if !body.cancellation_requested {
        return Err(
            Error::invalid("cancellation_requested", "must be true: nothing else about a request changes").into()
        );
    }
    let found = visit.enter(CancelPending { vault: visit.vault.clone(), name }).await?;
    Ok(axum::Json(view(&visit, &found)).into_response())
}

async fn delete(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<DeletePending>(guest).await?;
    let found = visit.enter(DeletePending { vault: visit.vault.clone(), name: visit.name()? }).await?;
    Ok(axum::Json(view(&visit, &found)).into_response())
}
