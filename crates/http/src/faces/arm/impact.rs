//! High business impact: raising a workspace, and how it stands to that.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::{
    gate::enter,
    impact::{GetImpact, Impact, RaiseImpact},
};
use http::Method;
use wire::impact as shape;

use super::{Fault, WORKSPACE};
use crate::{Doors, Guest};

pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .open::<GetImpact, _, _>(Method::GET, &format!("{WORKSPACE}/businessImpact"), get_impact)
        .open::<RaiseImpact, _, _>(Method::POST, &format!("{WORKSPACE}/raiseBusinessImpact"), raise)
}

fn view(impact: Impact) -> Response {
    let state = match (impact.is_raised, impact.proven_at, impact.found) {
        (false, ..) => "NotRaised",
        (true, Some(_), 0) => "Proven",
        (true, ..) => "Running",
    };
    let (raised_at, raised_by) = impact.raised.unzip();
    let findings = impact.findings.into_iter().map(|finding| shape::Finding {
        kind: finding.kind.word().to_owned(),
        name: finding.name,
        message: finding.why.to_owned(),
    });
    let report = shape::Impact {
        hbi_workspace: impact.is_raised,
        state: state.to_owned(),
        raised_at: raised_at.map(kernel::Timestamp::rfc3339),
        raised_by: raised_by.flatten(),
        looked_at: impact.looked_at.map(kernel::Timestamp::rfc3339),
        proven_at: impact.proven_at.map(kernel::Timestamp::rfc3339),
        non_conforming: impact.found,
        looked_through: impact.looked_through.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect(),
        findings: findings.collect(),
    };
    Json(report).into_response()
}

async fn get_impact(guest: Guest) -> Result<Response, Fault> {
    let op = GetImpact { workspace: guest.resource(1)? };
    Ok(view(enter(guest.house(), &guest.caller().await?, op).await?))
}

async fn raise(guest: Guest) -> Result<Response, Fault> {
    let op = RaiseImpact { workspace: guest.resource(1)? };
    Ok(view(enter(guest.house(), &guest.caller().await?, op).await?))
}
