//! The authorization endpoint (RFC 6749 §3.1): a browser comes from an application, and goes back to it or to the sign-in pages.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    identity::{Authorize, AuthorizeOutcome, AuthorizeRequest, ResponseMode, new_browser_key},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kernel::Secret;

use super::refusal;
use crate::{
    Guest,
    faces::signin::{Fault, escape, form_post, set_browser},
    path,
};

/// The longest request that is posted, in bytes. On its way through the sign-in pages it is part of an address.
const LONGEST: usize = 8 * 1024;

/// `GET …/authorize`.
pub(super) async fn get_authorize(guest: Guest) -> Result<Response, Fault> {
    authorize(&guest, guest.query_text()).await
}

/// `POST …/authorize`: the same with its parameters in a form (OpenID Connect Core §3.1.2.1). From another site's page it comes
/// without the session's cookie; the way through the sign-in page brings that.
pub(super) async fn post_authorize(guest: Guest) -> Result<Response, Fault> {
    let shell = guest.shell();
    let language = shell.header("accept-language");
    let source = shell.source();
    let body = guest.bytes_to(LONGEST).await.map_err(|why| Fault::of_gate(language, &source, &why))?;
    let no_form = |_| Fault::of_application(language, &source, "AADSTS900144: the body is not a form");
    authorize(&shell, std::str::from_utf8(&body).map_err(no_form)?).await
}

async fn authorize(guest: &Guest, text: &str) -> Result<Response, Fault> {
    let language = guest.header("accept-language").map(str::to_owned);
    let source = guest.source();
    let of_gate = |why: kernel::Error| Fault::of_gate(language.as_deref(), &source, &why);
    let of_application = |detail: &str| Fault::of_application(language.as_deref(), &source, detail);
    let tenant: String = guest.param("tenant").map_err(of_gate)?;
    let count = text.split('&').filter(|pair| !pair.is_empty()).count();
    let pairs: Vec<(String, String)> = path::pairs(text).collect();
    if pairs.len() != count {
        return Err(of_application("AADSTS900144: a parameter of the request is not well encoded"));
    }
    let query = AuthorizeRequest::new(pairs);
    let browser = guest.browser().map_or_else(new_browser_key, Ok).map_err(of_gate)?;
    let op = Authorize { tenant, query: query.clone(), session: guest.session(), browser: browser.clone() };
    let outcome = enter(guest.house(), &guest.anyone(), op).await.map_err(of_gate)?;
    let here = |ticket: &Secret<String>| escape(&address(guest, &query, ticket));
    match outcome {
        AuthorizeOutcome::Answer { redirect_uri, mode, parameters } => send(guest, &redirect_uri, mode, parameters),
        AuthorizeOutcome::Refused { redirect_uri, mode, state, issuer, why } => {
            let (error, number, words) = refusal::of_authorize(why);
            let mut parameters = vec![
                (String::from("error"), error.to_owned()),
                (String::from("error_description"), format!("AADSTS{number}: {words}")),
            ];
            parameters.extend(state.map(|state| (String::from("state"), state)));
            parameters.push((String::from("iss"), issuer));
            send(guest, &redirect_uri, mode, parameters)
        }
        AuthorizeOutcome::SignIn { again, hint, ticket } => {
            let again = if again { "&again=1" } else { "" };
            let hint = hint.map_or_else(String::new, |hint| format!("&hint={}", escape(&hint)));
            Ok(to_page(guest, &browser, &format!("/signin?return={}{again}{hint}", here(&ticket))))
        }
        AuthorizeOutcome::SecondFactor { ticket } => {
            Ok(to_page(guest, &browser, &format!("/signin/second-factor?return={}", here(&ticket))))
        }
        AuthorizeOutcome::Page(why) => Err(of_application(refusal::of_page(why))),
    }
}

/// To one of our pages, with the key that the ticket is bound to.
fn to_page(guest: &Guest, browser: &Secret<String>, place: &str) -> Response {
    let mut response = see_other(place);
    let new = guest.browser().is_none().then(|| set_browser(browser)).flatten();
    response.headers_mut().extend(new.map(|cookie| (header::SET_COOKIE, cookie)));
    response
}

/// This request with a ticket, to be come back to.
fn address(guest: &Guest, query: &AuthorizeRequest, ticket: &Secret<String>) -> String {
    let ticket = (AuthorizeRequest::TICKET, ticket.expose().as_str());
    format!("{}?{}", guest.path(), encoded(query.parameters().chain([ticket])))
}

fn encoded<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join("&")
}

/// Back to the application.
fn send(
    guest: &Guest,
    redirect_uri: &str,
    mode: ResponseMode,
    parameters: Vec<(String, String)>,
) -> Result<Response, Fault> {
    let text = || encoded(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Ok(match mode {
        ResponseMode::FormPost => return form_post(guest, redirect_uri, &parameters),
        ResponseMode::Fragment => see_other(&format!("{redirect_uri}#{}", text())),
        ResponseMode::Query => {
            let mark = if redirect_uri.contains('?') { '&' } else { '?' };
            see_other(&format!("{redirect_uri}{mark}{}", text()))
        }
    })
}

/// 303: never the request once more at another place (RFC 9700 §4.12).
fn see_other(place: &str) -> Response {
    let mut headers = HeaderMap::new();
    if let Ok(mut place) = HeaderValue::from_str(place) {
        place.set_sensitive(true);
        headers.insert(header::LOCATION, place);
    }
    (StatusCode::SEE_OTHER, headers).into_response()
}
