//! The public half of a vault's key: all that ever leaves, and all that encrypting and verifying take.

use aws_lc_rs::{
    digest::Digest,
    rsa::{OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents},
    signature::UnparsedPublicKey,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{EncryptionAlgorithm, SignatureAlgorithm, VaultCurve, VaultKeyFault};

/// A public half. Of a symmetric key it is its size alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum VaultPublicKey {
    /// RSA.
    #[serde(rename = "RSA")]
    Rsa {
        /// The modulus, big-endian, without leading zeros.
        #[serde(with = "Text")]
        n: Vec<u8>,
        /// The exponent, likewise.
        #[serde(with = "Text")]
        e: Vec<u8>,
    },
    /// A point on a curve.
    #[serde(rename = "EC")]
    Curve {
        /// Which curve.
        crv: VaultCurve,
        /// One coordinate, as wide as the curve's numbers are.
        #[serde(with = "Text")]
        x: Vec<u8>,
        /// The other.
        #[serde(with = "Text")]
        y: Vec<u8>,
    },
    /// A symmetric key.
    #[serde(rename = "oct")]
    Symmetric {
        /// How long it is, in bits.
        bits: u32,
    },
}

/// Base64url without padding, as JSON Web Keys write numbers.
struct Text;

impl Text {
    fn serialize<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
    }

    fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        URL_SAFE_NO_PAD.decode(text).map_err(D::Error::custom)
    }
}

impl VaultPublicKey {
    /// Whether the signature is of this digest.
    ///
    /// # Errors
    /// `Invalid` when the algorithm is none of this key's, or the digest has another length than it signs.
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<bool, VaultKeyFault> {
        let digest = measured(algorithm, digest)?;
        match self {
            Self::Rsa { n, e } => {
                let (_, parameters) = algorithm.rsa().ok_or(OTHER_ALGORITHM)?;
                let key = PublicKeyComponents { n, e }
                    .to_parsed_public_key(parameters)
                    .map_err(|_| VaultKeyFault::Refused("read a public key"))?;
                Ok(key.verify_digest_sig(&digest, signature).is_ok())
            }
            Self::Curve { crv, x, y } if crv.signature() == algorithm => {
                let key = UnparsedPublicKey::new(crv.verification(), point(x, y));
                Ok(key.verify_digest(&digest, signature).is_ok())
            }
            Self::Curve { .. } | Self::Symmetric { .. } => Err(OTHER_ALGORITHM),
        }
    }

    /// Encrypts for the private half: RSA alone.
    ///
    /// # Errors
    /// `Invalid` when the algorithm is none of this key's, or the value is longer than it takes.
    pub fn encrypt(&self, algorithm: EncryptionAlgorithm, plain: &[u8]) -> Result<Vec<u8>, VaultKeyFault> {
        let (Self::Rsa { n, e }, Some(padding)) = (self, algorithm.oaep()) else {
            return Err(OTHER_ALGORITHM);
        };
        let refused = |_| VaultKeyFault::Refused("read a public key");
        let key: PublicEncryptingKey = PublicKeyComponents { n, e }.try_into().map_err(refused)?;
        let key = OaepPublicEncryptingKey::new(key).map_err(refused)?;
        if plain.len() > key.max_plaintext_size(padding) {
            return Err(VaultKeyFault::Invalid("the value is longer than the key and the algorithm take"));
        }
        let mut out = vec![0; key.ciphertext_size()];
        let length = key.encrypt(padding, plain, &mut out, None).map_err(|_| VaultKeyFault::Refused("encrypt"))?.len();
        out.truncate(length);
        Ok(out)
    }
}

pub(super) const OTHER_ALGORITHM: VaultKeyFault =
    VaultKeyFault::Invalid("the algorithm does not fit the type of the key");

/// A digest that is as long as the algorithm's are.
pub(super) fn measured(algorithm: SignatureAlgorithm, digest: &[u8]) -> Result<Digest, VaultKeyFault> {
    Digest::import_less_safe(digest, algorithm.hash())
        .map_err(|_| VaultKeyFault::Invalid("the digest is not as long as the algorithm's digests are"))
}

/// An uncompressed point (SEC 1 §2.3.3).
pub(super) fn point(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4], x, y].concat()
}
