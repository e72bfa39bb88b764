//! Which drivers a server uses: a closed choice, joined to the ports in one place.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use kernel::{BlobStore, Chain, KeyProvider, MetaStore, Sealing, StoreResult};
use serde::Deserialize;

use crate::{blob, key, meta};

/// The choice of drivers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where metadata and the activity log lie.
    pub meta: MetaConfig,
    /// Where blobs lie.
    pub blob: BlobConfig,
}

/// The drivers for metadata.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MetaConfig {
    /// An SQLite database on this machine.
    Sqlite {
        /// The directory of the database and its lock.
        dir: PathBuf,
    },
    /// Nothing is kept: for tests and demonstrations.
    Memory,
}

/// The drivers for blobs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BlobConfig {
    /// Files on this machine.
    LocalDisk {
        /// The directory that holds `objects/`.
        dir: PathBuf,
    },
    /// Nothing is kept: for tests and demonstrations.
    Memory,
}

/// The holders of a root key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum KeyConfig {
    /// A file of 32 random bytes.
    File {
        /// The file, outside the data directory.
        path: PathBuf,
    },
    /// Made from a passphrase.
    Passphrase {
        /// Where it is read at each start.
        from: key::PassphraseSource,
    },
    /// A transit engine.
    Transit(key::TransitConfig),
    /// A PKCS#11 token.
    Pkcs11(key::Pkcs11Config),
}

/// What the choice of a root key is opened with.
pub struct KeySurroundings<'a> {
    /// What drivers borrow.
    pub sealing: Arc<dyn Sealing>,
    /// Whether there is no data yet, so that a missing key may be made.
    pub is_new: bool,
    /// The directory of systemd's credentials, if there is one.
    pub credentials: Option<&'a Path>,
}

/// Opens the chosen holder of the root key. A file or a token's key is made when there is none and no data needs one; a transit
/// key is the engine's operator's to make.
///
/// # Errors
/// `Key` with one sentence that says what to do, `KeyAway` when the holder cannot be reached.
pub async fn open_key(config: &KeyConfig, around: KeySurroundings<'_>) -> StoreResult<Arc<dyn KeyProvider>> {
    let KeySurroundings { sealing, is_new, credentials } = around;
    Ok(match config {
        KeyConfig::File { path } if is_new && !path.exists() => {
            let fresh = sealing.fresh()?;
            Arc::new(key::KeyFile::create(path, &fresh, sealing)?)
        }
        KeyConfig::File { path } => Arc::new(key::KeyFile::open(path, sealing)?),
        KeyConfig::Passphrase { from } => {
            Arc::new(key::Passphrase::new(from.read(credentials, is_new)?, &from.describe(), sealing))
        }
        KeyConfig::Transit(config) => Arc::new(key::Transit::new(config.clone(), sealing)?),
        KeyConfig::Pkcs11(config) => {
            let token = key::Pkcs11::new(config.clone(), sealing);
            if is_new {
                token.make().await?;
            }
            Arc::new(token)
        }
    })
}

/// The opened drivers.
#[derive(Clone)]
pub struct Stores {
    /// Metadata and the activity log.
    pub meta: Arc<dyn MetaStore>,
    /// Blobs.
    pub blob: Arc<dyn BlobStore>,
}

/// Opens the chosen drivers, making what does not exist yet. `chain` links the rows of the activity log.
///
/// # Errors
/// `Newer` and `Locked` carry one sentence that says what to do; any other fault of the medium is `Failed` or `Full`.
pub fn open(config: &Config, chain: Arc<dyn Chain>) -> StoreResult<Stores> {
    let meta: Arc<dyn MetaStore> = match &config.meta {
        MetaConfig::Sqlite { dir } => Arc::new(meta::Sqlite::open(dir, chain)?),
        MetaConfig::Memory => Arc::new(meta::Memory::new(chain)),
    };
    let blob: Arc<dyn BlobStore> = match &config.blob {
        BlobConfig::LocalDisk { dir } => Arc::new(blob::LocalDisk::open(dir)?),
        BlobConfig::Memory => Arc::new(blob::Memory::new()),
    };
    Ok(Stores { meta, blob })
}
