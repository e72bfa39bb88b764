//! `/signin`: user name and password, and the ways around them. Also where a sign-in ends: going on, and signing out.

use askama::Template;
use axum::response::Response;
use domain::identity::{
    GetSignInPage, ListSignInProviders, NextStep, SignInPage, SignInRefusal, SignInWithPassword, SignOut,
};
use http::header;

use super::{
    cookie::clear_session,
    fault::Fault,
    form::Form,
    messages::Messages,
    page::{place_of, see_other},
    refusal::{Problem, Refused},
    return_path::{ReturnPath, escape, with_again, with_return},
    visit::{Frame, Visit},
};
use crate::Guest;

/// Longer sign-in names do not exist (characters); what is shown again is cut there.
const LONGEST_NAME: usize = 256;

#[derive(Template)]
#[template(path = "signin/sign_in.html")]
struct FirstPage {
    frame: Frame,
    say: &'static Messages,
    tenant: String,
    /// Where the sign-in leads.
    application: Option<String>,
    user_name: String,
    /// Whoever is signed in already.
    known: Option<Link>,
    /// Upstream providers.
    providers: Vec<Link>,
}

/// A name with where it leads.
struct Link {
    name: String,
    link: String,
}

#[derive(Template)]
#[template(path = "signin/continue.html")]
struct ContinuePage {
    frame: Frame,
    say: &'static Messages,
    away: String,
}

#[derive(Template)]
#[template(path = "signin/sign_out.html")]
struct SignOutPage {
    frame: Frame,
    say: &'static Messages,
    /// None when the browser was silent for so long that it is not told.
    user: Option<String>,
}

/// A page that says something and is done.
#[derive(Template)]
#[template(path = "signin/message.html")]
pub(super) struct MessagePage {
    pub(super) frame: Frame,
    pub(super) say: &'static Messages,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) link: Option<(&'static str, String)>,
}

/// `GET /signin?return=…&hint=…&again=…`. Whoever is signed in already is not sent on unasked: that the browser is here may mean
/// that the application wants another account, or a fresh proof (`again`).
pub(super) async fn get_sign_in(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::of(&guest)?;
    let again = guest.query("again");
    let known = match (&again, visit.open_session().await?) {
        (None, Some((_, view))) if view.next == NextStep::Done => match &visit.return_to {
            None => return Ok(see_other("/signin/security")),
            Some(place) => Some(Link { name: view.user_name, link: place.as_str().to_owned() }),
        },
        (None, Some((_, view))) => return Ok(see_other(&place_of(&view.next, visit.return_to.as_ref()))),
        _ => None,
    };
    let problem = match again.as_deref() {
        Some("expired") => Some(Problem::hint(&visit.say.problem_expired)),
        Some("prove") => Some(Problem::hint(&visit.say.problem_needs_proof)),
        _ => None,
    };
    let hint: String = guest.query("hint").unwrap_or_default().chars().take(LONGEST_NAME).collect();
    let is_proof_due = matches!(again.as_deref(), Some("1" | "prove"));
    show(&visit, known, hint, problem, is_proof_due).await
}

/// `POST /signin`.
pub(super) async fn post_sign_in(guest: Guest) -> Result<Response, Fault> {
    let (visit, mut form) = Form::read(guest).await?;
    let user_name = form.take("user_name");
    let shown = user_name.chars().take(LONGEST_NAME).collect();
    let op = SignInWithPassword { user_name, password: form.secret("password"), agent: visit.agent.clone() };
    match visit.enter(op).await? {
        Ok(signed) => Ok(visit.go_on(&signed)),
        Err(why) => sign_in_again(&visit, shown, why).await,
    }
}

/// The first page again, with what went wrong.
pub(super) async fn sign_in_again(visit: &Visit, user_name: String, why: SignInRefusal) -> Result<Response, Fault> {
    match Refused::of(visit, why) {
        Refused::Again(problem) => show(visit, None, user_name, Some(problem), false).await,
        Refused::Elsewhere(place) => Ok(see_other(&place)),
    }
}

/// There is one tenant, whatever alias (`common`, `organizations`) the browser came by: its name is shown, and there is nothing to
/// choose from.
async fn show(
    visit: &Visit,
    known: Option<Link>,
    user_name: String,
    problem: Option<Problem>,
    is_proof_due: bool,
) -> Result<Response, Fault> {
    let client = visit.return_to.as_ref().and_then(ReturnPath::client);
    let SignInPage { tenant, application } = visit.enter(GetSignInPage { client }).await?;
    let providers = visit.enter(ListSignInProviders).await?;
    let link = |id: &str| {
        let place = with_return(&format!("/signin/federated/{}", escape(id)), visit.return_to.as_ref());
        if is_proof_due { with_again(&place, "1") } else { place }
    };
    let providers = providers.into_iter().map(|provider| Link { link: link(&provider.id), name: provider.name });
    let providers = providers.collect();
    let frame = visit.frame(problem.as_ref());
    visit.show(problem.as_ref(), &FirstPage { frame, say: visit.say, tenant, application, user_name, known, providers })
}

/// `GET /signin/continue?return=…`: the end of a sign-in for an application. A page of its own, because a form's redirections have
/// to stay with us, and an application's answer goes elsewhere.
pub(super) async fn get_continue(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::of(&guest)?;
    visit.enter(GetSignInPage::default()).await?;
    match &visit.return_to {
        Some(place) => {
            let away = place.as_str().to_owned();
            visit.show(None, &ContinuePage { frame: visit.frame(None), say: visit.say, away })
        }
        None => Ok(see_other("/signin/security")),
    }
}

/// `GET /signout`: asks. Nothing changes by a GET, so that no other page can sign anybody out.
pub(super) async fn get_sign_out(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::of(&guest)?;
    let user = visit.open_session().await?.map(|(_, view)| view.user_name);
    if visit.session.is_none() {
        return signed_out(&visit);
    }
    // A key that opens nothing any more may still end what applications got by it.
    visit.show(None, &SignOutPage { frame: visit.frame(None), say: visit.say, user })
}

/// `POST /signout`.
pub(super) async fn post_sign_out(guest: Guest) -> Result<Response, Fault> {
    let (visit, _) = Form::read(guest).await?;
    if let Some(session) = visit.session.clone() {
        visit.enter(SignOut { session }).await?;
    }
    signed_out(&visit)
}

fn signed_out(visit: &Visit) -> Result<Response, Fault> {
    let say = visit.say;
    let page = MessagePage {
        frame: visit.frame(None),
        say,
        title: say.signed_out_title.to_string(),
        text: say.signed_out_text.to_string(),
        link: Some(("/signin", say.sign_in_again.to_string())),
    };
    let mut response = visit.show(None, &page)?;
    response.headers_mut().append(header::SET_COOKIE, clear_session());
    Ok(response)
}
