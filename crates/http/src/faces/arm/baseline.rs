//! The baseline report (`Microsoft.Security/baselineReports`, a type of ours): made anew whenever it is read.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    governance::{BaselineReport, Control, ReportBaseline, Verdict},
};
use http::Method;
use serde_json::{Value, json};

use super::{Fault, WORKSPACE};
use crate::{Doors, Guest};

/// The doors of the report.
pub(super) fn doors(mut doors: Doors) -> Doors {
    for scope in ["/subscriptions/{subscription}", WORKSPACE] {
        let latest = format!("{scope}/providers/Microsoft.Security/baselineReports/latest");
        doors = doors.open::<ReportBaseline, _, _>(Method::GET, &latest, get_report);
    }
    doors
}

async fn get_report(guest: Guest) -> Result<Response, Fault> {
    let op = ReportBaseline { scope: guest.resource(4)? };
    let report = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view(&report, &guest.house().settings().url)).into_response())
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "Pass",
        Verdict::Fail => "Fail",
        Verdict::NotApplicable => "NotApplicable",
    }
}

fn view(report: &BaselineReport, url: &str) -> Value {
    let count = |verdict: Verdict| report.controls.iter().filter(|one| one.verdict == verdict).count();
    json!({
        "id": format!("{}/providers/Microsoft.Security/baselineReports/latest", report.scope),
        "name": "latest",
        "type": "Microsoft.Security/baselineReports",
        "properties": {
            "generatedTime": report.at.rfc3339(),
            "scope": report.scope.as_str(),
            "benchmark": "Azure Security Benchmark v1",
            "summary": {
                "passed": count(Verdict::Pass),
                "failed": count(Verdict::Fail),
                "notApplicable": count(Verdict::NotApplicable),
            },
            "controls": report.controls.iter().map(|one| control(one, url)).collect::<Vec<_>>(),
        },
    })
}

fn control(control: &Control, url: &str) -> Value {
    json!({
        "id": control.id(),
        "group": control.group.title(),
        "title": control.title,
        "verdict": word(control.verdict),
        "reason": control.why,
        "evidence": format!("{url}{}", control.evidence),
    })
}
