//! Keys that the customer holds (requirements F-04, F-07 to F-09, X-13, X-14): the keyring of a workspace is closed with a key of a
//! vault, and whatever lies under it opens as long as that key may be used, and no longer.
//!
//! A keyring is sealed with a key of its own, and that key is wrapped by the customer's (RSA-OAEP-256), so that a keyring of any
//! size is held by a key of any size. `docs/formats/keyring.md` has the layout.
//!
//! **Invariant:** nothing opens a closed keyring but `HeldKeyring::open`, which asks the vault as the workspace's own identity; and
//! an opened one is looked at again within seconds ([`look_at_keys`]).

mod change;
mod choice;
mod keyring;
mod watch;

use std::sync::Arc;

use kernel::{Error, Kind, PrincipalId, ResourceId};
use serde::{Deserialize, Serialize};

use crate::vault::VersionId;

pub use change::{ChangeEncryptionKey, Encryption, GetEncryption};
pub use choice::KeyRequest;
pub(crate) use choice::{CRYPTO_GRANT, choose, require_same_key};
pub(crate) use keyring::HeldKeyring;
pub use watch::look_at_keys;

/// What a customer's key that may not be used is answered with, beside the words.
pub(crate) const KEY_UNAVAILABLE: &str = "CustomerManagedKeyUnavailable";

/// One version of a key in a vault, by which somebody's data is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerKey {
    /// The vault.
    pub vault: ResourceId,
    /// The key's name.
    pub name: String,
    /// Its version.
    pub version: VersionId,
    /// The address that was given, as it was written.
    pub identifier: String,
    /// Who unwraps: the identity of whoever's data it holds.
    pub identity: PrincipalId,
}

/// Why a customer's key did not open what it holds; kept, so that it can be said again.
#[derive(Clone, Debug)]
pub(crate) struct Refusal(Arc<str>);

impl Refusal {
    /// A refusal that says: the key may not be used. Any other fault (a store that is away) says nothing about the key.
    pub(crate) fn of(fault: &Error) -> Option<Self> {
        (fault.code() == Some(KEY_UNAVAILABLE)).then(|| Self(fault.public().into()))
    }

    /// The refusal of what was open before.
    pub(crate) fn later() -> Error {
        let why = "the data was locked meanwhile: its customer-managed key cannot be used any more";
        Error::new(Kind::Denied, why).coded(KEY_UNAVAILABLE)
    }

    /// The refusal as an error.
    pub(crate) fn error(&self) -> Error {
        Error::new(Kind::Denied, &*self.0).coded(KEY_UNAVAILABLE)
    }
}

/// The answer while a key may not be used.
fn locked(key: &CustomerKey, why: &Error) -> Error {
    let words = format!(
        "the data is locked, since its customer-managed key `{}` cannot be used: {}. When the key may be used again, the data is back",
        key.identifier,
        why.public()
    );
    Error::new(Kind::Denied, words).coded(KEY_UNAVAILABLE)
}
