//! The page that carries an answer to an application by POST (OAuth 2.0 Form Post Response Mode).

use askama::Template;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use kernel::{Error, Kind};

use super::{
    assets,
    fault::Fault,
    messages::Messages,
    page::{POLICY, html_page},
    visit::{Frame, Visit},
};
use crate::Guest;

#[derive(Template)]
#[template(path = "signin/form_post.html")]
struct FormPostPage<'a> {
    frame: Frame,
    say: &'static Messages,
    send: String,
    place: &'a str,
    parameters: &'a [(String, String)],
}

/// A form to the application's address that sends itself, or by its button where there is no JavaScript. `place` is one that the
/// application registered.
pub(crate) fn form_post(guest: &Guest, place: &str, parameters: &[(String, String)]) -> Result<Response, Fault> {
    let visit = Visit::of(guest)?;
    if !takes_forms(place) {
        let why = "an answer by `form_post` needs an http or https address";
        return Err(visit.fault(&Error::new(Kind::Unsupported, why)));
    }
    let page = FormPostPage { frame: visit.frame(None), say: visit.say, send: assets::SEND.link(), place, parameters };
    let html = page.render().map_err(|why| visit.fault(&Error::internal(why)))?;
    let mut response = html_page(visit.language, StatusCode::OK, html);
    // Where forms go is left open: in Chromium the form's redirections would be bound, too, and the application may send the
    // browser on to a page of another origin. There is one form here, it is ours, and its address is a registered one.
    let policy = POLICY.replace("form-action 'self'; ", "");
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}

/// Whether a browser sends a form to such an address; to others it would start a program, or run a script.
fn takes_forms(place: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| place.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_goes_to_a_web_address_alone() {
        for place in ["http://localhost:8400", "https://app.example/cb?x=1", "http://[::1]:9/cb"] {
            assert!(takes_forms(place), "{place}");
        }
        for place in ["", "//app.example", "app://callback", "javascript:alert(1)", "data:text/html,https://"] {
            assert!(!takes_forms(place), "{place}");
        }
    }
}
