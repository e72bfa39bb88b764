//! Which drivers a server uses: a closed choice, joined to the ports in one place.

use std::{
    fs::File,
    io::Read,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use kernel::{BlobStore, Chain, KeyProvider, MetaStore, Sealing, StoreError, StoreResult};
use nix::unistd::geteuid;
use serde::{Deserialize, de::DeserializeOwned};

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
    /// An Azure key vault.
    AzureKeyVault(key::AzureVaultConfig),
}

impl KeyConfig {
    /// Reads the JSON file in which an operator names a holder. What is wrong in it is not repeated: whoever takes `from` for the
    /// passphrase itself has written a secret there.
    ///
    /// # Errors
    /// `Key` with one sentence that says what to do: it cannot be read, others could have written it, or it names no holder.
    pub fn read(path: &Path) -> StoreResult<Self> {
        let place = path.display();
        read_trusted(path, |at| {
            format!(
                "`{place}` does not say who holds the root key{at}; its `kind` is `file`, `passphrase`, `transit`, `pkcs11` or \
                 `azure-key-vault`, with the fields of that kind and no others"
            )
        })
    }
}

/// Reads a JSON file that names code which runs within the server, and hosts that are sent tokens: one that others cannot have
/// written. `unfit` says what it does not say, with the place where that was found out.
pub(crate) fn read_trusted<T: DeserializeOwned>(path: &Path, unfit: impl FnOnce(String) -> String) -> StoreResult<T> {
    let place = path.display();
    let cannot = |cause| StoreError::Key(format!("cannot read `{place}` ({cause})"));
    let mut file = File::open(path).map_err(cannot)?;
    let about = file.metadata().map_err(cannot)?;
    let me = geteuid().as_raw();
    if about.uid() != me && about.uid() != 0 {
        return Err(StoreError::Key(format!("`{place}` belongs to another user; run `chown {me} {place}`")));
    }
    if about.permissions().mode() & 0o022 != 0 {
        return Err(StoreError::Key(format!("`{place}` can be written by other users; run `chmod go-w {place}`")));
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(cannot)?;
    serde_json::from_slice(&text).map_err(|fault| {
        // Where it is JSON but no choice, no place in it is known.
        let at = match fault.line() {
            0 => String::new(),
            line => format!(" (line {line}, column {})", fault.column()),
        };
        StoreError::Key(unfit(at))
    })
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

/// Opens the chosen holder of the root key. A file or a token's key is made when there is none and no data needs one; the key
/// of a transit engine or a vault is its operator's to make.
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
        KeyConfig::Pkcs11(config) if config.key.is_empty() => {
            return Err(StoreError::Key(String::from("the PKCS#11 token's configuration names no `key`")));
        }
        KeyConfig::Pkcs11(config) => {
            let token = key::Pkcs11::new(config.clone(), sealing);
            if is_new {
                token.make().await?;
            }
            Arc::new(token)
        }
        KeyConfig::AzureKeyVault(config) => Arc::new(key::AzureVault::new(config.clone(), sealing)?),
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

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn what_is_wrong_in_a_choice_is_not_repeated_and_others_may_not_have_written_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("holder.json");
        let read = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            KeyConfig::read(&path).map_err(|fault| fault.to_string())
        };
        let good = r#"{"kind": "passphrase", "from": "prompt"}"#;
        assert!(read(good, 0o644).is_ok());
        for mode in [0o664, 0o646] {
            assert!(read(good, mode).unwrap_err().contains("can be written by other users"));
        }
        assert!(read("{\n", 0o600).unwrap_err().contains("line 2"));
        for wrong in [
            r#"{"kind": "passphrase", "from": "correct horse"}"#,
            r#"{"kind": "passphrase", "correct horse": 1}"#,
            r#"{"kind": "correct horse"}"#,
        ] {
            let why = read(wrong, 0o600).unwrap_err();
            assert!(!why.contains("correct") && why.contains("`pkcs11`"), "{why}");
        }
    }
}
