//! A person's sessions and second factors, for administrators.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    identity::{EndUserSession, ListUserSessions, ResetSecondFactors, Session},
};
use http::{Method, StatusCode};
use kernel::Result;
use wire::conditional_access as wire;

use super::error::Fault;
use crate::{Doors, Guest};

/// The doors of sessions.
pub(super) fn doors(doors: Doors) -> Doors {
    let user = "/graph/v1.0/users/{user}";
    doors
        .open::<ListUserSessions, _, _>(Method::GET, &format!("{user}/sessions"), list_sessions)
        .open::<EndUserSession, _, _>(Method::DELETE, &format!("{user}/sessions/{{session}}"), end_session)
        .open::<ResetSecondFactors, _, _>(Method::POST, &format!("{user}/authentication/reset"), reset_factors)
}

fn view(session: &Session) -> wire::Session {
    wire::Session {
        id: session.id.to_string(),
        created_date_time: session.started_at.rfc3339(),
        last_seen_date_time: session.seen_at.rfc3339(),
        ip_address: session.address.map(|address| address.to_string()),
        user_agent: session.agent.clone(),
        authentication_methods: session.proof().methods,
    }
}

async fn list_sessions(guest: Guest) -> Result<Response, Fault> {
    let op = ListUserSessions { principal: guest.param("user")? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    let value: Vec<wire::Session> = found.iter().map(view).collect();
    Ok(axum::Json(serde_json::json!({"value": value})).into_response())
}

async fn end_session(guest: Guest) -> Result<Response, Fault> {
    let op = EndUserSession { principal: guest.param("user")?, id: guest.param("session")? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn reset_factors(guest: Guest) -> Result<Response, Fault> {
    let op = ResetSecondFactors { principal: guest.param("user")? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
