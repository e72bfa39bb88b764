//! `/signin/security`: one's own password, second factors, recovery codes and sessions.

use askama::Template;
use axum::response::Response;
use domain::identity::{
    EndOwnSession, ListOwnSessions, NewRecoveryCodes, NextStep, RemovePasskey, RemoveTotp, Session, SessionView,
    SignInRefusal,
};
use kernel::{Secret, Timestamp};
use uuid::Uuid;

use super::{
    agent,
    enrol::show_codes,
    fault::Fault,
    form::Form,
    messages::Messages,
    page::{place_of, see_other},
    refusal::{Problem, Refused},
    return_path::ReturnPath,
    visit::{Frame, Visit},
};
use crate::Guest;

/// Sessions that are shown, the latest first.
const MOST_SESSIONS: usize = 100;

#[derive(Template)]
#[template(path = "signin/security.html")]
struct SecurityPage {
    frame: Frame,
    say: &'static Messages,
    user: String,
    /// What was just done.
    done: Option<String>,
    passkeys: Vec<PasskeyRow>,
    has_totp: bool,
    codes_left: usize,
    sessions: Vec<SessionRow>,
}

struct PasskeyRow {
    id: Uuid,
    name: String,
    added: String,
}

struct SessionRow {
    id: Uuid,
    agent: String,
    /// Since when, and from where.
    line: String,
    /// What its button does, for those who do not see where it stands.
    end: String,
    is_this: bool,
}

/// `GET /signin/security?done=…`.
pub(super) async fn get_security(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::of(&guest)?;
    let say = visit.say;
    let done = match guest.query("done").as_deref() {
        Some("totp") => Some(&say.done_totp_added),
        Some("passkey") => Some(&say.done_passkey_added),
        Some("removed") => Some(&say.done_removed),
        Some("session") => Some(&say.done_session_ended),
        Some("password") => Some(&say.changed),
        _ => None,
    };
    show(visit, done.map(ToString::to_string), None).await
}

/// `POST /signin/security/passkeys/{passkey}/remove`.
pub(super) async fn remove_passkey(guest: Guest) -> Result<Response, Fault> {
    let id = guest.param::<Uuid>("passkey");
    let (visit, _) = Form::read(guest).await?;
    let id = id.map_err(|why| visit.fault(&why))?;
    let Some(session) = visit.session.clone() else { return Ok(start(visit)) };
    let removed = visit.enter(RemovePasskey { session, id }).await?;
    after(visit, removed, "removed").await
}

/// `POST /signin/security/totp/remove`.
pub(super) async fn remove_totp(guest: Guest) -> Result<Response, Fault> {
    let (visit, _) = Form::read(guest).await?;
    let Some(session) = visit.session.clone() else { return Ok(start(visit)) };
    let removed = visit.enter(RemoveTotp { session }).await?;
    after(visit, removed, "removed").await
}

/// `POST /signin/security/recovery-codes`.
pub(super) async fn new_recovery_codes(guest: Guest) -> Result<Response, Fault> {
    let (visit, _) = Form::read(guest).await?;
    let Some(session) = visit.session.clone() else { return Ok(start(visit)) };
    match visit.enter(NewRecoveryCodes { session }).await? {
        Ok(codes) => show_codes(&visit, &codes, String::from("/signin/security")),
        Err(why) => after(visit, Err(why), "").await,
    }
}

/// `POST /signin/security/sessions/{session}/end`.
pub(super) async fn end_session(guest: Guest) -> Result<Response, Fault> {
    let id = guest.param::<Uuid>("session");
    let (visit, _) = Form::read(guest).await?;
    let id = id.map_err(|why| visit.fault(&why))?;
    let Some(session) = visit.session.clone() else { return Ok(start(visit)) };
    if visit.enter(EndOwnSession { session, id }).await? {
        Ok(see_other("/signin/security?done=session"))
    } else {
        Ok(start(visit))
    }
}

async fn after(visit: Visit, did: Result<(), SignInRefusal>, done: &str) -> Result<Response, Fault> {
    match did {
        Ok(()) => Ok(see_other(&format!("/signin/security?done={done}"))),
        Err(why) => match Refused::of(&visit, why) {
            Refused::Again(problem) => show(visit, None, Some(problem)).await,
            Refused::Elsewhere(place) => Ok(see_other(&place)),
        },
    }
}

/// To the first page, and then back here.
fn start(mut visit: Visit) -> Response {
    visit.return_to = ReturnPath::parse("/signin/security");
    visit.turn_to("/signin")
}

async fn show(visit: Visit, done: Option<String>, problem: Option<Problem>) -> Result<Response, Fault> {
    let Some((session, view)) = visit.open_session().await? else { return Ok(start(visit)) };
    if view.next != NextStep::Done {
        let here = ReturnPath::parse("/signin/security");
        return Ok(see_other(&place_of(&view.next, here.as_ref())));
    }
    let say = visit.say;
    let sessions = sessions(&visit, session, &view).await?;
    let passkeys = view.passkeys.into_iter().map(|(id, name, at)| PasskeyRow {
        id,
        name,
        added: say.added_on.fill("date", date(at)),
    });
    let page = SecurityPage {
        frame: visit.frame(problem.as_ref()),
        say,
        user: view.user_name,
        done,
        passkeys: passkeys.collect(),
        has_totp: view.has_totp,
        codes_left: view.recovery_codes_left,
        sessions,
    };
    visit.show(problem.as_ref(), &page)
}

async fn sessions(visit: &Visit, session: Secret<String>, view: &SessionView) -> Result<Vec<SessionRow>, Fault> {
    let open = visit.enter(ListOwnSessions { session }).await?.unwrap_or_default();
    let say = visit.say;
    let row = |session: Session| {
        let address = session.address.map_or_else(|| say.unknown_address.to_string(), |address| address.to_string());
        let since = date(session.started_at);
        let places = (("date", since.as_str()), ("address", address.as_str()));
        SessionRow {
            id: session.id,
            is_this: session.id == view.id,
            line: say.session_line.fill_both(places.0, places.1),
            end: say.session_end_named.fill_both(places.0, places.1),
            agent: if session.agent.is_empty() { say.unknown_agent.to_string() } else { agent::shown(&session.agent) },
        }
    };
    Ok(open.into_iter().take(MOST_SESSIONS).map(row).collect())
}

/// A moment to the minute, in UTC and the same in every language.
fn date(at: Timestamp) -> String {
    let text = at.rfc3339();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", time.chars().take(5).collect::<String>())
}
