//! What an authorization request carries through the sign-in page and back: when the person was sent there, for which request,
//! and in which session. So it is known whether they proved themselves since, or at least went on from there.

use kernel::{Result, Secret, Timestamp};
use seal::Sha256;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::request::AuthorizeRequest;
use crate::gate::House;

/// The `typ` of tickets: no other check accepts it, and the reverse.
const TYPE: &str = "authorize+jwt";
/// A ticket is good for this long, in milliseconds: as long as a sign-in may take.
const LIFETIME: i64 = 15 * 60 * 1000;

#[derive(Serialize, Deserialize)]
struct Claims {
    /// When the person was sent to sign in, epoch milliseconds.
    at: i64,
    /// The request.
    request: String,
    /// The session that the browser had then.
    session: Option<Uuid>,
}

/// A person who was sent to the sign-in page for this request.
pub(super) struct Sent {
    /// When.
    pub at: Timestamp,
    /// In which session. Nobody but that browser has the ticket: whoever comes back with it was shown the page.
    pub session: Option<Uuid>,
}

/// A ticket for this request.
pub(super) fn issue(house: &House, request: &AuthorizeRequest, session: Option<Uuid>) -> Result<Secret<String>> {
    let claims = Claims { at: house.now().0, request: digest(request), session };
    Ok(house.identity.state().keys.sign(TYPE, &claims)?)
}

/// What the request's ticket says; none without a ticket of ours that is still good and for exactly this request.
pub(super) fn read(house: &House, request: &AuthorizeRequest) -> Option<Sent> {
    let Claims { at, request: wanted, session } = house.identity.state().keys.verify(TYPE, request.ticket()?)?;
    let age = house.now().0.saturating_sub(at);
    ((0..LIFETIME).contains(&age) && wanted == digest(request)).then_some(Sent { at: Timestamp(at), session })
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
