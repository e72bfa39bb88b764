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
    let target = target(place).ok_or_else(|| {
        visit.fault(&Error::new(Kind::Unsupported, "an answer by `form_post` needs an http or https address"))
    })?;
    let page = FormPostPage { frame: visit.frame(None), say: visit.say, send: assets::SEND.link(), place, parameters };
    let html = page.render().map_err(|why| visit.fault(&Error::internal(why)))?;
    let mut response = html_page(visit.language, StatusCode::OK, html);
    // To the application and nowhere else.
    let policy = POLICY.replace("form-action 'self'", &format!("form-action {target}"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}

/// The origin of an address, as a policy names it.
fn target(place: &str) -> Option<&str> {
    let rest = place.strip_prefix("https://").or_else(|| place.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b':' | b'[' | b']');
    let length = place.len().checked_sub(rest.len())?.checked_add(authority.len())?;
    (!authority.is_empty() && authority.bytes().all(is_plain)).then(|| place.get(..length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_the_application_s_origin_alone() {
        let cases = [
            ("http://localhost:8400", Some("http://localhost:8400")),
            ("http://localhost:8400/", Some("http://localhost:8400")),
            ("https://app.example/cb?x=1", Some("https://app.example")),
            ("https://app.example?x=1", Some("https://app.example")),
            ("http://[::1]:9/cb", Some("http://[::1]:9")),
            ("https://", None),
            ("https://a.example;script-src *", None),
            ("https://a.example *", None),
            ("https://user@a.example/", None),
            ("app://callback", None),
            ("javascript:alert(1)", None),
        ];
        for (place, origin) in cases {
            assert_eq!(target(place), origin, "{place}");
        }
    }
}
