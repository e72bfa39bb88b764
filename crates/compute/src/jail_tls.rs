//! TLS on the door inside the jail. Some of Azure's clients speak nothing else, whatever address they are given: `azureml://…` means
//! `https://…`, and files go to `https://{account}.blob.{endpoint}`. The certificate is made for one run and known to it alone; it keeps
//! nobody out, since nobody else is there.

use std::sync::Arc;

use kernel::Secret;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{self, ServerConfig},
};

/// The names that the door answers to, inside the jail. The last one is taken apart by clients that look for an account in it.
pub const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "run-files.blob.core.bartizan.internal"];
/// The name under which files of runs are sent and fetched.
pub const FILES: &str = NAMES[2];

/// A certificate for the door.
pub struct DoorIdentity {
    /// The certificate, PEM, and what it is signed with.
    pub chain_pem: String,
    /// Its key.
    pub key_pem: Secret<String>,
    /// What the program is told to trust.
    pub authority_pem: String,
}

/// Makes a certificate for these names; says why not.
pub type MakeDoor = fn(&[String]) -> Result<DoorIdentity, String>;

/// TLS with this certificate.
pub(crate) fn acceptor(identity: &DoorIdentity) -> Result<TlsAcceptor, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(identity.chain_pem.as_bytes()).collect();
    let chain = chain.map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.expose().as_bytes()).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| error.to_string())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
