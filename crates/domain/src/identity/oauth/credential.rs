//! Codes and refresh tokens: opaque texts of an id, by which they are found, and 256 random bits, which are kept as a
//! fingerprint only.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Result, Secret};
use seal::Fingerprint;

use crate::gate::Shelf;

/// The longest credential that is looked at, in bytes.
const LONGEST: usize = 200;

/// A kind of credential.
pub(super) struct Form {
    /// What it begins with, so that scanners for leaked secrets can find it.
    prefix: &'static str,
    /// What its fingerprint is for: one kind never passes for another.
    purpose: &'static str,
}

/// What the authorization endpoint answers with.
pub(super) const CODE: Form = Form { prefix: "bzo_", purpose: "authorization code" };
/// What a device polls with.
pub(super) const DEVICE_CODE: Form = Form { prefix: "bzd_", purpose: "device code" };
/// What the next access token is asked for with.
pub(super) const REFRESH_TOKEN: Form = Form { prefix: "bzt_", purpose: "refresh token" };

impl Form {
    /// A fresh credential with this id, and what is kept of it.
    pub(super) fn draw(&self, shelf: &Shelf, id: &[u8]) -> Result<(Secret<String>, Fingerprint)> {
        let random = URL_SAFE_NO_PAD.encode(seal::random::<32>()?);
        let text = Secret::new(format!("{}{}.{random}", self.prefix, URL_SAFE_NO_PAD.encode(id)));
        let fingerprint = shelf.fingerprint(self.purpose, text.expose());
        Ok((text, fingerprint))
    }

    /// The id in a credential that somebody presents; none for what is no such credential.
    pub(super) fn id_of<const N: usize>(&self, presented: &Secret<String>) -> Option<[u8; N]> {
        let text = presented.expose();
        if text.len() > LONGEST {
            return None;
        }
        let (id, _) = text.strip_prefix(self.prefix)?.split_once('.')?;
        URL_SAFE_NO_PAD.decode(id).ok()?.try_into().ok()
    }

    /// Whether this is the credential with that fingerprint; in constant time.
    pub(super) fn matches(&self, shelf: &Shelf, presented: &Secret<String>, kept: &Fingerprint) -> bool {
        shelf.matches(self.purpose, presented.expose(), kept)
    }
}
