//! Private halves as documents: what a certificate's key is brought as, and what signs certificates.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::KeyPair,
    signature::EcdsaKeyPair,
};
use kernel::Secret;

use super::{
    Material, SignatureAlgorithm, VaultCurve, VaultKey, VaultKeyFault, algorithm::modulus, curve_public,
    private::proven, rsa_public,
};

impl VaultKey {
    /// The private half as PKCS #8, DER, unencrypted; none of a symmetric key.
    pub(crate) fn document(&self) -> Option<&Secret<Vec<u8>>> {
        match &self.material {
            Material::Rsa(document) | Material::Curve(_, document) => Some(document),
            Material::Symmetric(_) => None,
        }
    }

    /// Reads an unencrypted private half, DER: PKCS #8, or the older forms of RSA (PKCS #1) and of curves (SEC 1).
    ///
    /// # Errors
    /// `Invalid` for what is none, or a size or curve that is not offered.
    pub(crate) fn from_document(document: &[u8]) -> Result<Self, VaultKeyFault> {
        let refused = |_| VaultKeyFault::Refused("write a key");
        for curve in VaultCurve::ALL {
            let Ok(pair) = EcdsaKeyPair::from_private_key_der(curve.signing(), document) else { continue };
            let document = Secret::new(pair.to_pkcs8v1().map_err(refused)?.as_ref().to_vec());
            let key = Self::new(Material::Curve(curve, document), curve_public(curve, &pair)?);
            return proven(key, curve.signature());
        }
        let pair = KeyPair::from_pkcs8(document).or_else(|_| KeyPair::from_der(document));
        let pair = pair.map_err(|_| {
            VaultKeyFault::Invalid("the private key must be RSA or on `P-256`, `P-384` or `P-521`, and not encrypted")
        })?;
        let bits = u32::try_from(pair.public_modulus_len().saturating_mul(8)).unwrap_or(u32::MAX);
        if modulus(bits).is_none() {
            return Err(VaultKeyFault::Invalid("RSA keys have 2048, 3072 or 4096 bits"));
        }
        let public = rsa_public(&pair)?;
        let document: Pkcs8V1Der<'_> = pair.as_der().map_err(refused)?;
        let key = Self::new(Material::Rsa(Secret::new(document.as_ref().to_vec())), public);
        proven(key, SignatureAlgorithm::Ps256)
    }
}
