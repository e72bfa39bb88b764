//! Certificates that a vault keeps for its users: made of a vault's key or brought, read, and written as people carry them.
//!
//! Signing is rcgen's, reading x509-parser's, PKCS #12 p12-keystore's; keys are those of [`crate::VaultKey`].

mod bundle;
mod form;
mod name;
mod read;

pub use bundle::{CertificateBundle, key_from_pem, ordered, to_pem, to_pkcs12};
pub use form::{CertificateForm, CertificateUsage};
pub use read::{ReadCertificate, thumbprint};

/// Principal names of users, as an alternative name of a subject.
const PRINCIPAL_NAME: &str = "1.3.6.1.4.1.311.20.2.3";
/// Numbers of an object identifier.
const MOST_NUMBERS: usize = 32;

/// The numbers of an object identifier, if it can be one (X.660: the first is 0, 1 or 2, and below 2 the second is less than 40).
fn oid(dotted: &str) -> Option<Vec<u64>> {
    let numbers: Option<Vec<u64>> = dotted.split('.').map(|number| number.parse::<u32>().ok().map(u64::from)).collect();
    let numbers = numbers?;
    match numbers.as_slice() {
        [0 | 1, second, ..] if *second >= 40 => None,
        [0..=2, _, ..] if numbers.len() <= MOST_NUMBERS => Some(numbers),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
