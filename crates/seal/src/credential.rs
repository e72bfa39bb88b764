//! Credentials that we make: high-entropy texts, shown once, kept as fingerprints.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use kernel::Secret;
use serde::{Deserialize, Serialize};

use crate::{SealError, random};

/// A keyed hash of a credential. Useless without the ring's key, and a high-entropy credential cannot be guessed, so no
/// slow password hash is needed on every request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(Vec<u8>);

impl Fingerprint {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As text (base64url), where the fingerprint itself is what a client carries.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }

    /// Reads the text again; none when it is no base64url. Whether it fits is for `Ring::matches` to say.
    pub fn from_text(text: &str) -> Option<Self> {
        Some(Self(URL_SAFE_NO_PAD.decode(text).ok()?))
    }
}

/// A client secret of a service principal: 256 bits, URL-safe, with a prefix that secret scanners can find.
pub fn new_client_secret() -> Result<Secret<String>, SealError> {
    Ok(Secret::new(format!("bzs_{}", URL_SAFE_NO_PAD.encode(random::<32>()?))))
}

/// A key of a storage account or a registry: 512 bits in base64, as Azure's clients decode it.
pub fn new_account_key() -> Result<Secret<String>, SealError> {
    Ok(Secret::new(STANDARD.encode(random::<64>()?)))
}

/// A key that seals one thing, and is wrapped itself: 256 bits.
pub fn new_sealing_key() -> Result<Secret<Vec<u8>>, SealError> {
    Ok(Secret::new(random::<32>()?.to_vec()))
}

/// A key of a web service: 256 bits.
pub fn new_service_key() -> Result<Secret<String>, SealError> {
    Ok(Secret::new(format!("bzk_{}", URL_SAFE_NO_PAD.encode(random::<32>()?))))
}
