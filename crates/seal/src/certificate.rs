//! The built-in certificate authority and the server's own certificate.

use std::fmt;

use kernel::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};

use crate::SealError;

/// A certificate authority of one installation.
pub struct Authority {
    key_pem: Secret<String>,
    certificate_pem: String,
}

/// A server's certificate chain and key, PEM.
pub struct ServerIdentity {
    /// The server's certificate, then the authority's.
    pub chain_pem: String,
    /// The private key.
    pub key_pem: Secret<String>,
}

fn refused(what: &'static str) -> impl Fn(rcgen::Error) -> SealError {
    move |_| SealError::Refused(what)
}

impl Authority {
    /// A new authority, valid for thirty years. `year` is the present one.
    pub fn generate(year: i32) -> Result<Self, SealError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(refused("make a key"))?;
        let mut params = CertificateParams::new(Vec::new()).map_err(refused("make a certificate"))?;
        params.distinguished_name.push(DnType::CommonName, "Bartizan installation authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(year.saturating_sub(1), 12, 31);
        params.not_after = date_time_ymd(year.saturating_add(30), 1, 1);
        let certificate = params.self_signed(&key).map_err(refused("sign a certificate"))?;
        Ok(Self { key_pem: Secret::new(key.serialize_pem()), certificate_pem: certificate.pem() })
    }

    /// The authority from its stored form.
    pub fn new(key_pem: Secret<String>, certificate_pem: String) -> Self {
        Self { key_pem, certificate_pem }
    }

    /// The certificate that clients are told to trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key, to be stored sealed.
    pub fn key_pem(&self) -> &Secret<String> {
        &self.key_pem
    }

    /// A server certificate for these names (DNS names, wildcards, IP addresses), valid until the end of next year.
    pub fn issue(&self, names: &[String], year: i32) -> Result<ServerIdentity, SealError> {
        let signing = KeyPair::from_pem(self.key_pem.expose()).map_err(refused("read a key"))?;
        let issuer = Issuer::from_ca_cert_pem(&self.certificate_pem, signing).map_err(refused("read a certificate"))?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(refused("make a key"))?;
        let mut params = CertificateParams::new(names.to_vec()).map_err(refused("take these names"))?;
        params.distinguished_name.push(DnType::CommonName, "Bartizan server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.not_before = date_time_ymd(year.saturating_sub(1), 12, 31);
        params.not_after = date_time_ymd(year.saturating_add(2), 1, 1);
        let certificate = params.signed_by(&key, &issuer).map_err(refused("sign a certificate"))?;
        let chain_pem = format!("{}{}", certificate.pem(), self.certificate_pem);
        Ok(ServerIdentity { chain_pem, key_pem: Secret::new(key.serialize_pem()) })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Authority(***)")
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ServerIdentity(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_issues_for_names_and_addresses() {
        let made = Authority::generate(2026).unwrap();
        let again = Authority::new(made.key_pem().clone(), made.certificate_pem().to_owned());
        let names = ["localhost", "127.0.0.1", "::1", "*.vault.bartizan.test"].map(String::from);
        let identity = again.issue(&names, 2026).unwrap();
        assert_eq!(identity.chain_pem.matches("BEGIN CERTIFICATE").count(), 2);
    }
}
