//! `/device`: a person signs another device in (RFC 8628). They type the code that it shows, are shown what it is and where it is,
//! and decide.

use askama::Template;
use axum::response::Response;
use domain::identity::{DecideDevice, DeviceRefusal, DeviceRequest, GetDeviceRequest, GetSignInPage, NextStep};
use kernel::Secret;

use super::{
    fault::Fault,
    form::Form,
    messages::{Messages, Text},
    page::{place_of, see_other},
    refusal::Problem,
    return_path::{ReturnPath, escape},
    sign_in::MessagePage,
    visit::{Frame, Visit},
};
use crate::Guest;

/// Longer codes do not exist (characters).
const LONGEST_CODE: usize = 32;
/// Permissions that are shown; an application asks for a handful.
const MOST_SCOPES: usize = 40;

#[derive(Template)]
#[template(path = "signin/device.html")]
struct DevicePage {
    frame: Frame,
    say: &'static Messages,
    user: String,
    user_code: String,
}

#[derive(Template)]
#[template(path = "signin/device_confirm.html")]
struct ConfirmPage {
    frame: Frame,
    say: &'static Messages,
    user: String,
    user_code: String,
    application: String,
    address: String,
    wishes: Vec<String>,
}

/// `GET /device?user_code=…`. A code in the address is only filled in: the person still looks at it and goes on.
pub(super) async fn get_device(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::of(&guest)?;
    let user_code: String = guest.query("user_code").unwrap_or_default().chars().take(LONGEST_CODE).collect();
    ask(visit, user_code, None).await
}

/// `GET` of the addresses that Entra's clients and documents know the page by.
pub(super) async fn get_device_alias(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::of(&guest)?;
    visit.enter(GetSignInPage::default()).await?;
    Ok(see_other("/device"))
}

/// `POST /device`: shows which device the code belongs to.
pub(super) async fn post_device(guest: Guest) -> Result<Response, Fault> {
    let (visit, mut form) = Form::read(guest).await?;
    let user_code = form.take("user_code");
    let Some((session, user)) = signed_in(&visit).await? else { return ask(visit, user_code, None).await };
    let found = visit.enter(GetDeviceRequest { session, user_code: user_code.clone() }).await?;
    match found {
        Ok(device) => confirm(&visit, user, user_code, device),
        Err(why) => refused(visit, user_code, why).await,
    }
}

/// `POST /device/decide`.
pub(super) async fn post_decision(guest: Guest) -> Result<Response, Fault> {
    let (visit, mut form) = Form::read(guest).await?;
    let user_code = form.take("user_code");
    let Some((session, _)) = signed_in(&visit).await? else { return ask(visit, user_code, None).await };
    // Whatever is not a yes is a no.
    let approve = form.take("decision") == "approve";
    match visit.enter(DecideDevice { session, user_code: user_code.clone(), approve }).await? {
        Ok(()) => decided(&visit, approve),
        Err(why) => refused(visit, user_code, why).await,
    }
}

/// The session and its owner's name, once nothing is missing from the sign-in.
async fn signed_in(visit: &Visit) -> Result<Option<(Secret<String>, String)>, Fault> {
    let open = visit.open_session().await?.filter(|(_, view)| view.next == NextStep::Done);
    Ok(open.map(|(session, view)| (session, view.user_name)))
}

/// Asks for the code, after the sign-in.
async fn ask(mut visit: Visit, user_code: String, problem: Option<Problem>) -> Result<Response, Fault> {
    let here = here(&user_code);
    match visit.open_session().await? {
        None => {
            visit.return_to = here;
            Ok(visit.turn_to("/signin"))
        }
        Some((_, view)) if view.next != NextStep::Done => Ok(see_other(&place_of(&view.next, here.as_ref()))),
        Some((_, view)) => {
            let frame = visit.frame(problem.as_ref());
            let page = DevicePage { frame, say: visit.say, user: view.user_name, user_code };
            visit.show(problem.as_ref(), &page)
        }
    }
}

/// This page with the code, to come back to.
fn here(user_code: &str) -> Option<ReturnPath> {
    let known = (!user_code.is_empty() && user_code.chars().count() <= LONGEST_CODE).then_some(user_code);
    let place = known.map(|code| format!("/device?user_code={}", escape(code)));
    ReturnPath::parse(&place.unwrap_or_else(|| String::from("/device")))
}

fn confirm(visit: &Visit, user: String, user_code: String, device: DeviceRequest) -> Result<Response, Fault> {
    let say = visit.say;
    let address = device.address.map_or_else(|| say.unknown_address.to_string(), |address| address.to_string());
    let wishes = wishes(say, &device.scope);
    let user_code = user_code.trim().to_uppercase();
    let (frame, application) = (visit.frame(None), device.application);
    visit.show(None, &ConfirmPage { frame, say, user, user_code, application, address, wishes })
}

/// What an application asks for, in words for whoever decides. A permission that has none is shown as it is.
fn wishes(say: &Messages, scope: &str) -> Vec<String> {
    let mut wishes: Vec<String> = Vec::new();
    for permission in scope.split_ascii_whitespace().take(MOST_SCOPES) {
        let words = match (permission, permission.rsplit_once('/')) {
            ("openid" | "profile" | "email", _) => say.device_asks_identity.to_string(),
            ("offline_access", _) => say.device_asks_stay.to_string(),
            (_, Some((resource, ".default" | "user_impersonation"))) => say.device_asks_act.fill("resource", resource),
            _ => permission.to_owned(),
        };
        if !wishes.contains(&words) {
            wishes.push(words);
        }
    }
    wishes
}

async fn refused(mut visit: Visit, user_code: String, why: DeviceRefusal) -> Result<Response, Fault> {
    let say = visit.say;
    let problem = match why {
        DeviceRefusal::UnknownCode => Problem::new(&say.problem_device_code),
        DeviceRefusal::Throttled { seconds } => Problem::throttled(say, seconds),
        DeviceRefusal::SignIn => return ask(visit, user_code, None).await,
        DeviceRefusal::SecondFactor => {
            visit.return_to = here(&user_code);
            return Ok(visit.turn_to("/signin/second-factor"));
        }
    };
    ask(visit, user_code, Some(problem)).await
}

fn decided(visit: &Visit, approve: bool) -> Result<Response, Fault> {
    let say = visit.say;
    let (title, text): (&Text, &Text) = if approve {
        (&say.device_approved_title, &say.device_approved)
    } else {
        (&say.device_denied_title, &say.device_denied)
    };
    let page =
        MessagePage { frame: visit.frame(None), say, title: title.to_string(), text: text.to_string(), link: None };
    visit.show(None, &page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faces::signin::messages::Language;

    #[test]
    fn what_an_application_asks_for_is_said_once_and_in_words() {
        let scope = "https://h:1/.default https://h:1/user_impersonation openid profile offline_access jobs.read";
        let asked = wishes(Language::English.messages(), scope);
        let expected = [
            "to do in your name what you may do at https://h:1",
            "to know who you are",
            "to keep its access while you are away",
            "jobs.read",
        ];
        assert_eq!(asked, expected);
    }
}
