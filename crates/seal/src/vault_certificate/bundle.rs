//! A key with its certificates, as people carry them: PKCS #12 (RFC 7292) and PEM (RFC 7468).

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::Secret;
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, Pkcs12Archive, PrivateKey, PrivateKeyChain};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::{ReadCertificate, thumbprint};
use crate::{VaultKey, VaultKeyFault};

/// Certificates of one bundle.
const MOST: usize = 20;
/// Rounds that derive keys from a password. It is empty, so that more of them would protect nothing.
const ROUNDS: u32 = 2048;

/// A key with its certificates.
pub struct CertificateBundle {
    /// The key.
    pub key: VaultKey,
    /// Its certificates, DER: the key's own, then those that vouch for it.
    pub chain: Vec<Vec<u8>>,
}

impl fmt::Debug for CertificateBundle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CertificateBundle({} certificates)", self.chain.len())
    }
}

impl CertificateBundle {
    /// Reads PKCS #12. Deriving keys from a password can take seconds.
    ///
    /// # Errors
    /// `Invalid` for what cannot be read, or with another password.
    pub fn from_pkcs12(bytes: &[u8], password: &str) -> Result<Self, VaultKeyFault> {
        let archive = Pkcs12Archive::from_pkcs12(bytes, password).map_err(|_| {
            VaultKeyFault::Invalid("the PKCS #12 content cannot be read: is it one, and the password the right one?")
        })?;
        let mut keys = archive.keys.into_iter();
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(VaultKeyFault::Invalid("the PKCS #12 content must hold one private key"));
        };
        let document = Secret::new(key.key.as_der().to_vec());
        let chain = archive.certs.into_iter().map(|bag| bag.cert.as_der().to_vec()).collect();
        Self::joined(&document, chain)
    }

    /// Reads PEM: one private key that is not encrypted, and certificates.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn from_pem(text: &str) -> Result<Self, VaultKeyFault> {
        let mut keys = PrivateKeyDer::pem_slice_iter(text.as_bytes());
        let (Some(Ok(key)), None) = (keys.next(), keys.next()) else {
            return Err(VaultKeyFault::Invalid("the PEM content must hold one private key that is not encrypted"));
        };
        let document = Secret::new(key.secret_der().to_vec());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let chain = chain.map_err(|_| VaultKeyFault::Invalid("the PEM content cannot be read"))?;
        Self::joined(&document, chain.into_iter().map(|certificate| certificate.to_vec()).collect())
    }

    fn joined(document: &Secret<Vec<u8>>, chain: Vec<Vec<u8>>) -> Result<Self, VaultKeyFault> {
        let key = VaultKey::from_document(document.expose())?;
        let chain = ordered(&key, chain)?;
        Ok(Self { key, chain })
    }
}

/// A chain with the certificate of this key at its beginning; the others keep their order.
///
/// # Errors
/// `Invalid` when none is of this key, or one cannot be read.
pub fn ordered(key: &VaultKey, mut chain: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, VaultKeyFault> {
    if chain.len() > MOST {
        return Err(VaultKeyFault::Invalid("a chain has at most 20 certificates"));
    }
    let mut own = None;
    for (at, der) in chain.iter().enumerate() {
        if ReadCertificate::from_der(der)?.is_of(key.public()) && own.is_none() {
            own = Some(at);
        }
    }
    let own = own.ok_or(VaultKeyFault::Invalid(
        "the public key of the certificate does not match the private key that it is to have",
    ))?;
    let first = chain.remove(own);
    chain.insert(0, first);
    Ok(chain)
}

/// Certificates as PKCS #12 with an empty password, with their key when it may leave.
///
/// # Errors
/// `Refused` when the library does.
pub fn to_pkcs12(key: Option<&VaultKey>, chain: &[Vec<u8>]) -> Result<Secret<Vec<u8>>, VaultKeyFault> {
    let refused = |_| VaultKeyFault::Refused("write PKCS #12");
    let certificates: Result<Vec<_>, _> = chain.iter().map(|der| Certificate::from_der(der)).collect();
    let certificates = certificates.map_err(refused)?;
    let mut store = KeyStore::new();
    match key.and_then(VaultKey::document) {
        Some(document) => {
            let own = chain.first().map(|der| thumbprint(der)).unwrap_or_default();
            let key = PrivateKey::from_der(document.expose()).map_err(refused)?;
            let entry = PrivateKeyChain::new(own, key, certificates);
            store.add_entry("certificate", KeyStoreEntry::PrivateKeyChain(entry));
        }
        None => {
            for (at, certificate) in certificates.into_iter().enumerate() {
                store.add_entry(&format!("certificate-{at}"), KeyStoreEntry::Certificate(certificate));
            }
        }
    }
    let written = store.writer("").encryption_iterations(ROUNDS).mac_iterations(ROUNDS).write();
    written.map(Secret::new).map_err(refused)
}

/// Reads a private key from PEM: one, which is not encrypted.
///
/// # Errors
/// `Invalid`.
pub fn key_from_pem(text: &Secret<String>) -> Result<VaultKey, VaultKeyFault> {
    let mut keys = PrivateKeyDer::pem_slice_iter(text.expose().as_bytes());
    let (Some(Ok(key)), None) = (keys.next(), keys.next()) else {
        return Err(VaultKeyFault::Invalid("the file must hold one private key in PEM that is not encrypted"));
    };
    VaultKey::from_document(key.secret_der())
}

/// Certificates as PEM, behind their key when it may leave.
pub fn to_pem(key: Option<&VaultKey>, chain: &[Vec<u8>]) -> Secret<String> {
    let mut out = String::new();
    if let Some(document) = key.and_then(VaultKey::document) {
        armor(&mut out, "PRIVATE KEY", document.expose());
    }
    chain.iter().for_each(|der| armor(&mut out, "CERTIFICATE", der));
    Secret::new(out)
}

fn armor(out: &mut String, label: &str, der: &[u8]) {
    let text = Secret::new(STANDARD.encode(der));
    out.push_str(&format!("-----BEGIN {label}-----\n"));
    // Base64 is ASCII: a line of 64 characters is one of 64 bytes.
    for line in text.expose().as_bytes().chunks(64) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
}
