//! What a certificate says, and making one: self-signed, or as a request for somebody else to sign (RFC 2986).

use std::net::IpAddr;

use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, OtherNameValue, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_RSA_SHA256, SanType, SerialNumber,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{PRINCIPAL_NAME, name, oid};
use crate::{VaultCurve, VaultKey, VaultKeyFault, VaultPublicKey, random};

/// Names, and purposes, of one certificate.
const MOST: usize = 100;
/// Bytes of a name.
const LONGEST: usize = 253;

/// What a key of a certificate may be used for (RFC 5280 §4.2.1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CertificateUsage {
    /// Signing.
    DigitalSignature,
    /// Signing what cannot be denied.
    NonRepudiation,
    /// Encrypting keys.
    KeyEncipherment,
    /// Encrypting data.
    DataEncipherment,
    /// Agreeing on keys.
    KeyAgreement,
    /// Signing certificates.
    KeyCertSign,
    /// Signing lists of revoked certificates.
    #[serde(rename = "cRLSign")]
    CrlSign,
    /// Agreeing on keys, to encrypt alone.
    EncipherOnly,
    /// Agreeing on keys, to decrypt alone.
    DecipherOnly,
}

impl CertificateUsage {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::DigitalSignature,
        Self::NonRepudiation,
        Self::KeyEncipherment,
        Self::DataEncipherment,
        Self::KeyAgreement,
        Self::KeyCertSign,
        Self::CrlSign,
        Self::EncipherOnly,
        Self::DecipherOnly,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::DigitalSignature => "digitalSignature",
            Self::NonRepudiation => "nonRepudiation",
            Self::KeyEncipherment => "keyEncipherment",
            Self::DataEncipherment => "dataEncipherment",
            Self::KeyAgreement => "keyAgreement",
            Self::KeyCertSign => "keyCertSign",
            Self::CrlSign => "cRLSign",
            Self::EncipherOnly => "encipherOnly",
            Self::DecipherOnly => "decipherOnly",
        }
    }

    fn purpose(self) -> KeyUsagePurpose {
        match self {
            Self::DigitalSignature => KeyUsagePurpose::DigitalSignature,
            Self::NonRepudiation => KeyUsagePurpose::ContentCommitment,
            Self::KeyEncipherment => KeyUsagePurpose::KeyEncipherment,
            Self::DataEncipherment => KeyUsagePurpose::DataEncipherment,
            Self::KeyAgreement => KeyUsagePurpose::KeyAgreement,
            Self::KeyCertSign => KeyUsagePurpose::KeyCertSign,
            Self::CrlSign => KeyUsagePurpose::CrlSign,
            Self::EncipherOnly => KeyUsagePurpose::EncipherOnly,
            Self::DecipherOnly => KeyUsagePurpose::DecipherOnly,
        }
    }
}

/// What a certificate says of its holder and of what it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateForm {
    /// The holder's distinguished name, the most specific part first: `CN=example.com, O=Example`. May be empty when there is another
    /// name.
    pub subject: String,
    /// Names of servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// Addresses of mail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<String>,
    /// Principal names of users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upns: Vec<String>,
    /// Identifiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uris: Vec<String>,
    /// Addresses of servers, IPv4 or IPv6.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// What it is for: object identifiers, dotted (RFC 5280 §4.2.1.12).
    #[serde(default)]
    pub purposes: Vec<String>,
    /// What its key may be used for.
    #[serde(default)]
    pub usages: Vec<CertificateUsage>,
}

impl CertificateForm {
    /// Refuses what no certificate can say.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn check(&self) -> Result<(), VaultKeyFault> {
        self.params().map(drop)
    }

    /// A certificate of this key, signed with the same key, valid from and until these epoch seconds. DER.
    ///
    /// # Errors
    /// `Invalid`; `Refused` when the library does.
    pub fn self_signed(&self, key: &VaultKey, from: i64, until: i64) -> Result<Vec<u8>, VaultKeyFault> {
        let time = |seconds| {
            OffsetDateTime::from_unix_timestamp(seconds)
                .map_err(|_| VaultKeyFault::Invalid("the certificate would end after the year 9999"))
        };
        let mut params = self.params()?;
        params.not_before = time(from)?;
        params.not_after = time(until)?;
        params.use_authority_key_identifier_extension = true;
        let mut serial: [u8; 16] = random().map_err(|_| VaultKeyFault::Refused("draw a number"))?;
        // Positive, and always as long.
        if let Some(first) = serial.first_mut() {
            *first = (*first & 0x3f) | 0x40;
        }
        params.serial_number = Some(SerialNumber::from(serial.to_vec()));
        let refused = |_| VaultKeyFault::Refused("sign a certificate");
        Ok(params.self_signed(&signing(key)?).map_err(refused)?.der().to_vec())
    }

    /// A request for a certificate of this key. DER.
    ///
    /// # Errors
    /// As [`Self::self_signed`].
    pub fn request(&self, key: &VaultKey) -> Result<Vec<u8>, VaultKeyFault> {
        let refused = |_| VaultKeyFault::Refused("sign a request");
        Ok(self.params()?.serialize_request(&signing(key)?).map_err(refused)?.der().to_vec())
    }

    fn params(&self) -> Result<CertificateParams, VaultKeyFault> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name::parse(&self.subject)?;
        params.subject_alt_names = self.names()?;
        if self.subject.trim().is_empty() && params.subject_alt_names.is_empty() {
            return Err(VaultKeyFault::Invalid("a certificate must have a subject or a subject alternative name"));
        }
        if self.purposes.len() > MOST {
            return Err(VaultKeyFault::Invalid("a certificate has at most 100 extended key usages"));
        }
        for purpose in &self.purposes {
            let parts = oid(purpose).ok_or(VaultKeyFault::Invalid(
                "extended key usages must be object identifiers such as `1.3.6.1.5.5.7.3.1`",
            ))?;
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::Other(parts));
        }
        params.key_usages = self.usages.iter().map(|usage| usage.purpose()).collect();
        params.is_ca = IsCa::ExplicitNoCa;
        Ok(params)
    }

    fn names(&self) -> Result<Vec<SanType>, VaultKeyFault> {
        const UNFIT: VaultKeyFault = VaultKeyFault::Invalid(
            "a subject alternative name must be a name of a server, an address of mail, a principal name, a URI or an IP address",
        );
        let all = [&self.dns_names, &self.emails, &self.upns, &self.uris, &self.addresses];
        if all.iter().map(|names| names.len()).sum::<usize>() > MOST {
            return Err(VaultKeyFault::Invalid("a certificate has at most 100 subject alternative names"));
        }
        let is_plain = |name: &str| {
            (1..=LONGEST).contains(&name.len()) && !name.chars().any(|char| char.is_whitespace() || char.is_control())
        };
        if !all.iter().copied().flatten().all(|name| is_plain(name)) {
            return Err(UNFIT);
        }
        let mut names = Vec::new();
        for name in &self.dns_names {
            let is_host = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte));
            names.push(SanType::DnsName(name.clone().try_into().ok().filter(|_| is_host).ok_or(UNFIT)?));
        }
        for name in &self.emails {
            names.push(SanType::Rfc822Name(name.clone().try_into().ok().filter(|_| name.contains('@')).ok_or(UNFIT)?));
        }
        for name in &self.upns {
            let parts = oid(PRINCIPAL_NAME).ok_or(UNFIT)?;
            names.push(SanType::OtherName((parts, OtherNameValue::Utf8String(name.clone()))));
        }
        for name in &self.uris {
            names.push(SanType::URI(name.clone().try_into().ok().filter(|_| name.contains(':')).ok_or(UNFIT)?));
        }
        for name in &self.addresses {
            names.push(SanType::IpAddress(name.parse::<IpAddr>().map_err(|_| UNFIT)?));
        }
        Ok(names)
    }
}

/// The key as the library signs with it.
fn signing(key: &VaultKey) -> Result<KeyPair, VaultKeyFault> {
    let algorithm = match key.public() {
        VaultPublicKey::Rsa { .. } => &PKCS_RSA_SHA256,
        VaultPublicKey::Curve { crv: VaultCurve::P256, .. } => &PKCS_ECDSA_P256_SHA256,
        VaultPublicKey::Curve { crv: VaultCurve::P384, .. } => &PKCS_ECDSA_P384_SHA384,
        VaultPublicKey::Curve { crv: VaultCurve::P521, .. } => &PKCS_ECDSA_P521_SHA512,
        VaultPublicKey::Symmetric { .. } => {
            return Err(VaultKeyFault::Invalid("a certificate takes a key of type `RSA` or `EC`"));
        }
    };
    let document = key.document().ok_or(VaultKeyFault::Refused("read a stored key"))?;
    let document = PrivatePkcs8KeyDer::from(document.expose().as_slice());
    KeyPair::from_pkcs8_der_and_sign_algo(&document, algorithm).map_err(|_| VaultKeyFault::Refused("read a stored key"))
}
