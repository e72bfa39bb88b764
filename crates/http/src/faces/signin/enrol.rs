//! `/signin/enrol`: setting up a second factor, and the recovery codes that come with the first one.

use askama::Template;
use axum::response::{IntoResponse, Response};
use domain::identity::{
    BeginPasskeyEnrolment, BeginTotpEnrolment, FinishPasskeyEnrolment, FinishTotpEnrolment, NextStep, SignInRefusal,
    SignedIn,
};
use http::header;
use kernel::Secret;
use qrcode::{Color, EcLevel, QrCode};
use serde_json::json;

use super::{
    cookie::set_session,
    fault::Fault,
    form::{Form, read_script},
    messages::Messages,
    page::{place_of, see_other},
    refusal::{Problem, Refused},
    return_path::escape,
    second_factor::credential,
    visit::{Frame, Visit},
};
use crate::{Guest, path};

/// The light margin around a QR code, in modules (ISO/IEC 18004 §6.3.8).
const MARGIN: usize = 4;
/// The longest address of an authenticator's secret (bytes).
const LONGEST_URI: usize = 512;

#[derive(Template)]
#[template(path = "signin/enrol.html")]
struct EnrolPage {
    frame: Frame,
    say: &'static Messages,
    /// The sign-in cannot go on without.
    is_demanded: bool,
    away: String,
}

#[derive(Template)]
#[template(path = "signin/totp.html")]
struct TotpPage {
    frame: Frame,
    say: &'static Messages,
    picture: Option<Picture>,
    secret: String,
    uri: String,
    away: String,
}

/// A QR code as a path of an SVG.
struct Picture {
    side: usize,
    path: String,
}

#[derive(Template)]
#[template(path = "signin/codes.html")]
struct CodesPage {
    frame: Frame,
    say: &'static Messages,
    codes: Vec<String>,
    download: String,
    away: String,
}

/// `GET /signin/enrol`.
pub(super) async fn get_enrol(guest: Guest) -> Result<Response, Fault> {
    show(&Visit::of(&guest)?, None).await
}

/// `POST /signin/enrol/totp/begin`: draws a secret and shows it.
pub(super) async fn begin_totp(guest: Guest) -> Result<Response, Fault> {
    let (visit, _) = Form::read(guest).await?;
    let Some(session) = visit.session.clone() else { return Ok(visit.turn_to("/signin")) };
    match visit.enter(BeginTotpEnrolment { session }).await? {
        Ok(totp) => show_totp(&visit, totp.uri.expose(), None),
        Err(why) => again(&visit, why).await,
    }
}

/// `POST /signin/enrol/totp`: the first code.
pub(super) async fn post_totp(guest: Guest) -> Result<Response, Fault> {
    let (visit, mut form) = Form::read(guest).await?;
    let Some(session) = visit.session.clone() else { return Ok(visit.turn_to("/signin")) };
    // Only to be shown again after a slip of the finger: what counts is what the server drew for this session.
    let uri = form.take("uri");
    match visit.enter(FinishTotpEnrolment { session, code: form.take("code") }).await? {
        Ok((signed, codes)) => enrolled(&visit, &signed, &codes, "totp"),
        Err(why @ SignInRefusal::BadCode) if uri.starts_with("otpauth://totp/") && uri.len() <= LONGEST_URI => {
            match Refused::of(&visit, why) {
                Refused::Again(problem) => show_totp(&visit, &uri, Some(problem)),
                Refused::Elsewhere(place) => Ok(see_other(&place)),
            }
        }
        Err(why) => again(&visit, why).await,
    }
}

/// `POST /signin/enrol/passkey/begin`, by the script.
pub(super) async fn begin_passkey(guest: Guest) -> Response {
    let visit = match read_script(guest).await {
        Ok(visit) => visit,
        Err(fault) => return fault.into_json(),
    };
    let Some(session) = visit.session.clone() else {
        return Refused::of(&visit, SignInRefusal::Expired).into_json();
    };
    match visit.enter(BeginPasskeyEnrolment { session }).await {
        Ok(Ok(challenge)) => {
            axum::Json(json!({"ticket": challenge.ticket, "options": challenge.options})).into_response()
        }
        Ok(Err(why)) => Refused::of(&visit, why).into_json(),
        Err(fault) => fault.into_json(),
    }
}

/// `POST /signin/enrol/passkey`.
pub(super) async fn post_passkey(guest: Guest) -> Result<Response, Fault> {
    let (visit, mut form) = Form::read(guest).await?;
    let Some(session) = visit.session.clone() else { return Ok(visit.turn_to("/signin")) };
    let op = FinishPasskeyEnrolment {
        session,
        ticket: form.take("ticket"),
        credential: credential(&mut form),
        name: form.take("name"),
    };
    match visit.enter(op).await? {
        Ok((signed, codes)) => enrolled(&visit, &signed, &codes, "passkey"),
        Err(why) => again(&visit, why).await,
    }
}

/// What comes after a factor was enrolled: its recovery codes, if it brought any, then whatever is next.
fn enrolled(visit: &Visit, signed: &SignedIn, codes: &[Secret<String>], done: &str) -> Result<Response, Fault> {
    let away = match (&signed.next, &visit.return_to) {
        (NextStep::Done, None) => format!("/signin/security?done={done}"),
        (next, return_to) => place_of(next, return_to.as_ref()),
    };
    let mut response = if codes.is_empty() { see_other(&away) } else { show_codes(visit, codes, away)? };
    if let Some(cookie) = set_session(&signed.cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The one time that recovery codes are shown.
pub(super) fn show_codes(visit: &Visit, codes: &[Secret<String>], away: String) -> Result<Response, Fault> {
    let codes: Vec<String> = codes.iter().map(|code| code.expose().clone()).collect();
    // A link that holds its own file: there is no address at which the server would give the codes again.
    let download = format!("data:text/plain;charset=utf-8,{}", escape(&(codes.join("\r\n") + "\r\n")));
    visit.show(None, &CodesPage { frame: visit.frame(None), say: visit.say, codes, download, away })
}

async fn again(visit: &Visit, why: SignInRefusal) -> Result<Response, Fault> {
    match Refused::of(visit, why) {
        Refused::Again(problem) => show(visit, Some(problem)).await,
        Refused::Elsewhere(place) => Ok(see_other(&place)),
    }
}

async fn show(visit: &Visit, problem: Option<Problem>) -> Result<Response, Fault> {
    let Some((_, view)) = visit.open_session().await? else { return Ok(visit.turn_to("/signin")) };
    let is_demanded = view.next == NextStep::EnrolSecondFactor;
    if !is_demanded && view.next != NextStep::Done {
        return Ok(see_other(&place_of(&view.next, visit.return_to.as_ref())));
    }
    let frame = visit.frame(problem.as_ref());
    visit.show(problem.as_ref(), &EnrolPage { frame, say: visit.say, is_demanded, away: away(visit) })
}

fn show_totp(visit: &Visit, uri: &str, problem: Option<Problem>) -> Result<Response, Fault> {
    let query = uri.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let secret = path::pairs(query).find(|(key, _)| key == "secret").map(|(_, value)| value).unwrap_or_default();
    let page = TotpPage {
        frame: visit.frame(problem.as_ref()),
        say: visit.say,
        picture: draw(uri),
        secret: in_fours(&secret),
        uri: uri.to_owned(),
        away: super::return_path::with_return("/signin/enrol", visit.return_to.as_ref()),
    };
    visit.show(problem.as_ref(), &page)
}

/// Where one goes who changes their mind.
fn away(visit: &Visit) -> String {
    place_of(&NextStep::Done, visit.return_to.as_ref())
}

/// A secret in groups that can be typed.
fn in_fours(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    letters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join(" ")
}

fn draw(text: &str) -> Option<Picture> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let colors = code.to_colors();
    let mut path = String::new();
    for (y, row) in colors.chunks(width).enumerate() {
        for (x, _) in row.iter().enumerate().filter(|(_, color)| **color == Color::Dark) {
            path += &format!("M{} {}h1v1h-1z", x.saturating_add(MARGIN), y.saturating_add(MARGIN));
        }
    }
    Some(Picture { side: width.saturating_add(MARGIN.saturating_mul(2)), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_a_margin_and_its_three_corners() {
        let picture = draw("otpauth://totp/Bartizan:ada?secret=JBSWY3DPEHPK3PXP&issuer=Bartizan").unwrap();
        let last = picture.side - MARGIN - 1;
        for corner in [format!("M{MARGIN} {MARGIN}h"), format!("M{last} {MARGIN}h"), format!("M{MARGIN} {last}h")] {
            assert!(picture.path.contains(&corner), "{corner}");
        }
        let allowed = |c: char| c.is_ascii_digit() || "Mhvz- ".contains(c);
        assert!(picture.path.chars().all(allowed));
        assert!(!picture.path.contains("M3 ") && !picture.path.contains(" 3h"));
    }

    #[test]
    fn a_secret_is_shown_in_fours() {
        assert_eq!(in_fours("JBSWY3DPEH"), "JBSW Y3DP EH");
    }
}
