//! The cookies of the sign-in pages: the session's key, and before there is one, a browser's.

use http::{HeaderValue, header};
use kernel::Secret;

use crate::Guest;

/// The session's key. `__Host-`: only this very host can set it, and only over TLS (RFC 6265bis §4.1.3.2).
const SESSION: &str = "__Host-bartizan";
/// A browser's key, which it was given before it had a session: forms are tied to it, and the way back to an application.
const BROWSER: &str = "__Host-bartizan-browser";
/// Longer values were not set by us (bytes).
const LONGEST: usize = 256;
/// `Lax`: applications send browsers here by links and redirections, and the session has to be seen then.
const RULES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

impl Guest {
    /// The key of the browser's session, if it sent one. Whether it is open is for the operation to say.
    pub(crate) fn session(&self) -> Option<Secret<String>> {
        self.cookie(SESSION)
    }

    /// The key that the browser was given before it had a session, if it sent one.
    pub(crate) fn browser(&self) -> Option<Secret<String>> {
        self.cookie(BROWSER)
    }

    /// A cookie's value; none when it comes twice, since then somebody else set one of the two. HTTP/2 may carry each cookie
    /// in a header of its own (RFC 9113 §8.2.3).
    pub(crate) fn cookie(&self, name: &str) -> Option<Secret<String>> {
        let lines = self.headers().get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value);
        let value = values.next().filter(|value| !value.is_empty() && value.len() <= LONGEST)?;
        values.next().is_none().then(|| Secret::new(value.to_owned()))
    }
}

/// Gives the browser its session's key. It ends with the browser; the session itself ends sooner.
pub(super) fn set_session(key: &Secret<String>) -> Option<HeaderValue> {
    sensitive(format!("{SESSION}={}; {RULES}", key.expose()))
}

/// Gives a browser a key.
pub(crate) fn set_browser(key: &Secret<String>) -> Option<HeaderValue> {
    sensitive(format!("{BROWSER}={}; {RULES}", key.expose()))
}

/// Takes the session's key away.
pub(super) fn clear_session() -> HeaderValue {
    HeaderValue::from_static("__Host-bartizan=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

fn sensitive(line: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&line).ok()?;
    value.set_sensitive(true);
    Some(value)
}
