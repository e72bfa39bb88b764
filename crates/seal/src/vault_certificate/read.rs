//! Reading certificates that somebody brings: what they say, and whose key they are of. Whether anybody vouches for one is not asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{ExtendedKeyUsage, GeneralName, KeyUsage},
    prelude::FromDer,
    public_key::PublicKey,
};

use super::{CertificateForm, CertificateUsage, PRINCIPAL_NAME, name};
use crate::{VaultKeyFault, VaultPublicKey};

/// A certificate, read.
#[derive(Clone, Debug)]
pub struct ReadCertificate {
    /// What it says.
    pub form: CertificateForm,
    /// From when on it is valid, epoch seconds.
    pub from: i64,
    /// Until when, epoch seconds.
    pub until: i64,
    key: Numbers,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Numbers {
    Rsa(Vec<u8>, Vec<u8>),
    Point(Vec<u8>),
    Other,
}

impl ReadCertificate {
    /// Reads one, DER.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn from_der(der: &[u8]) -> Result<Self, VaultKeyFault> {
        const UNREAD: VaultKeyFault = VaultKeyFault::Invalid("the X.509 certificate cannot be read");
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| UNREAD)?;
        if !rest.is_empty() {
            return Err(UNREAD);
        }
        let mut form = CertificateForm { subject: name::write(certificate.subject()), ..CertificateForm::default() };
        if let Some(names) = certificate.subject_alternative_name().map_err(|_| UNREAD)? {
            names.value.general_names.iter().for_each(|name| take(&mut form, name));
        }
        if let Some(usage) = certificate.key_usage().map_err(|_| UNREAD)? {
            form.usages = usages(usage.value);
        }
        if let Some(purposes) = certificate.extended_key_usage().map_err(|_| UNREAD)? {
            form.purposes = purposes_of(purposes.value);
        }
        let bare = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
        let key = match certificate.public_key().parsed() {
            Ok(PublicKey::RSA(key)) => Numbers::Rsa(bare(key.modulus), bare(key.exponent)),
            Ok(PublicKey::EC(point)) => Numbers::Point(point.data().to_vec()),
            _ => Numbers::Other,
        };
        let validity = certificate.validity();
        Ok(Self { form, from: validity.not_before.timestamp(), until: validity.not_after.timestamp(), key })
    }

    /// Whether it is of this key.
    pub fn is_of(&self, key: &VaultPublicKey) -> bool {
        match key {
            VaultPublicKey::Rsa { n, e } => self.key == Numbers::Rsa(n.clone(), e.clone()),
            VaultPublicKey::Curve { x, y, .. } => self.key == Numbers::Point([&[4], x.as_slice(), y].concat()),
            VaultPublicKey::Symmetric { .. } => false,
        }
    }
}

/// The SHA-1 of a certificate, by which many systems find one (`x5t`, RFC 7517 §4.8). It proves nothing.
pub fn thumbprint(der: &[u8]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref().to_vec()
}

fn take(form: &mut CertificateForm, name: &GeneralName<'_>) {
    match name {
        GeneralName::DNSName(name) => form.dns_names.push((*name).to_owned()),
        GeneralName::RFC822Name(name) => form.emails.push((*name).to_owned()),
        GeneralName::URI(name) => form.uris.push((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
            let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(|b| IpAddr::V6(Ipv6Addr::from(b))));
            form.addresses.extend(address.map(|address| address.to_string()));
        }
        GeneralName::OtherName(kind, value) if kind.to_id_string() == PRINCIPAL_NAME => {
            // [0] EXPLICIT UTF8String, each shorter than 128 bytes.
            if let [0xa0, _, 0x0c, length, text @ ..] = value
                && usize::from(*length) == text.len()
            {
                form.upns.extend(std::str::from_utf8(text).map(str::to_owned));
            }
        }
        _ => {}
    }
}

fn usages(usage: &KeyUsage) -> Vec<CertificateUsage> {
    let is = |asked: &CertificateUsage| match asked {
        CertificateUsage::DigitalSignature => usage.digital_signature(),
        CertificateUsage::NonRepudiation => usage.non_repudiation(),
        CertificateUsage::KeyEncipherment => usage.key_encipherment(),
        CertificateUsage::DataEncipherment => usage.data_encipherment(),
        CertificateUsage::KeyAgreement => usage.key_agreement(),
        CertificateUsage::KeyCertSign => usage.key_cert_sign(),
        CertificateUsage::CrlSign => usage.crl_sign(),
        CertificateUsage::EncipherOnly => usage.encipher_only(),
        CertificateUsage::DecipherOnly => usage.decipher_only(),
    };
    CertificateUsage::ALL.into_iter().filter(is).collect()
}

fn purposes_of(purposes: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let named = [
        (purposes.any, "2.5.29.37.0"),
        (purposes.server_auth, "1.3.6.1.5.5.7.3.1"),
        (purposes.client_auth, "1.3.6.1.5.5.7.3.2"),
        (purposes.code_signing, "1.3.6.1.5.5.7.3.3"),
        (purposes.email_protection, "1.3.6.1.5.5.7.3.4"),
        (purposes.time_stamping, "1.3.6.1.5.5.7.3.8"),
        (purposes.ocsp_signing, "1.3.6.1.5.5.7.3.9"),
    ];
    let named = named.into_iter().filter(|(is_named, _)| *is_named).map(|(_, dotted)| dotted.to_owned());
    named.chain(purposes.other.iter().map(|purpose| purpose.to_id_string())).collect()
}
