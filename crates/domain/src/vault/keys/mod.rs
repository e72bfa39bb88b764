//! Keys: made or brought, and used here alone. What leaves is the public half.
//!
//! **Invariant:** a private half is read by an operation that uses it, and by nothing else: `KeyContent` shows it to nobody.

mod check;
mod create;
mod deed;
mod due;
mod held;
mod policy;
mod random;
mod rotate;
mod span;

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Action, Class, Error, Result, Secret as Hidden};
use seal::VaultKey;
use serde::{Deserialize, Serialize};

use super::{Kind, VersionId};
use crate::gate::{Admission, Changes, Shelf};

pub use check::CheckKey;
pub(super) use create::require_tier;
pub use create::{CreateKey, ImportKey};
pub use deed::{
    CipherForm, Decrypt, Deed, DigestForm, Encrypt, ReleaseKey, Sign, UnwrapKey, UseKey, Used, Verify, WrapKey,
};
pub use due::look_after_rotations;
pub(crate) use held::HeldKeys;
pub use seal::{
    EncryptionAlgorithm, SignatureAlgorithm, VaultCiphertext, VaultCurve, VaultKeyShape, VaultPrivateKey,
    VaultPublicKey,
};

pub use policy::{GetRotationPolicy, LifetimeAct, LifetimeAction, PutRotationPolicy, RotationPolicy, Trigger};
pub use random::GetRandomBytes;
pub use rotate::RotateKey;
pub use span::Span;

/// The kind of keys.
#[derive(Clone, Copy, Debug)]
pub struct Key;

impl Kind for Key {
    const COLLECTION: &'static str = "keys";
    const WORD: &'static str = "key";
    const NOT_FOUND: &'static str = "KeyNotFound";
    const DISABLED: &'static str = "KeyDisabled";
    const SHOWS_DISABLED: bool = true;
    const TABLE: &'static str = "vault-key";
    const VERSIONS: &'static str = "vault-key-version";
    const DELETED: &'static str = "vault-key-deleted";

    const READ: Action = Action::data("Microsoft.KeyVault/vaults/keys/read", Class::Vault);
    const LIST: Action = Self::READ;
    const UPDATE: Action = Action::data("Microsoft.KeyVault/vaults/keys/update/action", Class::Control);
    const DELETE: Action = Action::data("Microsoft.KeyVault/vaults/keys/delete", Class::Control);
    const RECOVER: Action = Action::data("Microsoft.KeyVault/vaults/keys/recover/action", Class::Control);
    const PURGE: Action = Action::data("Microsoft.KeyVault/vaults/keys/purge/action", Class::Control);
    const BACKUP: Action = Action::data("Microsoft.KeyVault/vaults/keys/backup/action", Class::Vault);
    const RESTORE: Action = Action::data("Microsoft.KeyVault/vaults/keys/restore/action", Class::Control);

    type Content = KeyContent;
    type Whole = KeyWhole;
    type Patch = KeyPatch;

    fn patch(content: &mut KeyContent, patch: KeyPatch) -> Result<()> {
        if let Some(operations) = patch.operations {
            content.operations = content.kind.operations(Some(operations))?;
        }
        Ok(())
    }

    async fn restored(
        cx: &Admission<'_>,
        shelf: &Shelf,
        id: &[u8],
        whole: &KeyWhole,
        changes: &mut Changes,
    ) -> Result<()> {
        if whole.policy.is_some() { due::mark(cx, shelf, id, changes).await } else { Ok(()) }
    }
}

/// What kind of key, in the words of JSON Web Keys and Azure. `-HSM` is what was asked for: there is no hardware behind it, and
/// every such key says so (`hsmPlatform` 0, as Azure says of keys in software).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum KeyType {
    /// RSA.
    #[serde(rename = "RSA")]
    Rsa,
    /// RSA, asked for in hardware.
    #[serde(rename = "RSA-HSM")]
    RsaHsm,
    /// On a curve.
    #[serde(rename = "EC")]
    Ec,
    /// On a curve, asked for in hardware.
    #[serde(rename = "EC-HSM")]
    EcHsm,
    /// Symmetric.
    #[serde(rename = "oct")]
    Oct,
    /// Symmetric, asked for in hardware.
    #[serde(rename = "oct-HSM")]
    OctHsm,
}

impl KeyType {
    const ALL: [Self; 6] = [Self::Rsa, Self::RsaHsm, Self::Ec, Self::EcHsm, Self::Oct, Self::OctHsm];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::RsaHsm => "RSA-HSM",
            Self::Ec => "EC",
            Self::EcHsm => "EC-HSM",
            Self::Oct => "oct",
            Self::OctHsm => "oct-HSM",
        }
    }

    fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa | Self::RsaHsm)
    }

    /// The same, asked for in hardware.
    #[must_use]
    pub fn in_hardware(self) -> Self {
        match self {
            Self::Rsa | Self::RsaHsm => Self::RsaHsm,
            Self::Ec | Self::EcHsm => Self::EcHsm,
            Self::Oct | Self::OctHsm => Self::OctHsm,
        }
    }

    /// Whether hardware was asked for.
    pub fn is_hsm(self) -> bool {
        matches!(self, Self::RsaHsm | Self::EcHsm | Self::OctHsm)
    }

    /// The operations of a key: those asked for, or all that its type has.
    pub(in crate::vault) fn operations(self, asked: Option<Vec<KeyOperation>>) -> Result<Vec<KeyOperation>> {
        use KeyOperation::{Decrypt, Encrypt, Sign, UnwrapKey, Verify, WrapKey};
        let all: &[KeyOperation] = match self {
            Self::Rsa | Self::RsaHsm => &[Encrypt, Decrypt, Sign, Verify, WrapKey, UnwrapKey],
            Self::Ec | Self::EcHsm => &[Sign, Verify],
            Self::Oct | Self::OctHsm => &[Encrypt, Decrypt, WrapKey, UnwrapKey],
        };
        let Some(asked) = asked else { return Ok(all.to_vec()) };
        let mut taken = Vec::new();
        for operation in asked {
            if !all.contains(&operation) {
                let why = format!("`{}` is nothing that a key of type `{}` does", operation.name(), self.name());
                return Err(Error::invalid("key_ops", why));
            }
            if !taken.contains(&operation) {
                taken.push(operation);
            }
        }
        Ok(taken)
    }
}

impl FromStr for KeyType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::invalid("kty", "must be `RSA`, `EC` or `oct`, or one of them followed by `-HSM`");
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(unknown)
    }
}

/// What a key may be used for (RFC 7517 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyOperation {
    /// Encrypting values.
    Encrypt,
    /// Decrypting them.
    Decrypt,
    /// Signing digests.
    Sign,
    /// Verifying signatures.
    Verify,
    /// Wrapping other keys.
    WrapKey,
    /// Unwrapping them.
    UnwrapKey,
}

impl KeyOperation {
    const ALL: [Self; 6] = [Self::Encrypt, Self::Decrypt, Self::Sign, Self::Verify, Self::WrapKey, Self::UnwrapKey];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Sign => "sign",
            Self::Verify => "verify",
            Self::WrapKey => "wrapKey",
            Self::UnwrapKey => "unwrapKey",
        }
    }
}

impl FromStr for KeyOperation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            let why = "each must be `encrypt`, `decrypt`, `sign`, `verify`, `wrapKey` or `unwrapKey`; others are not supported";
            Error::invalid("key_ops", why)
        };
        Self::ALL.into_iter().find(|operation| operation.name() == text).ok_or_else(unknown)
    }
}

/// What a version of a key holds.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeyContent {
    /// What was asked for.
    pub kind: KeyType,
    /// What it may be used for.
    pub operations: Vec<KeyOperation>,
    /// The public half.
    pub public: VaultPublicKey,
    /// The private half (`docs/formats/vault-key.md`), base64.
    private: String,
}

impl KeyContent {
    pub(in crate::vault) fn new(kind: KeyType, operations: Vec<KeyOperation>, key: &VaultKey) -> Self {
        let private = STANDARD.encode(key.to_bytes().expose());
        Self { kind, operations, public: key.public().clone(), private }
    }

    /// The key, ready for work.
    pub(in crate::vault) fn opened(&self) -> Result<VaultKey> {
        let bytes = Hidden::new(STANDARD.decode(&self.private).map_err(Error::internal)?);
        Ok(VaultKey::from_bytes(&bytes)?)
    }

    /// Bits of the modulus, if it is an RSA key.
    pub(crate) fn rsa_bits(&self) -> Option<usize> {
        match &self.public {
            VaultPublicKey::Rsa { n, .. } => Some(n.len().saturating_mul(8)),
            VaultPublicKey::Curve { .. } | VaultPublicKey::Symmetric { .. } => None,
        }
    }

    /// What another key like it is made from.
    pub(in crate::vault) fn shape(&self) -> Result<VaultKeyShape> {
        match &self.public {
            VaultPublicKey::Rsa { n, .. } => {
                let bits = n.len().saturating_mul(8);
                Ok(VaultKeyShape::Rsa(u32::try_from(bits).map_err(Error::internal)?))
            }
            VaultPublicKey::Curve { crv, .. } => Ok(VaultKeyShape::Curve(*crv)),
            VaultPublicKey::Symmetric { bits } => Ok(VaultKeyShape::Symmetric(*bits)),
        }
    }
}

impl Drop for KeyContent {
    fn drop(&mut self) {
        drop(Hidden::new(std::mem::take(&mut self.private)));
    }
}

impl fmt::Debug for KeyContent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "KeyContent({})", self.kind.name())
    }
}

/// What belongs to all versions of a key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeyWhole {
    /// When it is rotated, and when somebody is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<RotationPolicy>,
    /// The version whose coming end was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) told: Option<VersionId>,
}

/// What an update may change of a key.
#[derive(Clone, Debug, Default)]
pub struct KeyPatch {
    /// What it may be used for.
    pub operations: Option<Vec<KeyOperation>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_s_operations_are_those_of_its_type() {
        let all = KeyType::Ec.operations(None).unwrap();
        assert_eq!(all, [KeyOperation::Sign, KeyOperation::Verify]);
        assert!(KeyType::Ec.operations(Some(vec![KeyOperation::WrapKey])).is_err());
        assert!(KeyType::Oct.operations(Some(vec![KeyOperation::Sign])).is_err());
        let twice = vec![KeyOperation::Decrypt, KeyOperation::Encrypt, KeyOperation::Decrypt];
        let once = KeyType::RsaHsm.operations(Some(twice)).unwrap();
        assert_eq!(once, [KeyOperation::Decrypt, KeyOperation::Encrypt]);
        assert!("export".parse::<KeyOperation>().is_err());
        assert!("rsa".parse::<KeyType>().is_err());
    }

    #[test]
    fn a_key_s_content_shows_no_private_half() {
        let key = VaultKey::generate(VaultKeyShape::Symmetric(256)).unwrap();
        let content = KeyContent::new(KeyType::Oct, Vec::new(), &key);
        assert_eq!(format!("{content:?}"), "KeyContent(oct)");
        assert_eq!(content.opened().unwrap().to_bytes().expose(), key.to_bytes().expose());
        assert_eq!(content.shape().unwrap(), VaultKeyShape::Symmetric(256));
    }
}
