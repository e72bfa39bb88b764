//! The log of sign-ins: `/graph/v1.0/auditLogs/signIns`.

use axum::response::{IntoResponse, Response};
use domain::{
    audit::{ListSignIns, Listed, SignInFilter, is_interactive},
    gate::{Actor, enter},
};
use http::Method;
use kernel::{Error, Result, Timestamp};
use wire::conditional_access::{SignIn, SignInStatus};

use super::error::Fault;
use crate::{Doors, Guest};

/// Most records on one page.
const MOST: usize = 1000;

/// The door of the log.
pub(super) fn doors(doors: Doors) -> Doors {
    doors.open::<ListSignIns, _, _>(Method::GET, "/graph/v1.0/auditLogs/signIns", list_sign_ins)
}

async fn list_sign_ins(guest: Guest) -> Result<Response, Fault> {
    let op = ListSignIns { filter: filter(&guest)? };
    let page = enter(guest.house(), &guest.caller().await?, op).await?;
    let value: Vec<SignIn> = page.found.iter().map(view).collect();
    let mut body = serde_json::json!({"value": value});
    if let (Some(before), Some(object)) = (page.before, body.as_object_mut()) {
        object.insert(String::from("@odata.nextLink"), guest.link_with("$skiptoken", &before.to_string()).into());
    }
    Ok(axum::Json(body).into_response())
}

/// `$filter` with clauses joined by `and`, as Graph has them: `createdDateTime ge 2026-01-01T00:00:00Z`, `userId eq '…'`,
/// `status eq 'failure'`, `isInteractive eq true`.
fn filter(guest: &Guest) -> Result<SignInFilter> {
    let mut filter = SignInFilter { most: MOST, ..SignInFilter::default() };
    if let Some(top) = guest.query("$top") {
        filter.most = top.parse::<usize>().map_err(|why| Error::invalid("$top", why))?.clamp(1, MOST);
    }
    if let Some(before) = guest.query("$skiptoken") {
        filter.before = Some(before.parse().map_err(|why| Error::invalid("$skiptoken", why))?);
    }
    let text = guest.query("$filter").unwrap_or_default();
    for clause in text.split(" and ").map(str::trim).filter(|clause| !clause.is_empty()) {
        add(&mut filter, clause)?;
    }
    Ok(filter)
}

fn add(filter: &mut SignInFilter, clause: &str) -> Result<()> {
    let unknown = || Error::invalid("$filter", format_args!("`{clause}` is not supported"));
    let mut words = clause.splitn(3, ' ');
    let (Some(field), Some(comparator), Some(value)) = (words.next(), words.next(), words.next()) else {
        return Err(unknown());
    };
    let value = value.trim().trim_matches('\'');
    let time = || Timestamp::parse_rfc3339(value).ok_or_else(|| Error::invalid("$filter", "times are RFC 3339"));
    match (field, comparator, value) {
        ("createdDateTime", "ge" | "gt", _) => filter.from = Some(time()?),
        ("createdDateTime", "le" | "lt", _) => filter.until = Some(time()?),
        ("userId", "eq", _) => filter.principal = Some(value.parse().map_err(|why| Error::invalid("$filter", why))?),
        ("status", "eq", "success" | "failure") => filter.succeeded = Some(value == "success"),
        ("isInteractive", "eq", "true") => filter.interactive = true,
        _ => return Err(unknown()),
    }
    Ok(())
}

fn view(listed: &Listed) -> SignIn {
    let activity = &listed.activity;
    let succeeded = activity.outcome.word() == "Succeeded";
    let detail = |key: &str| activity.detail.get(key).cloned();
    let user_id = match &activity.actor {
        Actor::Principal { id, .. } => Some(id.to_string()),
        _ => None,
    };
    let failure_reason = (!succeeded).then(|| detail("reason").or_else(|| detail("refused"))).flatten();
    SignIn {
        id: activity.event.to_string(),
        sequence: listed.seq,
        created_date_time: activity.at.rfc3339(),
        user_id,
        user_principal_name: activity.actor.label(),
        ip_address: activity.address.map(|address| address.to_string()),
        correlation_id: activity.correlation.to_string(),
        is_interactive: is_interactive(activity),
        operation: activity.action.clone(),
        authentication_method: detail("method"),
        status: SignInStatus { result: String::from(if succeeded { "success" } else { "failure" }), failure_reason },
        details: activity.detail.clone(),
    }
}
