//! Keys that somebody brings: the private members of a JSON Web Key (RFC 7518 §6), checked against each other.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeyPairComponents, PublicKeyComponents},
    signature::EcdsaKeyPair,
};
use kernel::Secret;
use zeroize::Zeroizing;

use super::{
    Material, SignatureAlgorithm, VaultCurve, VaultKey, VaultKeyFault, VaultPublicKey, algorithm::modulus,
    public::point,
};

/// The smallest public exponent that is taken (FIPS 186-5 §5.1): 65537, in its three bytes.
const LEAST_EXPONENT: [u8; 3] = [1, 0, 1];
/// Bytes of the longest exponent that is taken.
const LONGEST_EXPONENT: usize = 4;

/// The numbers of a key, big-endian.
#[derive(Debug)]
pub enum VaultPrivateKey {
    /// RSA with two primes and what the Chinese remainder theorem needs.
    Rsa {
        /// Modulus.
        n: Vec<u8>,
        /// Public exponent.
        e: Vec<u8>,
        /// Private exponent.
        d: Secret<Vec<u8>>,
        /// First prime.
        p: Secret<Vec<u8>>,
        /// Second prime.
        q: Secret<Vec<u8>>,
        /// d mod (p − 1).
        dp: Secret<Vec<u8>>,
        /// d mod (q − 1).
        dq: Secret<Vec<u8>>,
        /// q⁻¹ mod p.
        qi: Secret<Vec<u8>>,
    },
    /// A number and its point on a curve.
    Curve {
        /// Which curve.
        crv: VaultCurve,
        /// The point's x.
        x: Vec<u8>,
        /// The point's y.
        y: Vec<u8>,
        /// The number.
        d: Secret<Vec<u8>>,
    },
    /// A symmetric key.
    Symmetric(Secret<Vec<u8>>),
}

impl VaultPrivateKey {
    /// The key, if its numbers belong together.
    ///
    /// # Errors
    /// `Invalid` with what is wrong.
    pub fn checked(self) -> Result<VaultKey, VaultKeyFault> {
        match self {
            Self::Rsa { n, e, d, p, q, dp, dq, qi } => {
                let (n, e) = (trimmed(&n), trimmed(&e));
                let bits = u32::try_from(n.len().saturating_mul(8)).unwrap_or(u32::MAX);
                // A modulus of exactly that many bits has its highest bit set.
                if modulus(bits).is_none() || n.first().is_none_or(|first| *first < 0x80) {
                    return Err(VaultKeyFault::Invalid("the modulus must have 2048, 3072 or 4096 bits"));
                }
                if e.len() > LONGEST_EXPONENT
                    || (e.len() == LEAST_EXPONENT.len() && e < LEAST_EXPONENT.as_slice())
                    || e.len() < LEAST_EXPONENT.len()
                {
                    return Err(VaultKeyFault::Invalid("the public exponent must be 65537 or larger, in four bytes"));
                }
                let components = KeyPairComponents {
                    public_key: PublicKeyComponents { n, e },
                    d: d.expose(),
                    p: p.expose(),
                    q: q.expose(),
                    dP: dp.expose(),
                    dQ: dq.expose(),
                    qInv: qi.expose(),
                };
                let pair = KeyPair::from_components(&components).map_err(|_| UNFITTING)?;
                let document: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| VaultKeyFault::Refused("write a key"))?;
                let public = VaultPublicKey::Rsa { n: n.to_vec(), e: e.to_vec() };
                let key = VaultKey::new(Material::Rsa(Secret::new(document.as_ref().to_vec())), public);
                proven(key, SignatureAlgorithm::Ps256)
            }
            Self::Curve { crv, x, y, d } => {
                let (x, y) = (widened(&x, crv)?, widened(&y, crv)?);
                let number = Zeroizing::new(widened(d.expose(), crv)?);
                let pair = EcdsaKeyPair::from_private_key_and_public_key(crv.signing(), &number, &point(&x, &y))
                    .map_err(|_| UNFITTING)?;
                let document = pair.to_pkcs8v1().map_err(|_| VaultKeyFault::Refused("write a key"))?;
                let public = VaultPublicKey::Curve { crv, x, y };
                let key = VaultKey::new(Material::Curve(crv, Secret::new(document.as_ref().to_vec())), public);
                proven(key, crv.signature())
            }
            Self::Symmetric(bytes) => VaultKey::symmetric(bytes),
        }
    }
}

const UNFITTING: VaultKeyFault = VaultKeyFault::Invalid("the key's numbers do not belong together");

/// The library checks how the numbers relate, and not that the factors are primes: with others no signature would hold.
pub(super) fn proven(key: VaultKey, algorithm: SignatureAlgorithm) -> Result<VaultKey, VaultKeyFault> {
    let digest = vec![0x42; algorithm.digest_length()];
    let signature = key.sign(algorithm, &digest).map_err(|_| UNFITTING)?;
    if key.public().verify(algorithm, &digest, &signature)? { Ok(key) } else { Err(UNFITTING) }
}

/// Without leading zeros, which some libraries write.
fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// As wide as the curve's numbers are: some libraries leave leading zeros out.
fn widened(number: &[u8], curve: VaultCurve) -> Result<Vec<u8>, VaultKeyFault> {
    let number = trimmed(number);
    let missing = curve
        .width()
        .checked_sub(number.len())
        .ok_or(VaultKeyFault::Invalid("a number is longer than the curve's numbers are"))?;
    let mut out = vec![0; missing];
    out.extend_from_slice(number);
    Ok(out)
}
