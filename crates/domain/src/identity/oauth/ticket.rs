//! What an authorization request carries through the sign-in page and back: when the person was sent there, for which request,
//! in which browser and session. So it is known whether they proved themselves since, or at least went on from there.

use kernel::{Result, Secret, Timestamp};
use seal::{Fingerprint, Sha256};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::request::AuthorizeRequest;
use crate::{gate::House, identity::Session};

/// The `typ` of tickets: no other check accepts it, and the reverse.
const TYPE: &str = "authorize+jwt";
/// A ticket is good for this long, in milliseconds: as long as a sign-in may take.
const LIFETIME: i64 = 15 * 60 * 1000;
/// What browser keys are fingerprinted as.
const PURPOSE: &str = "authorization ticket";

#[derive(Serialize, Deserialize)]
struct Claims {
    /// When the person was sent to sign in, epoch milliseconds.
    at: i64,
    /// The request.
    request: String,
    /// The session that the browser had then.
    session: Option<Uuid>,
    /// The browser's key, as a keyed hash.
    browser: String,
}

/// A person who was sent to the sign-in page for this request.
pub(super) struct Sent {
    /// When.
    pub at: Timestamp,
    /// Whether they come back in the session that they left in.
    pub is_same_session: bool,
}

/// A ticket for this request, for the browser with this key to come back with.
pub(super) fn issue(
    house: &House,
    request: &AuthorizeRequest,
    browser: &Secret<String>,
    session: Option<Uuid>,
) -> Result<Secret<String>> {
    let browser = house.system().fingerprint(PURPOSE, browser.expose()).to_text();
    let claims = Claims { at: house.now().0, request: digest(request), session, browser };
    Ok(house.identity.state().keys.sign(TYPE, &claims)?)
}

/// What the request's ticket says; none without a ticket of ours that is still good, for exactly this request, and was given
/// to this session or at least to this browser.
pub(super) fn read(
    house: &House,
    request: &AuthorizeRequest,
    browser: &Secret<String>,
    session: &Session,
) -> Option<Sent> {
    let claims: Claims = house.identity.state().keys.verify(TYPE, request.ticket()?)?;
    let age = house.now().0.saturating_sub(claims.at);
    let is_same_session = claims.session == Some(session.id);
    // Any program can ask for a ticket of its own, keep it until the person has signed in for something else, and then send
    // the person's browser here with it: that browser was shown nothing.
    let is_same_browser = Fingerprint::from_text(&claims.browser)
        .is_some_and(|known| house.system().matches(PURPOSE, browser.expose(), &known));
    let is_good = (0..LIFETIME).contains(&age) && claims.request == digest(request);
    (is_good && (is_same_session || is_same_browser)).then_some(Sent { at: Timestamp(claims.at), is_same_session })
}

fn digest(request: &AuthorizeRequest) -> String {
    let mut hash = Sha256::default();
    for (name, value) in request.parameters() {
        for part in [name, value] {
            hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    seal::hex(&hash.finish())
}
