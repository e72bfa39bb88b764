//! `/signin/second-factor`: a code of an authenticator, a recovery code, or a passkey.

use askama::Template;
use axum::response::{IntoResponse, Response};
use domain::identity::{
    BeginPasskey, FinishPasskey, Method, NextStep, ProveRecoveryCode, ProveTotp, SecondFactor, SessionView,
    SignInRefusal,
};
use serde_json::{Value, json};

use super::{
    fault::Fault,
    form::{Form, read_script},
    messages::Messages,
    page::{place_of, see_other},
    refusal::{Problem, Refused},
    sign_in::sign_in_again,
    visit::{Frame, Visit},
};
use crate::Guest;

#[derive(Template)]
#[template(path = "signin/second_factor.html")]
struct SecondFactorPage {
    frame: Frame,
    say: &'static Messages,
    user: String,
    has_totp: bool,
    has_passkey: bool,
    has_recovery_code: bool,
    /// The recovery code is what went wrong.
    is_recovering: bool,
}

/// `GET /signin/second-factor`.
pub(super) async fn get_second_factor(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::of(&guest)?;
    show(&visit, None, false).await
}

/// `POST /signin/second-factor/totp`.
pub(super) async fn post_totp(guest: Guest) -> Result<Response, Fault> {
    let (visit, mut form) = Form::read(guest).await?;
    let Some(session) = visit.session.clone() else { return Ok(visit.turn_to("/signin")) };
    match visit.enter(ProveTotp { session, code: form.take("code") }).await? {
        Ok(signed) => Ok(visit.go_on(&signed)),
        Err(why) => again(&visit, why, false).await,
    }
}

/// `POST /signin/second-factor/recovery-code`.
pub(super) async fn post_recovery_code(guest: Guest) -> Result<Response, Fault> {
    let (visit, mut form) = Form::read(guest).await?;
    let Some(session) = visit.session.clone() else { return Ok(visit.turn_to("/signin")) };
    match visit.enter(ProveRecoveryCode { session, code: form.take("code") }).await? {
        Ok(signed) => Ok(visit.go_on(&signed)),
        Err(SignInRefusal::BadCode) => {
            show(&visit, Some(Problem::new(&visit.say.problem_bad_recovery_code)), true).await
        }
        Err(why) => again(&visit, why, true).await,
    }
}

/// `POST /signin/second-factor/passkey/begin`, by the script.
pub(super) async fn begin_passkey_as_second(guest: Guest) -> Response {
    match read_script(guest).await {
        Ok(visit) => {
            let session = visit.session.clone();
            if session.is_none() {
                return Refused::of(&visit, SignInRefusal::Expired).into_json();
            }
            challenge(&visit, BeginPasskey { session }).await
        }
        Err(fault) => fault.into_json(),
    }
}

/// `POST /signin/passkey/begin`, by the script: without a password.
pub(super) async fn begin_passkey(guest: Guest) -> Response {
    match read_script(guest).await {
        Ok(visit) => challenge(&visit, BeginPasskey { session: None }).await,
        Err(fault) => fault.into_json(),
    }
}

async fn challenge(visit: &Visit, op: BeginPasskey) -> Response {
    match visit.enter(op).await {
        Ok(Ok(challenge)) => {
            axum::Json(json!({"ticket": challenge.ticket, "options": challenge.options})).into_response()
        }
        Ok(Err(why)) => Refused::of(visit, why).into_json(),
        Err(fault) => fault.into_json(),
    }
}

/// `POST /signin/second-factor/passkey`.
pub(super) async fn post_passkey_as_second(guest: Guest) -> Result<Response, Fault> {
    let (visit, mut form) = Form::read(guest).await?;
    let Some(session) = visit.session.clone() else { return Ok(visit.turn_to("/signin")) };
    match visit.enter(finish(&visit, &mut form, Some(session))).await? {
        Ok(signed) => Ok(visit.go_on(&signed)),
        Err(why) => again(&visit, why, false).await,
    }
}

/// `POST /signin/passkey`: without a password.
pub(super) async fn post_passkey(guest: Guest) -> Result<Response, Fault> {
    let (visit, mut form) = Form::read(guest).await?;
    match visit.enter(finish(&visit, &mut form, None)).await? {
        Ok(signed) => Ok(visit.go_on(&signed)),
        Err(why) => sign_in_again(&visit, String::new(), why).await,
    }
}

fn finish(visit: &Visit, form: &mut Form, session: Option<kernel::Secret<String>>) -> FinishPasskey {
    FinishPasskey { session, ticket: form.take("ticket"), credential: credential(form), agent: visit.agent.clone() }
}

/// What the authenticator answered; nothing, which proves nothing, when it is no JSON.
pub(super) fn credential(form: &mut Form) -> Value {
    serde_json::from_str(&form.take("credential")).unwrap_or_default()
}

async fn again(visit: &Visit, why: SignInRefusal, is_recovering: bool) -> Result<Response, Fault> {
    match Refused::of(visit, why) {
        Refused::Again(problem) => show(visit, Some(problem), is_recovering).await,
        Refused::Elsewhere(place) => Ok(see_other(&place)),
    }
}

async fn show(visit: &Visit, problem: Option<Problem>, is_recovering: bool) -> Result<Response, Fault> {
    let Some((_, view)) = visit.open_session().await? else { return Ok(visit.turn_to("/signin")) };
    let methods = match offered(&view) {
        Offer::Prove(methods) => methods,
        Offer::Enrol => return Ok(visit.turn_to("/signin/enrol")),
        Offer::Nothing => return Ok(see_other(&place_of(&view.next, visit.return_to.as_ref()))),
    };
    let has = |method| methods.contains(&method);
    let page = SecondFactorPage {
        frame: visit.frame(problem.as_ref()),
        say: visit.say,
        user: view.user_name,
        has_totp: has(SecondFactor::Totp),
        has_passkey: has(SecondFactor::Passkey),
        has_recovery_code: has(SecondFactor::RecoveryCode),
        is_recovering,
    };
    visit.show(problem.as_ref(), &page)
}

/// What the page asks a session for.
enum Offer {
    Prove(Vec<SecondFactor>),
    Enrol,
    Nothing,
}

/// An application may ask for a second factor that the sign-in itself did not (a claims challenge): a session that is done, but by
/// one factor, comes here too.
fn offered(view: &SessionView) -> Offer {
    let is_second = |method: &Method| !matches!(method, Method::Password | Method::Federated);
    match &view.next {
        NextStep::ProveSecondFactor { methods } => Offer::Prove(methods.clone()),
        NextStep::Done if !view.methods.iter().any(is_second) => {
            let kinds = [
                (view.has_totp, SecondFactor::Totp),
                (!view.passkeys.is_empty(), SecondFactor::Passkey),
                (view.recovery_codes_left > 0, SecondFactor::RecoveryCode),
            ];
            let has_factor = view.has_totp || !view.passkeys.is_empty();
            let methods = kinds.into_iter().filter_map(|(is_there, method)| is_there.then_some(method)).collect();
            if has_factor { Offer::Prove(methods) } else { Offer::Enrol }
        }
        _ => Offer::Nothing,
    }
}
