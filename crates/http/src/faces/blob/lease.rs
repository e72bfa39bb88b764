//! What is asked of a lease, and what became of it.

use axum::response::Response;
use domain::storage::{LeaseAnswer, LeaseAsk, invalid};
use http::StatusCode;
use kernel::{Result, Timestamp};

use super::{
    headers::{Answer, guid, number, text},
    visit::Visit,
};

/// Reads what is asked.
pub(super) fn ask(visit: &Visit) -> Result<LeaseAsk> {
    let missing = |name: &str| invalid("MissingRequiredHeader", format!("the header `{name}` is missing"));
    let id = || guid(visit, "x-ms-lease-id")?.ok_or_else(|| missing("x-ms-lease-id"));
    let proposed = || guid(visit, "x-ms-proposed-lease-id");
    match text(visit, "x-ms-lease-action")?.map(str::to_ascii_lowercase).as_deref() {
        Some("acquire") => {
            let seconds = number(visit, "x-ms-lease-duration")?.ok_or_else(|| missing("x-ms-lease-duration"))?;
            Ok(LeaseAsk::Acquire { seconds, proposed: proposed()? })
        }
        Some("renew") => Ok(LeaseAsk::Renew(id()?)),
        Some("change") => {
            let proposed = proposed()?.ok_or_else(|| missing("x-ms-proposed-lease-id"))?;
            Ok(LeaseAsk::Change { id: id()?, proposed })
        }
        Some("release") => Ok(LeaseAsk::Release(id()?)),
        Some("break") => Ok(LeaseAsk::Break(number(visit, "x-ms-lease-break-period")?)),
        _ => {
            let why = "`x-ms-lease-action` must be `acquire`, `renew`, `change`, `release` or `break`";
            Err(invalid("InvalidHeaderValue", why))
        }
    }
}

/// Says what became of it.
pub(super) fn told(ask: LeaseAsk, answer: Option<LeaseAnswer>, etag: u64, modified_at: Timestamp) -> Response {
    let mut headers = Answer::default();
    headers.mark(etag, modified_at);
    let status = match answer {
        Some(LeaseAnswer::Held(id)) => {
            headers.set("x-ms-lease-id", &id.to_string());
            if matches!(ask, LeaseAsk::Acquire { .. }) { StatusCode::CREATED } else { StatusCode::OK }
        }
        Some(LeaseAnswer::Breaks(seconds)) => {
            headers.set("x-ms-lease-time", &seconds.to_string());
            StatusCode::ACCEPTED
        }
        Some(LeaseAnswer::Released) | None => StatusCode::OK,
    };
    headers.empty(status)
}
