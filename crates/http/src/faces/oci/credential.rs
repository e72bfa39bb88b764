//! What a client shows of itself: a bearer token, or a name and a password.

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::registry::{Credential, Login};
use http::header;
use kernel::{Error, Kind, Result, Secret};

use crate::Guest;

/// Bytes of the longest header that is looked at: a refresh token in it has its own bound.
const LONGEST: usize = 16 << 10;

/// The credential of a request. Two are none.
pub(super) fn of(guest: &Guest) -> Result<Credential> {
    let mut values = guest.headers().get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(Credential::Nothing) };
    let refused = || Error::new(Kind::Unauthenticated, "the `Authorization` header is not well formed");
    let text = value.to_str().map_err(|_| refused())?;
    if values.next().is_some() || text.len() > LONGEST {
        return Err(refused());
    }
    let (scheme, rest) = text.split_once(' ').ok_or_else(refused)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Credential::Bearer(Secret::new(rest.trim().to_owned())));
    }
    basic(text).map(Credential::Basic).ok_or_else(refused)
}

/// The name and password of a `Basic` header (RFC 7617).
fn basic(header: &str) -> Option<Login> {
    let (scheme, rest) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some(Login::new(name.to_owned(), Secret::new(password.to_owned())))
}
