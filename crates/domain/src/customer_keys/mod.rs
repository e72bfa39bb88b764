//! Keys that the customer holds (requirements F-04, F-07 to F-09, F-13, X-13, X-14): the keyring of a workspace or a storage account
//! is closed with a key of a vault here, or of a holder elsewhere that the operator named; whatever lies under it opens as long as
//! that key may be used, and no longer.
//!
//! A keyring is sealed with a key of its own, and that key is wrapped by the customer's, so that a keyring of any size is held by a
//! key of any size. `docs/formats/keyring.md` has the layout.
//!
//! **Invariant:** nothing opens a closed keyring but `HeldKeyring::open`, which asks the vault in the name of whoever's data it holds,
//! or the holder; and an opened one is looked at again within seconds ([`look_at_keys`], [`look_at_keys_elsewhere`]). The one exception is
//! agreed to by the customer beforehand: `HeldKeyring::open_broken`, with what two custodians' shares gave, for a bounded time.

mod break_glass;
mod change;
mod choice;
mod follow;
mod glass;
mod keyring;
mod opening;
mod proof;
mod recovery;
mod watch;

use std::sync::Arc;

use kernel::{Error, KeyElsewhere, Kind, PrincipalId, ResourceId, Result};
use serde::{Deserialize, Serialize};

use crate::vault::{Key, Kind as VaultKind, VersionId};

pub use break_glass::{BreakGlass, DisableBreakGlass, EnableBreakGlass, GetBreakGlass};
pub use change::{ChangeEncryptionKey, Encryption, GetEncryption};
pub(crate) use change::{move_key, move_role};
pub(crate) use choice::{CRYPTO_GRANT, choose, require_same_key};
pub use choice::{KeyForm, KeyRequest};
pub(crate) use glass::Glass;
pub use glass::{AskedOpening, GlassState, Opening, Party};
pub(crate) use keyring::HeldKeyring;
pub use opening::{ApproveOpening, AskOpening, CloseOpening, opening_of};
pub use proof::{EncryptionProof, ProveEncryption, Stored};
pub use recovery::{Custodian, CustodianKey, Terms};
pub use watch::{look_at_keys, look_at_keys_elsewhere};

/// What a customer's key that may not be used is answered with, beside the words.
pub(crate) const KEY_UNAVAILABLE: &str = "CustomerManagedKeyUnavailable";

/// What it is answered with when its holder cannot be reached, while what it opened may still be used.
const HOLDER_AWAY: &str = "CustomerManagedKeyHolderUnreachable";

/// A key by which somebody's data is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerKey {
    /// Where it is.
    #[serde(flatten)]
    pub place: KeyPlace,
    /// The address that was given, as it was written; `holder/key` of one that has none.
    pub identifier: String,
    /// The identity of whoever's data it holds. In its name a vault here is asked.
    pub identity: PrincipalId,
}

/// Where a customer's key is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KeyPlace {
    /// In a vault of this server.
    Here(VaultKey),
    /// At a holder that the operator named.
    Elsewhere(KeyElsewhere),
}

/// One version of a key in a vault of this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultKey {
    /// The vault.
    pub vault: ResourceId,
    /// The key's name.
    pub name: String,
    /// Its version.
    pub version: VersionId,
    /// Whether the next version takes over when there is one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follows: bool,
}

impl VaultKey {
    /// The key itself, as a scope of roles.
    pub(crate) fn scope(&self) -> Result<ResourceId> {
        self.vault.child([Key::COLLECTION, &self.name]).map_err(Error::internal)
    }
}

impl CustomerKey {
    /// The key, when it is in a vault of this server.
    pub fn here(&self) -> Option<&VaultKey> {
        match &self.place {
            KeyPlace::Here(key) => Some(key),
            KeyPlace::Elsewhere(_) => None,
        }
    }

    /// Whether both are versions of one key, in whoever's hands that is.
    pub(crate) fn is_version_of(&self, other: &Self) -> bool {
        match (&self.place, &other.place) {
            (KeyPlace::Here(one), KeyPlace::Here(two)) => one.vault == two.vault && one.name == two.name,
            (KeyPlace::Elsewhere(one), KeyPlace::Elsewhere(two)) => one.holder == two.holder && one.key == two.key,
            _ => false,
        }
    }

    /// Where the identity needs its role: at the key, when it is in a vault of this server.
    pub(crate) fn role_scope(&self) -> Result<Option<ResourceId>> {
        self.here().map(VaultKey::scope).transpose()
    }
}

/// Why a customer's key did not open what it holds; kept, so that it can be said again.
#[derive(Clone, Debug)]
pub(crate) struct Refusal(Arc<str>);

impl Refusal {
    /// A refusal that says: the key may not be used. Any other fault (a store that is away) says nothing about the key.
    pub(crate) fn of(fault: &Error) -> Option<Self> {
        (fault.code() == Some(KEY_UNAVAILABLE)).then(|| Self(fault.public().into()))
    }

    /// A refusal that says: nothing was heard of the key for longer than is granted.
    pub(crate) fn of_silence(fault: &Error) -> Option<Self> {
        (fault.code() == Some(HOLDER_AWAY)).then(|| Self(fault.public().into()))
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

/// The answer while nobody knows whether a key may be used.
fn away(key: &CustomerKey) -> Error {
    let words = format!(
        "the data is locked, since the holder of its customer-managed key `{}` cannot be reached; try again later",
        key.identifier
    );
    Error::new(Kind::Unavailable, words).coded(HOLDER_AWAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_first_release_are_read_and_a_key_elsewhere_is_another_thing() {
        let (guid, version) = ("0b5f2f6a-6f0d-4d1c-9d5e-3c7a5f0f8f11", "0b5f2f6a6f0d4d1c9d5e3c7a5f0f8f11");
        let vault = format!("/subscriptions/{guid}/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v");
        let first = format!(
            r#"{{"vault":"{vault}","name":"k","version":"{guid}","identifier":"https://v/keys/k/{version}","identity":"{guid}"}}"#
        );
        let key: CustomerKey = serde_json::from_str(&first).unwrap();
        assert_eq!(key.here().map(|key| (key.name.as_str(), key.follows)), Some(("k", false)));
        let again = serde_json::to_value(&key).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(&first).unwrap());

        let at = KeyElsewhere { holder: String::from("hsm"), key: String::from("k"), version: None };
        let key = CustomerKey { place: KeyPlace::Elsewhere(at), identifier: String::from("hsm/k"), ..key };
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<CustomerKey>(&text).unwrap(), key);
    }
}
