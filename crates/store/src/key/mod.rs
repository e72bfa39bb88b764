//! Providers of the root key. What each wraps begins with a byte that names it.

mod azure;
mod envelope;
mod file;
mod passphrase;
mod pkcs11;
mod reach;
mod secret_file;
mod source;
mod transit;

pub use azure::{AzureVault, AzureVaultConfig};
pub use file::KeyFile;
pub use passphrase::Passphrase;
pub use pkcs11::{Pkcs11, Pkcs11Config};
pub use source::PassphraseSource;
pub use transit::{Transit, TransitAuth, TransitConfig};
