//! Which drivers a server uses: a closed choice, joined to the ports in one place.

use std::{path::PathBuf, sync::Arc};

use kernel::{BlobStore, Chain, MetaStore, StoreResult};
use serde::Deserialize;

use crate::{blob, meta};

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
