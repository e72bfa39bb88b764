//! `/signin/password`: changing one's own password.

use askama::Template;
use axum::response::Response;
use domain::identity::{ChangePassword, NextStep, SignInRefusal};
use http::header;

use super::{
    cookie::set_session,
    fault::Fault,
    form::Form,
    messages::Messages,
    page::{place_of, see_other},
    refusal::{Problem, Refused},
    visit::{Frame, Visit},
};
use crate::Guest;

#[derive(Template)]
#[template(path = "signin/password.html")]
struct PasswordPage {
    frame: Frame,
    say: &'static Messages,
    user_name: String,
    /// The sign-in cannot go on without.
    is_demanded: bool,
    away: String,
}

/// `GET /signin/password`.
pub(super) async fn get_password(guest: Guest) -> Result<Response, Fault> {
    show(&Visit::of(&guest)?, None).await
}

/// `POST /signin/password`.
pub(super) async fn post_password(guest: Guest) -> Result<Response, Fault> {
    let (visit, mut form) = Form::read(guest).await?;
    let Some(session) = visit.session.clone() else { return Ok(visit.turn_to("/signin")) };
    let (old, new, again) = (form.secret("old"), form.secret("new"), form.secret("again"));
    if new.expose() != again.expose() {
        return show(&visit, Some(Problem::new(&visit.say.problem_passwords_differ))).await;
    }
    match visit.enter(ChangePassword { session, old, new }).await? {
        Ok(signed) if signed.next == NextStep::Done && visit.return_to.is_none() => {
            let mut response = see_other("/signin/security?done=password");
            if let Some(cookie) = set_session(&signed.cookie) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Ok(signed) => Ok(visit.go_on(&signed)),
        Err(SignInRefusal::BadCredentials) => {
            show(&visit, Some(Problem::new(&visit.say.problem_bad_old_password))).await
        }
        Err(why) => match Refused::of(&visit, why) {
            Refused::Again(problem) => show(&visit, Some(problem)).await,
            Refused::Elsewhere(place) => Ok(see_other(&place)),
        },
    }
}

async fn show(visit: &Visit, problem: Option<Problem>) -> Result<Response, Fault> {
    let Some((_, view)) = visit.open_session().await? else { return Ok(visit.turn_to("/signin")) };
    let is_demanded = view.next == NextStep::ChangePassword;
    if !is_demanded && view.next != NextStep::Done {
        return Ok(see_other(&place_of(&view.next, visit.return_to.as_ref())));
    }
    let page = PasswordPage {
        frame: visit.frame(problem.as_ref()),
        say: visit.say,
        user_name: view.user_name,
        is_demanded,
        away: place_of(&NextStep::Done, visit.return_to.as_ref()),
    };
    visit.show(problem.as_ref(), &page)
}
