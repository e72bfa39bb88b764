//! The activity log at Azure's `Microsoft.Insights` address, and its checkpoints and exports at ours.

mod activities;
mod alerts;
mod archive;
mod events;
mod export;
pub(crate) mod filter;
mod kql;
mod metrics;
mod ocsf;
mod outbox;
mod query;
mod retention;
mod settings;

use axum::response::{IntoResponse, Response};
use domain::{
    audit::{ExportLog, ListActivities, SignCheckpoint},
    gate::enter,
};
use http::{Method, header};
use kernel::{Error, ResourceId, Timestamp};

use super::arm::Fault;
use crate::{Doors, Guest};

/// The doors of this face.
pub fn doors(doors: Doors) -> Doors {
    let values = "/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values";
    let tenant_values = "/providers/Microsoft.Insights/eventtypes/management/values";
    metrics::doors(doors)
        .open::<ListActivities, _, _>(Method::GET, values, activities::list)
        .open::<ListActivities, _, _>(Method::GET, tenant_values, activities::list)
        .open::<SignCheckpoint, _, _>(Method::GET, "/activity-log/v1/checkpoint", sign_checkpoint)
        .open::<ExportLog, _, _>(Method::GET, "/activity-log/v1/records", export::export)
        .face(query::doors)
        .face(events::doors)
        .face(alerts::doors)
        .face(retention::doors)
        .face(outbox::doors)
        .face(settings::doors)
        .face(archive::doors)
}

async fn sign_checkpoint(guest: Guest) -> Result<Response, Fault> {
    let signed = enter(guest.house(), &guest.caller().await?, SignCheckpoint::default()).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], signed.text).into_response())
}

/// A scope named in a filter.
fn scope_field(field: &str, text: &str) -> Result<ResourceId, Error> {
    text.parse().map_err(|why| Error::invalid(field, why))
}

/// A time of a query: RFC 3339, and UTC where no offset is said (`az monitor` says none).
fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(text).or_else(|| Timestamp::parse_rfc3339(&format!("{text}Z")))
}
