//! Using a key: encrypting, decrypting, wrapping, unwrapping, signing, verifying. Each use leaves a record of which version did
//! what with which algorithm, and of no value.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind as Fault, ResourceId, Result, Secret as Hidden};
use seal::{EncryptionAlgorithm, SignatureAlgorithm, VaultCiphertext, VaultKey};

use super::{Key, KeyContent, KeyOperation};
use crate::{
    gate::{Cx, Op},
    resources::Addressed,
    vault::{
        Attributes, ObjectName, Shown, VersionId,
        opened::{open, scope_of},
        read::{find_version, require_enabled},
    },
};

/// Something that keys do.
pub trait Deed: Send + 'static {
    /// The permission it needs.
    const ACTION: Action;
    /// What the key must be for.
    const OPERATION: KeyOperation;
    /// Whether it makes something new, which takes a key that is valid now. What was made before can be opened and verified after
    /// its end, as in Azure.
    const MAKES: bool;
    /// What is asked.
    type Asked: Debug + Send;
    /// What it gives.
    type Done: Send;

    /// The algorithm's name, for the record.
    fn algorithm(asked: &Self::Asked) -> &'static str;

    /// Does it. `key` opens the private half, where that is needed.
    ///
    /// # Errors
    /// `Invalid`.
    fn act(content: &KeyContent, key: impl FnOnce() -> Result<Arc<VaultKey>>, asked: Self::Asked)
    -> Result<Self::Done>;
}

/// What encrypting and decrypting take. The value is clear in the one and not in the other.
pub struct CipherForm {
    /// How.
    pub algorithm: EncryptionAlgorithm,
    /// The value.
    pub value: Hidden<Vec<u8>>,
    /// The vector, where the algorithm has one.
    pub iv: Option<Vec<u8>>,
    /// The tag, where the algorithm has one; for decrypting.
    pub tag: Option<Vec<u8>>,
    /// What is authenticated with it.
    pub aad: Vec<u8>,
}

impl Debug for CipherForm {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "CipherForm({})", self.algorithm.name())
    }
}

/// What signing and verifying take.
#[derive(Debug)]
pub struct DigestForm {
    /// How.
    pub algorithm: SignatureAlgorithm,
    /// The digest.
    pub digest: Vec<u8>,
    /// The signature; for verifying.
    pub signature: Vec<u8>,
}

fn encrypt(
    content: &KeyContent,
    key: impl FnOnce() -> Result<Arc<VaultKey>>,
    asked: &CipherForm,
) -> Result<VaultCiphertext> {
    if asked.tag.is_some() {
        return Err(Error::invalid("tag", "is for decrypting"));
    }
    // RSA encrypts with the public half.
    if content.kind.is_rsa() && asked.iv.is_none() && asked.aad.is_empty() {
        let value = content.public.encrypt(asked.algorithm, asked.value.expose())?;
        return Ok(VaultCiphertext { value, ..VaultCiphertext::default() });
    }
    Ok(key()?.encrypt(asked.algorithm, asked.value.expose(), asked.iv.as_deref(), &asked.aad)?)
}

fn decrypt(key: impl FnOnce() -> Result<Arc<VaultKey>>, asked: &CipherForm) -> Result<Hidden<Vec<u8>>> {
    let sealed = VaultCiphertext { value: asked.value.expose().clone(), iv: asked.iv.clone(), tag: asked.tag.clone() };
    Ok(key()?.decrypt(asked.algorithm, &sealed, &asked.aad)?)
}

/// Encrypts a value.
#[derive(Debug)]
pub struct Encrypt;
/// Decrypts a value.
#[derive(Debug)]
pub struct Decrypt;
/// Wraps another key.
#[derive(Debug)]
pub struct WrapKey;
/// Unwraps another key.
#[derive(Debug)]
pub struct UnwrapKey;
/// Signs a digest.
#[derive(Debug)]
pub struct Sign;
/// Verifies a signature.
#[derive(Debug)]
pub struct Verify;

impl Deed for Encrypt {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/keys/encrypt/action", Class::Vault);
    const OPERATION: KeyOperation = KeyOperation::Encrypt;
    const MAKES: bool = true;
    type Asked = CipherForm;
    type Done = VaultCiphertext;

    fn algorithm(asked: &CipherForm) -> &'static str {
        asked.algorithm.name()
    }

    fn act(
        content: &KeyContent,
        key: impl FnOnce() -> Result<Arc<VaultKey>>,
        asked: CipherForm,
    ) -> Result<VaultCiphertext> {
        require_values(asked.algorithm)?;
        encrypt(content, key, &asked)
    }
}

impl Deed for Decrypt {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/keys/decrypt/action", Class::Vault);
    const OPERATION: KeyOperation = KeyOperation::Decrypt;
    const MAKES: bool = false;
    type Asked = CipherForm;
    type Done = Hidden<Vec<u8>>;

    fn algorithm(asked: &CipherForm) -> &'static str {
        asked.algorithm.name()
    }

    fn act(_: &KeyContent, key: impl FnOnce() -> Result<Arc<VaultKey>>, asked: CipherForm) -> Result<Hidden<Vec<u8>>> {
        require_values(asked.algorithm)?;
        decrypt(key, &asked)
    }
}

impl Deed for WrapKey {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/keys/wrap/action", Class::Vault);
    const OPERATION: KeyOperation = KeyOperation::WrapKey;
    const MAKES: bool = true;
    type Asked = CipherForm;
    type Done = VaultCiphertext;

    fn algorithm(asked: &CipherForm) -> &'static str {
        asked.algorithm.name()
    }

    fn act(
        content: &KeyContent,
        key: impl FnOnce() -> Result<Arc<VaultKey>>,
        asked: CipherForm,
    ) -> Result<VaultCiphertext> {
        require_keys(asked.algorithm)?;
        encrypt(content, key, &asked)
    }
}

impl Deed for UnwrapKey {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/keys/unwrap/action", Class::Vault);
    const OPERATION: KeyOperation = KeyOperation::UnwrapKey;
    const MAKES: bool = false;
    type Asked = CipherForm;
    type Done = Hidden<Vec<u8>>;

    fn algorithm(asked: &CipherForm) -> &'static str {
        asked.algorithm.name()
    }

    fn act(_: &KeyContent, key: impl FnOnce() -> Result<Arc<VaultKey>>, asked: CipherForm) -> Result<Hidden<Vec<u8>>> {
        require_keys(asked.algorithm)?;
        decrypt(key, &asked)
    }
}

impl Deed for Sign {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/keys/sign/action", Class::Vault);
    const OPERATION: KeyOperation = KeyOperation::Sign;
    const MAKES: bool = true;
    type Asked = DigestForm;
    type Done = Vec<u8>;

    fn algorithm(asked: &DigestForm) -> &'static str {
        asked.algorithm.name()
    }

    fn act(_: &KeyContent, key: impl FnOnce() -> Result<Arc<VaultKey>>, asked: DigestForm) -> Result<Vec<u8>> {
        Ok(key()?.sign(asked.algorithm, &asked.digest)?)
    }
}

impl Deed for Verify {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/keys/verify/action", Class::Vault);
    const OPERATION: KeyOperation = KeyOperation::Verify;
    const MAKES: bool = false;
    type Asked = DigestForm;
    type Done = bool;

    fn algorithm(asked: &DigestForm) -> &'static str {
        asked.algorithm.name()
    }

    fn act(content: &KeyContent, _: impl FnOnce() -> Result<Arc<VaultKey>>, asked: DigestForm) -> Result<bool> {
        Ok(content.public.verify(asked.algorithm, &asked.digest, &asked.signature)?)
    }
}

/// AES key wrap is for keys; it would tell equal values apart from others.
fn require_values(algorithm: EncryptionAlgorithm) -> Result<()> {
    match algorithm {
        EncryptionAlgorithm::AesKeyWrap(_) => {
            let why = format!("`{}` wraps keys; it does not encrypt values", algorithm.name());
            Err(Error::invalid("alg", why))
        }
        _ => Ok(()),
    }
}

fn require_keys(algorithm: EncryptionAlgorithm) -> Result<()> {
    match algorithm {
        EncryptionAlgorithm::AesGcm(_) | EncryptionAlgorithm::AesCbcPad(_) => {
            let why = format!("`{}` encrypts values; it does not wrap keys", algorithm.name());
            Err(Error::invalid("alg", why))
        }
        _ => Ok(()),
    }
}

/// Uses one version of a key.
#[derive(Debug)]
pub struct UseKey<D: Deed> {
    /// The vault.
    pub vault: Addressed,
    /// The key.
    pub name: ObjectName,
    /// Which version; the newest when none.
    pub version: Option<VersionId>,
    /// What is asked.
    pub asked: D::Asked,
}

/// What a key did.
#[derive(Debug)]
pub struct Used<T> {
    /// The key's name.
    pub name: String,
    /// The version that did it.
    pub version: VersionId,
    /// What is said of that version.
    pub attributes: Attributes,
    /// What it gave.
    pub done: T,
}

#[async_trait]
impl<D: Deed> Op for UseKey<D> {
    const ACTION: Action = D::ACTION;
    type Output = Used<D::Done>;

    fn scope(&self) -> ResourceId {
        scope_of::<Key>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        cx.note("algorithm", D::algorithm(&self.asked));
        let opened = open(cx, &self.vault).await?;
        let object = opened.object::<Key>(cx, &self.name).await?;
        let shown = find_version(cx, &opened, object, self.version).await?;
        let (version, now) = (&shown.version, cx.now());
        cx.note("version", version.id.to_string());
        require_usable::<D>(&shown, now.seconds())?;
        let held = || cx.house().vault.key(self.vault.guid, version.id, &version.content, now);
        let done = D::act(&version.content, held, self.asked)?;
        Ok(Used { name: shown.name, version: shown.version.id, attributes: shown.version.attributes, done })
    }
}

/// Refuses what the key's attributes and operations forbid.
fn require_usable<D: Deed>(shown: &Shown<Key>, now: i64) -> Result<()> {
    let (version, operation) = (&shown.version, D::OPERATION.name());
    require_enabled(version, operation)?;
    let denied = |code, why| Err(Error::new(Fault::Denied, why).coded(code));
    if D::MAKES && version.attributes.not_before.is_some_and(|from| now < from) {
        return denied(
            "KeyNotYetValid",
            format!("operation {operation} is not allowed on a key that is not yet valid"),
        );
    }
    if D::MAKES && version.attributes.expires.is_some_and(|end| now >= end) {
        return denied("KeyExpired", format!("operation {operation} is not allowed on an expired key"));
    }
    if !version.content.operations.contains(&D::OPERATION) {
        return denied("KeyOperationForbidden", format!("operation {operation} is not permitted on this key"));
    }
    Ok(())
}

/// Letting a key out to an attested environment: understood, and not offered.
#[derive(Debug)]
pub struct ReleaseKey {
    /// The vault.
    pub vault: Addressed,
    /// The key.
    pub name: ObjectName,
}

#[async_trait]
impl Op for ReleaseKey {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/keys/release/action", Class::Vault);
    type Output = ();

    fn scope(&self) -> ResourceId {
        scope_of::<Key>(&self.vault, &self.name)
    }

    async fn run(self, _: &Cx<'_, Self>) -> Result<()> {
        Err(Error::new(Fault::Unsupported, "secure key release is not supported: no key leaves the vault"))
    }
}
