//! What cannot be answered, as a page: what happened, what to do, and a number to ask about.

use askama::Template;
use axum::response::{IntoResponse, Response};
use domain::identity::FederationRefusal;
use http::{HeaderValue, StatusCode, header};
use kernel::{Error, Kind, Source};

use super::{
    assets,
    messages::{Language, Messages, Text},
    page::html_page,
    visit::Frame,
};

/// An error page.
pub(crate) struct Fault {
    language: Language,
    status: StatusCode,
    what: &'static Text,
    remedy: &'static Text,
    detail: Option<String>,
    correlation: String,
}

#[derive(Template)]
#[template(path = "signin/error.html")]
struct ErrorPage<'a> {
    frame: Frame,
    say: &'static Messages,
    what: &'static Text,
    remedy: &'static Text,
    detail: Option<&'a str>,
    correlation: &'a str,
}

impl Fault {
    /// An error of the gate.
    pub(super) fn of(language: Language, source: &Source, why: &Error) -> Self {
        let say = language.messages();
        let (status, what, remedy) = match why.kind() {
            Kind::NotFound => (StatusCode::NOT_FOUND, &say.error_missing, &say.error_missing_do),
            Kind::Throttled => (StatusCode::TOO_MANY_REQUESTS, &say.error_busy, &say.error_busy_do),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, &say.error_busy, &say.error_busy_do),
            // Somebody else wrote at the same moment; the next attempt finds what they wrote.
            Kind::Stale => (StatusCode::CONFLICT, &say.error_busy, &say.error_busy_do),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, &say.error_internal, &say.error_internal_do),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, &say.error_request, &say.error_request_do),
            Kind::Unauthenticated
            | Kind::Denied
            | Kind::Exists
            | Kind::Conflict
            | Kind::Invalid
            | Kind::Unsupported => (StatusCode::BAD_REQUEST, &say.error_request, &say.error_request_do),
        };
        if why.kind() == Kind::Internal {
            tracing::error!(correlation = %source.correlation, fault = ?why, "a sign-in page failed");
        }
        let says_more = matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE);
        let detail = says_more.then(|| why.public().to_owned());
        Self { language, status, what, remedy, detail, correlation: source.correlation.to_string() }
    }

    /// A form that did not come from a page of ours, or from one that was open for too long.
    pub(super) fn foreign_form(language: Language, source: &Source) -> Self {
        let say = language.messages();
        let (what, remedy) = (&say.error_form, &say.error_form_do);
        let correlation = source.correlation.to_string();
        Self { language, status: StatusCode::FORBIDDEN, what, remedy, detail: None, correlation }
    }

    /// An application's request that cannot even be answered to the application: it is not known, or the address it wants its
    /// answer at is not. `detail` is for its developers.
    pub(crate) fn of_application(accept_language: Option<&str>, source: &Source, detail: &str) -> Self {
        let language = Language::of(accept_language);
        let say = language.messages();
        Self {
            language,
            status: StatusCode::BAD_REQUEST,
            what: &say.error_application,
            remedy: &say.error_application_do,
            detail: Some(detail.to_owned()),
            correlation: source.correlation.to_string(),
        }
    }

    /// An error of the gate, on the way to another provider or back.
    pub(crate) fn of_gate(accept_language: Option<&str>, source: &Source, why: &Error) -> Self {
        Self::of(Language::of(accept_language), source, why)
    }

    /// Another provider signed nobody in.
    pub(crate) fn of_provider(accept_language: Option<&str>, source: &Source, why: FederationRefusal) -> Self {
        use FederationRefusal::{
            Away, Declined, Disabled, Expired, NoProvider, NotAgain, NotInvited, TooMany, Unbelievable,
        };
        let language = Language::of(accept_language);
        let say = language.messages();
        let (status, what, remedy) = match why {
            NoProvider => (StatusCode::NOT_FOUND, &say.provider_missing, &say.provider_missing_do),
            TooMany => (StatusCode::TOO_MANY_REQUESTS, &say.error_busy, &say.error_busy_do),
            Expired => (StatusCode::BAD_REQUEST, &say.provider_expired, &say.provider_expired_do),
            Declined => (StatusCode::FORBIDDEN, &say.provider_declined, &say.provider_declined_do),
            Away => (StatusCode::BAD_GATEWAY, &say.provider_away, &say.provider_away_do),
            Unbelievable => (StatusCode::BAD_GATEWAY, &say.provider_unbelievable, &say.provider_unbelievable_do),
            NotAgain => (StatusCode::FORBIDDEN, &say.provider_not_again, &say.provider_not_again_do),
            NotInvited => (StatusCode::FORBIDDEN, &say.provider_not_invited, &say.provider_not_invited_do),
            Disabled => (StatusCode::FORBIDDEN, &say.provider_disabled, &say.provider_disabled_do),
        };
        Self { language, status, what, remedy, detail: None, correlation: source.correlation.to_string() }
    }

    /// The same for a script: one sentence in JSON.
    pub(super) fn into_json(self) -> Response {
        let body = serde_json::json!({"problem": format!("{} {}", self.what, self.remedy)});
        (self.status, axum::Json(body)).into_response()
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let frame = Frame {
            language: self.language.tag(),
            icon: assets::ICON.link(),
            style: assets::STYLE.link(),
            script: String::new(),
            form: String::new(),
            return_to: None,
            problem: None,
        };
        let page = ErrorPage {
            frame,
            say: self.language.messages(),
            what: self.what,
            remedy: self.remedy,
            detail: self.detail.as_deref(),
            correlation: &self.correlation,
        };
        // The template is compiled in; were it to fail, the number alone would still help.
        let html = page.render().unwrap_or_else(|_| self.correlation.clone());
        let mut response = html_page(self.language, self.status, html);
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
