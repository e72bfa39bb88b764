//! The keys that a vault holds for its users: RSA, NIST's curves, AES. What they do, each in one place; the private half is
//! used here and shown nowhere.
//!
//! `docs/formats/vault-key.md` has the stored form to the byte.

mod algorithm;
mod document;
mod fault;
mod private;
mod public;
mod symmetric;

use std::{fmt, sync::OnceLock};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, OaepPrivateDecryptingKey, PrivateDecryptingKey},
    signature::{EcdsaKeyPair, KeyPair as _},
};
use kernel::Secret;
use x509_parser::{prelude::FromDer, public_key::RSAPublicKey};
use zeroize::Zeroize;

pub use algorithm::{EncryptionAlgorithm, SignatureAlgorithm, VaultCurve, VaultKeyShape};
pub use fault::VaultKeyFault;
pub use private::VaultPrivateKey;
pub use public::VaultPublicKey;

use crate::random;
use public::{OTHER_ALGORITHM, measured};

const FORMAT: u8 = 1;
const UNREADABLE: VaultKeyFault = VaultKeyFault::Refused("read a stored key");

/// A key with its private half, ready for work. It is wiped when dropped.
pub struct VaultKey {
    material: Material,
    public: VaultPublicKey,
    opened: OnceLock<Opened>,
}

/// The private half as it is kept.
enum Material {
    /// PKCS #8.
    Rsa(Secret<Vec<u8>>),
    /// PKCS #8.
    Curve(VaultCurve, Secret<Vec<u8>>),
    /// The key itself.
    Symmetric(Secret<Vec<u8>>),
}

/// The private half as the library uses it: reading one checks its numbers, which costs as much as using it.
enum Opened {
    Rsa { signing: KeyPair, decrypting: OaepPrivateDecryptingKey },
    Curve(EcdsaKeyPair),
}

/// What encrypting gives and decrypting takes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct VaultCiphertext {
    /// The encrypted value.
    pub value: Vec<u8>,
    /// The vector, where the algorithm has one.
    pub iv: Option<Vec<u8>>,
    /// The tag, where the algorithm authenticates.
    pub tag: Option<Vec<u8>>,
}

impl fmt::Debug for VaultCiphertext {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "VaultCiphertext({} bytes)", self.value.len())
    }
}

impl VaultKey {
    fn new(material: Material, public: VaultPublicKey) -> Self {
        Self { material, public, opened: OnceLock::new() }
    }

    /// A fresh key. RSA takes a good part of a second.
    ///
    /// # Errors
    /// `Invalid` for a size that is not offered.
    pub fn generate(shape: VaultKeyShape) -> Result<Self, VaultKeyFault> {
        let refused = |_| VaultKeyFault::Refused("make a key");
        match shape {
            VaultKeyShape::Rsa(bits) => {
                let size =
                    algorithm::modulus(bits).ok_or(VaultKeyFault::Invalid("RSA keys have 2048, 3072 or 4096 bits"))?;
                let pair = KeyPair::generate(size).map_err(refused)?;
                let document: Pkcs8V1Der<'_> = pair.as_der().map_err(refused)?;
                let document = Secret::new(document.as_ref().to_vec());
                Ok(Self::new(Material::Rsa(document), rsa_public(&pair)?))
            }
            VaultKeyShape::Curve(curve) => {
                let pair = EcdsaKeyPair::generate(curve.signing()).map_err(refused)?;
                let document = Secret::new(pair.to_pkcs8v1().map_err(refused)?.as_ref().to_vec());
                Ok(Self::new(Material::Curve(curve, document), curve_public(curve, &pair)?))
            }
            VaultKeyShape::Symmetric(bits) => {
                let mut bytes: [u8; 32] = random().map_err(|_| VaultKeyFault::Refused("make a key"))?;
                let length = usize::try_from(bits / 8).unwrap_or_default();
                let taken = bytes.get(..length).filter(|_| bits.is_multiple_of(8)).unwrap_or_default().to_vec();
                bytes.zeroize();
                Self::symmetric(Secret::new(taken))
            }
        }
    }

    fn symmetric(bytes: Secret<Vec<u8>>) -> Result<Self, VaultKeyFault> {
        let bits = u32::try_from(bytes.expose().len().saturating_mul(8)).unwrap_or(u32::MAX);
        if ![128, 192, 256].contains(&bits) {
            return Err(VaultKeyFault::Invalid("symmetric keys have 128, 192 or 256 bits"));
        }
        Ok(Self::new(Material::Symmetric(bytes), VaultPublicKey::Symmetric { bits }))
    }

    /// `1 ‖ type ‖ private half`, to be sealed.
    pub fn to_bytes(&self) -> Secret<Vec<u8>> {
        let (kind, body) = match &self.material {
            Material::Rsa(document) => (1, document),
            Material::Curve(VaultCurve::P256, document) => (2, document),
            Material::Curve(VaultCurve::P384, document) => (3, document),
            Material::Curve(VaultCurve::P521, document) => (4, document),
            Material::Symmetric(bytes) => (5, bytes),
        };
        let mut out = Vec::with_capacity(body.expose().len().saturating_add(2));
        out.extend_from_slice(&[FORMAT, kind]);
        out.extend_from_slice(body.expose());
        Secret::new(out)
    }

    /// Reads what `to_bytes` wrote.
    ///
    /// # Errors
    /// `Refused` for anything else.
    pub fn from_bytes(bytes: &Secret<Vec<u8>>) -> Result<Self, VaultKeyFault> {
        let [FORMAT, kind, body @ ..] = bytes.expose().as_slice() else { return Err(UNREADABLE) };
        let body = Secret::new(body.to_vec());
        let curve = |curve: VaultCurve, document: Secret<Vec<u8>>| {
            let pair = EcdsaKeyPair::from_pkcs8(curve.signing(), document.expose()).map_err(|_| UNREADABLE)?;
            let key = Self::new(Material::Curve(curve, document), curve_public(curve, &pair)?);
            Ok(key.with(Opened::Curve(pair)))
        };
        match kind {
            1 => {
                let signing = KeyPair::from_pkcs8(body.expose()).map_err(|_| UNREADABLE)?;
                let public = rsa_public(&signing)?;
                let decrypting = decrypting(&body)?;
                Ok(Self::new(Material::Rsa(body), public).with(Opened::Rsa { signing, decrypting }))
            }
            2 => curve(VaultCurve::P256, body),
            3 => curve(VaultCurve::P384, body),
            4 => curve(VaultCurve::P521, body),
            5 => Self::symmetric(body).map_err(|_| UNREADABLE),
            _ => Err(UNREADABLE),
        }
    }

    fn with(self, opened: Opened) -> Self {
        Self { opened: OnceLock::from(opened), ..self }
    }

    /// The public half.
    pub fn public(&self) -> &VaultPublicKey {
        &self.public
    }

    fn opened(&self) -> Result<&Opened, VaultKeyFault> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let fresh = match &self.material {
            Material::Rsa(document) => Opened::Rsa {
                signing: KeyPair::from_pkcs8(document.expose()).map_err(|_| UNREADABLE)?,
                decrypting: decrypting(document)?,
            },
            Material::Curve(curve, document) => {
                let pair = EcdsaKeyPair::from_pkcs8(curve.signing(), document.expose()).map_err(|_| UNREADABLE)?;
                Opened::Curve(pair)
            }
            Material::Symmetric(_) => return Err(OTHER_ALGORITHM),
        };
        Ok(self.opened.get_or_init(|| fresh))
    }

    /// Signs a digest. ECDSA gives r ‖ s.
    ///
    /// # Errors
    /// `Invalid` when the algorithm is none of this key's, or the digest has another length than it signs.
    pub fn sign(&self, algorithm: SignatureAlgorithm, digest: &[u8]) -> Result<Vec<u8>, VaultKeyFault> {
        let digest = measured(algorithm, digest)?;
        let refused = |_| VaultKeyFault::Refused("sign");
        match self.opened()? {
            Opened::Rsa { signing, .. } => {
                let (encoding, _) = algorithm.rsa().ok_or(OTHER_ALGORITHM)?;
                let mut signature = vec![0; signing.public_modulus_len()];
                signing.sign_digest(encoding, &digest, &mut signature).map_err(refused)?;
                Ok(signature)
            }
            Opened::Curve(pair) if self.signs_with() == Some(algorithm) => {
                Ok(pair.sign_digest(&digest).map_err(refused)?.as_ref().to_vec())
            }
            Opened::Curve(_) => Err(OTHER_ALGORITHM),
        }
    }

    fn signs_with(&self) -> Option<SignatureAlgorithm> {
        match &self.public {
            VaultPublicKey::Curve { crv, .. } => Some(crv.signature()),
            _ => None,
        }
    }

    /// Encrypts a value, or wraps another key.
    ///
    /// # Errors
    /// `Invalid` when algorithm, key, value, `iv` and `aad` do not fit together.
    pub fn encrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        plain: &[u8],
        iv: Option<&[u8]>,
        aad: &[u8],
    ) -> Result<VaultCiphertext, VaultKeyFault> {
        match &self.material {
            Material::Symmetric(key) => symmetric::encrypt(key.expose(), algorithm, plain, iv, aad),
            Material::Rsa(_) | Material::Curve(..) => {
                let value = self.public.encrypt(algorithm, plain)?;
                if iv.is_some() || !aad.is_empty() {
                    return Err(VaultKeyFault::Invalid("the algorithm takes no `iv` and no `aad`"));
                }
                Ok(VaultCiphertext { value, ..VaultCiphertext::default() })
            }
        }
    }

    /// Decrypts a value, or unwraps another key.
    ///
    /// # Errors
    /// `Undecryptable` for what is another key's or was altered; `Invalid` when algorithm and key do not fit together.
    pub fn decrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        sealed: &VaultCiphertext,
        aad: &[u8],
    ) -> Result<Secret<Vec<u8>>, VaultKeyFault> {
        if let Material::Symmetric(key) = &self.material {
            return symmetric::decrypt(key.expose(), algorithm, sealed, aad).map(Secret::new);
        }
        let padding = algorithm.oaep().ok_or(OTHER_ALGORITHM)?;
        let Opened::Rsa { decrypting, .. } = self.opened()? else { return Err(OTHER_ALGORITHM) };
        let mut out = vec![0; decrypting.min_output_size()];
        match decrypting.decrypt(padding, &sealed.value, &mut out, None).map(|plain| plain.len()) {
            Ok(length) => {
                out.truncate(length);
                Ok(Secret::new(out))
            }
            Err(_) => {
                out.zeroize();
                Err(VaultKeyFault::Undecryptable)
            }
        }
    }
}

fn decrypting(document: &Secret<Vec<u8>>) -> Result<OaepPrivateDecryptingKey, VaultKeyFault> {
    PrivateDecryptingKey::from_pkcs8(document.expose())
        .map_err(|_| UNREADABLE)
        .and_then(|key| OaepPrivateDecryptingKey::new(key).map_err(|_| UNREADABLE))
}

fn rsa_public(pair: &KeyPair) -> Result<VaultPublicKey, VaultKeyFault> {
    let (_, key) = RSAPublicKey::from_der(pair.public_key().as_ref()).map_err(|_| UNREADABLE)?;
    let number = |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    Ok(VaultPublicKey::Rsa { n: number(key.modulus), e: number(key.exponent) })
}

fn curve_public(curve: VaultCurve, pair: &EcdsaKeyPair) -> Result<VaultPublicKey, VaultKeyFault> {
    match pair.public_key().as_ref().split_first() {
        Some((4, numbers)) if numbers.len() == curve.width().saturating_mul(2) => {
            let (x, y) = numbers.split_at(curve.width());
            Ok(VaultPublicKey::Curve { crv: curve, x: x.to_vec(), y: y.to_vec() })
        }
        _ => Err(UNREADABLE),
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("VaultKey(***)")
    }
}

#[cfg(test)]
mod tests;
