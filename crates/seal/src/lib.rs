//! All cryptography of Bartizan, and the only maker of [`kernel::Sealed`]. Primitives come from aws-lc-rs and RustCrypto's
//! Argon2; what is ours is how they are put together, written to the byte in `docs/formats/`.

#![forbid(unsafe_code)]

mod aead;
mod assertion;
mod blob;
mod certificate;
mod chain;
mod code;
mod credential;
mod digest;
mod error;
mod foreign;
mod keyring;
mod passkey;
mod password;
mod random;
mod record;
mod root;
mod signing;
mod statement;
mod token;
mod totp;
mod vault_certificate;
mod vault_key;

pub use assertion::{AssertionCertificate, AssertionClaims, ClientAssertion};
pub use blob::{BlobKey, BlobOpener, BlobSealer, BlobSummary, SEGMENT, sealed_length};
pub use certificate::{Authority, ServerIdentity};
pub use chain::Sha256Chain;
pub use code::{is_message_code, message_code};
pub use credential::{Fingerprint, new_account_key, new_client_secret, new_sealing_key, new_service_key};
pub use digest::{Md5, Sha256, Sha512, hex, sha256_hex};
pub use error::SealError;
pub use foreign::{ForeignFault, ForeignKeys, ForeignToken};
pub use keyring::{Keyring, Ring};
pub use passkey::{Passkey, PasskeyAnswer, PasskeyQuestion, PasskeyRegistration, PasskeySite};
pub use password::PasswordHash;
pub use random::random;
pub use record::{Place, record_key_version};
pub use root::{RootSealing, open_kept};
pub use signing::{CheckpointKey, CheckpointVerifier, SignedCheckpoint};
pub use statement::StatementKey;
pub use token::{PublicKey, TokenKey, TokenKeys};
pub use totp::TotpSecret;
pub use vault_certificate::{
    CertificateBundle, CertificateForm, CertificateUsage, ReadCertificate, key_from_pem, ordered as ordered_chain,
    thumbprint, to_pem, to_pkcs12,
};
pub use vault_key::{
    EncryptionAlgorithm, SignatureAlgorithm, VaultCiphertext, VaultCurve, VaultKey, VaultKeyFault, VaultKeyShape,
    VaultPrivateKey, VaultPublicKey,
};
