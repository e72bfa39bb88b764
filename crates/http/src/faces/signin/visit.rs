//! A browser on one of the pages: its language, its cookies, where it wants to go, and its way to the gate.

use std::sync::Arc;

use domain::{
    gate::{House, Op, enter},
    identity::{GetSession, SessionView, form_token, is_form_token, new_browser_key},
};
use http::HeaderValue;
use kernel::{Caller, Secret};

use super::{
    assets,
    cookie::set_browser,
    fault::Fault,
    messages::{Language, Messages},
    refusal::Problem,
    return_path::ReturnPath,
};
use crate::Guest;

/// How much of what a browser calls itself is read.
const LONGEST_AGENT: usize = 400;

/// A browser on one of the pages.
pub(super) struct Visit {
    house: Arc<House>,
    caller: Caller,
    /// In which language it is answered.
    pub(super) language: Language,
    /// The texts in that language.
    pub(super) say: &'static Messages,
    /// The session's key, if it sent one. It may have ended.
    pub(super) session: Option<Secret<String>>,
    browser: Option<Secret<String>>,
    /// A key that it is given with the page, since it has none.
    fresh: Option<Secret<String>>,
    /// What it calls itself.
    pub(super) agent: String,
    /// Where it goes in the end.
    pub(super) return_to: Option<ReturnPath>,
}

/// What every page is made with.
pub(super) struct Frame {
    pub(super) language: &'static str,
    pub(super) icon: String,
    pub(super) style: String,
    pub(super) script: String,
    /// The form token.
    pub(super) form: String,
    pub(super) return_to: Option<String>,
    /// What went wrong with the step before, if something did.
    pub(super) problem: Option<String>,
}

impl Visit {
    /// The browser that sent this request.
    pub(super) fn of(guest: &Guest) -> Result<Self, Fault> {
        let language = Language::of(guest.header("accept-language"));
        let (session, browser) = (guest.session(), guest.browser());
        let is_unknown = session.is_none() && browser.is_none();
        let fresh = is_unknown.then(new_browser_key).transpose();
        Ok(Self {
            house: Arc::clone(guest.house()),
            caller: Caller::nobody(guest.source()),
            language,
            say: language.messages(),
            session,
            browser,
            fresh: fresh.map_err(|why| Fault::of(language, &guest.source(), &why))?,
            agent: guest.header("user-agent").unwrap_or_default().chars().take(LONGEST_AGENT).collect(),
            return_to: guest.query("return").as_deref().and_then(ReturnPath::parse),
        })
    }

    /// Enters the gate. Whoever asks is nobody to the gate: operations of the sign-in take the session's key and establish by
    /// themselves whose it is.
    pub(super) async fn enter<O: Op>(&self, op: O) -> Result<O::Output, Fault> {
        enter(&self.house, &self.caller, op).await.map_err(|why| self.fault(&why))
    }

    /// The session, if it is open.
    pub(super) async fn open_session(&self) -> Result<Option<(Secret<String>, SessionView)>, Fault> {
        let Some(session) = self.session.clone() else { return Ok(None) };
        let view = self.enter(GetSession { session: session.clone() }).await?;
        Ok(view.map(|view| (session, view)))
    }

    /// An error of the gate as a page.
    pub(super) fn fault(&self, why: &kernel::Error) -> Fault {
        Fault::of(self.language, &self.caller.source, why)
    }

    /// The fault of a form that did not come from a page of ours.
    pub(super) fn foreign_form(&self) -> Fault {
        Fault::foreign_form(self.language, &self.caller.source)
    }

    /// Whether a form carries a token that this browser was given. The key it was made with may have been replaced by a
    /// session's since, in another tab.
    pub(super) fn knows(&self, token: &str) -> bool {
        let mut keys = self.session.iter().chain(&self.browser);
        keys.any(|key| is_form_token(&self.house, key, token))
    }

    /// The frame of a page for this browser.
    pub(super) fn frame(&self, problem: Option<&Problem>) -> Frame {
        let key = self.session.as_ref().or(self.browser.as_ref()).or(self.fresh.as_ref());
        Frame {
            language: self.language.tag(),
            icon: assets::ICON.link(),
            style: assets::STYLE.link(),
            script: assets::SCRIPT.link(),
            form: key.map(|key| form_token(&self.house, key)).unwrap_or_default(),
            return_to: self.return_to.as_ref().map(|place| place.as_str().to_owned()),
            problem: problem.map(|problem| problem.text.clone()),
        }
    }

    /// The key that comes with the page, as a header.
    pub(super) fn new_cookie(&self) -> Option<HeaderValue> {
        self.fresh.as_ref().and_then(set_browser)
    }
}
