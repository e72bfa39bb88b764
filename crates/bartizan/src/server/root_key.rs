//! Who holds the root key: what an operator says, and opening it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use kernel::KeyProvider;
use seal::RootSealing;
use store::{KeyConfig, KeySurroundings, open_key};

use super::options::beside;
use crate::failure::Failure;

/// Options of every command that opens a data directory.
#[derive(Args, Clone, Debug, Default)]
pub struct RootKeyOptions {
    /// File of the root key, outside the data directory, mode 0600. Made at the first start; keep a copy elsewhere:
    /// without it the data cannot be read. Default: beside the data directory, as `D.key`.
    #[arg(long, value_name = "FILE", conflicts_with = "root_key_config")]
    pub root_key: Option<PathBuf>,

    /// JSON file that names another holder of the root key: a passphrase, a transit engine, a PKCS#11 token, an Azure key vault.
    #[arg(long, value_name = "FILE")]
    pub root_key_config: Option<PathBuf>,
}

impl RootKeyOptions {
    /// The holder that was chosen.
    pub fn choice(&self, data_dir: &Path) -> Result<KeyConfig, Failure> {
        match &self.root_key_config {
            Some(file) => read_choice(file),
            None => Ok(KeyConfig::File { path: self.root_key.clone().unwrap_or_else(|| beside(data_dir, "key")) }),
        }
    }
}

/// Reads the file that names a holder.
pub fn read_choice(file: &Path) -> Result<KeyConfig, Failure> {
    KeyConfig::read(file).map_err(|fault| Failure::usage(fault.to_string()))
}

/// Opens the holder; `is_new` when no data needs its key yet.
pub async fn open_holder(choice: &KeyConfig, is_new: bool) -> Result<Arc<dyn KeyProvider>, Failure> {
    // systemd's, for the service alone.
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let around = KeySurroundings { sealing: Arc::new(RootSealing), is_new, credentials: credentials.as_deref() };
    Ok(open_key(choice, around).await?)
}
