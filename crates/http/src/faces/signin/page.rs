//! How a page leaves: its headers, and redirections between pages.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use domain::identity::{NextStep, SignedIn};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use kernel::Error;

use super::{
    cookie::set_session,
    fault::Fault,
    messages::Language,
    refusal::Problem,
    return_path::{ReturnPath, with_return},
    visit::Visit,
};

/// Everything is forbidden but our own styles, picture, script, its requests, and forms to ourselves. A form's redirections count
/// as the form's (in Chromium): that is why a sign-in ends on `/signin/continue` before it goes on to an application.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

impl Visit {
    /// Answers with a page; its frame says what went wrong, and the answer's status does.
    pub(super) fn show<T: Template>(&self, problem: Option<&Problem>, page: &T) -> Result<Response, Fault> {
        let html = page.render().map_err(|why| self.fault(&Error::internal(why)))?;
        let mut response = html_page(self.language, StatusCode::OK, html);
        if let Some(problem) = problem {
            problem.mark(&mut response);
        }
        if let Some(cookie) = self.new_cookie() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Ok(response)
    }

    /// What comes after a step that was taken: the browser gets the session's new key and is sent to the next page.
    pub(super) fn go_on(&self, signed: &SignedIn) -> Response {
        go_on(signed, self.return_to.as_ref())
    }

    /// To another of the sign-in pages; where the browser wants to go in the end is handed on.
    pub(super) fn turn_to(&self, page: &str) -> Response {
        see_other(&with_return(page, self.return_to.as_ref()))
    }
}

/// What comes after a step of a sign-in that was taken, however it was.
pub(crate) fn go_on(signed: &SignedIn, return_to: Option<&ReturnPath>) -> Response {
    let mut response = see_other(&place_of(&signed.next, return_to));
    if let Some(cookie) = set_session(&signed.cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Where a session has to go next.
pub(super) fn place_of(next: &NextStep, return_to: Option<&ReturnPath>) -> String {
    match (next, return_to) {
        (NextStep::Done, None) => String::from("/signin/security"),
        (NextStep::Done, Some(place)) if place.leads_away() => with_return("/signin/continue", return_to),
        (NextStep::Done, Some(place)) => place.as_str().to_owned(),
        (NextStep::ProveSecondFactor { .. }, _) => with_return("/signin/second-factor", return_to),
        (NextStep::EnrolSecondFactor, _) => with_return("/signin/enrol", return_to),
        (NextStep::ChangePassword, _) => with_return("/signin/password", return_to),
    }
}

/// 303: whatever was sent before, what comes is fetched by GET (RFC 9700 §4.12).
pub(super) fn see_other(place: &str) -> Response {
    let mut headers = HeaderMap::new();
    if let Ok(place) = HeaderValue::from_str(place) {
        headers.insert(header::LOCATION, place);
    }
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// A page with the headers that all have. The porch adds those of every answer: no referrer, no frames, no guessing of types, and
/// `no-store`.
pub(super) fn html_page(language: Language, status: StatusCode, html: String) -> Response {
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CONTENT_LANGUAGE, language.tag()),
        (header::VARY, "accept-language, cookie"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
