//! What a vault's key can be, and what it can do: names as JSON Web Algorithms and Azure Key Vault spell them.

use aws_lc_rs::{
    digest,
    rsa::{KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
        ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING,
        EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256,
        RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
        RsaEncoding, RsaParameters,
    },
};
use serde::{Deserialize, Serialize};

/// What kind of key to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VaultKeyShape {
    /// RSA with a modulus of this many bits: 2048, 3072 or 4096.
    Rsa(u32),
    /// On this curve.
    Curve(VaultCurve),
    /// Symmetric, of this many bits: 128, 192 or 256.
    Symmetric(u32),
}

/// A curve of NIST's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum VaultCurve {
    /// `P-256`.
    #[serde(rename = "P-256")]
    P256,
    /// `P-384`.
    #[serde(rename = "P-384")]
    P384,
    /// `P-521`.
    #[serde(rename = "P-521")]
    P521,
}

impl VaultCurve {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// As JSON Web Keys name it (RFC 7518 §6.2.1.1).
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Reads a name; none for a curve that is not offered.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.name() == name)
    }

    /// Bytes of a coordinate, and of the private number.
    pub(super) fn width(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    pub(super) fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            Self::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }

    pub(super) fn verification(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
            Self::P521 => &ECDSA_P521_SHA512_FIXED,
        }
    }

    pub(super) fn signature(self) -> SignatureAlgorithm {
        match self {
            Self::P256 => SignatureAlgorithm::Es256,
            Self::P384 => SignatureAlgorithm::Es384,
            Self::P521 => SignatureAlgorithm::Es512,
        }
    }
}

pub(super) fn modulus(bits: u32) -> Option<KeySize> {
    match bits {
        2048 => Some(KeySize::Rsa2048),
        3072 => Some(KeySize::Rsa3072),
        4096 => Some(KeySize::Rsa4096),
        _ => None,
    }
}

/// How a digest is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256, salt as long as the digest.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256; the signature is r ‖ s.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
}

impl SignatureAlgorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
    ];

    /// Its registered name (RFC 7518 §3.1).
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
        }
    }

    /// Reads a name; none for what is not offered.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Bytes of the digest that it signs.
    pub fn digest_length(self) -> usize {
        self.hash().output_len()
    }

    pub(super) fn hash(self) -> &'static digest::Algorithm {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => &digest::SHA256,
            Self::Rs384 | Self::Ps384 | Self::Es384 => &digest::SHA384,
            Self::Rs512 | Self::Ps512 | Self::Es512 => &digest::SHA512,
        }
    }

    /// How RSA signs and verifies with it; none for an algorithm of curves.
    pub(super) fn rsa(self) -> Option<(&'static dyn RsaEncoding, &'static RsaParameters)> {
        match self {
            Self::Rs256 => Some((&RSA_PKCS1_SHA256, &RSA_PKCS1_2048_8192_SHA256)),
            Self::Rs384 => Some((&RSA_PKCS1_SHA384, &RSA_PKCS1_2048_8192_SHA384)),
            Self::Rs512 => Some((&RSA_PKCS1_SHA512, &RSA_PKCS1_2048_8192_SHA512)),
            Self::Ps256 => Some((&RSA_PSS_SHA256, &RSA_PSS_2048_8192_SHA256)),
            Self::Ps384 => Some((&RSA_PSS_SHA384, &RSA_PSS_2048_8192_SHA384)),
            Self::Ps512 => Some((&RSA_PSS_SHA512, &RSA_PSS_2048_8192_SHA512)),
            Self::Es256 | Self::Es384 | Self::Es512 => None,
        }
    }
}

/// How a value is encrypted, or another key wrapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EncryptionAlgorithm {
    /// `RSA-OAEP`: with SHA-1, as RFC 7518 has it.
    RsaOaep,
    /// `RSA-OAEP-256`: with SHA-256, in the mask too.
    RsaOaep256,
    /// `A128KW`, `A192KW`, `A256KW`: AES key wrap (RFC 3394) with a key of this many bits.
    AesKeyWrap(u32),
    /// `A128GCM`, `A192GCM`, `A256GCM`.
    AesGcm(u32),
    /// `A128CBCPAD`, `A192CBCPAD`, `A256CBCPAD`: CBC with the padding of PKCS #7. Nothing authenticates it.
    AesCbcPad(u32),
}

impl EncryptionAlgorithm {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::RsaOaep,
        Self::RsaOaep256,
        Self::AesKeyWrap(128),
        Self::AesKeyWrap(192),
        Self::AesKeyWrap(256),
        Self::AesGcm(128),
        Self::AesGcm(192),
        Self::AesGcm(256),
        Self::AesCbcPad(128),
        Self::AesCbcPad(192),
        Self::AesCbcPad(256),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::RsaOaep => "RSA-OAEP",
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::AesKeyWrap(128) => "A128KW",
            Self::AesKeyWrap(192) => "A192KW",
            Self::AesKeyWrap(_) => "A256KW",
            Self::AesGcm(128) => "A128GCM",
            Self::AesGcm(192) => "A192GCM",
            Self::AesGcm(_) => "A256GCM",
            Self::AesCbcPad(128) => "A128CBCPAD",
            Self::AesCbcPad(192) => "A192CBCPAD",
            Self::AesCbcPad(_) => "A256CBCPAD",
        }
    }

    /// Reads a name; none for what is not offered.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub(super) fn oaep(self) -> Option<&'static OaepAlgorithm> {
        match self {
            Self::RsaOaep => Some(&OAEP_SHA1_MGF1SHA1),
            Self::RsaOaep256 => Some(&OAEP_SHA256_MGF1SHA256),
            _ => None,
        }
    }
}
