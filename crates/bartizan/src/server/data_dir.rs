//! The data directory: sealed stores, and a few public files.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use kernel::KeyProvider;
use seal::Sha256Chain;
use store::{BlobConfig, Config, MetaConfig, Stores};

use super::{INCOMPLETE, RootKeyOptions, open_holder};
use crate::failure::Failure;

/// An opened data directory, locked against other servers.
#[derive(Clone)]
pub struct DataDir {
    path: PathBuf,
    stores: Stores,
    root: Arc<dyn KeyProvider>,
}

impl DataDir {
    /// Opens it, making directory and root key when there is no data yet.
    pub async fn open(data_dir: &Path, root_key: &RootKeyOptions) -> Result<Self, Failure> {
        let path = std::path::absolute(data_dir)?;
        refuse_incomplete(&path)?;
        let is_new = !path.join("meta").exists();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|fault| Failure::new(format!("cannot make the data directory {}: {fault}", path.display())))?;
        refuse_lost_store(&path, is_new)?;
        let root = open_holder(&root_key.choice(data_dir)?, is_new).await?;
        Self::with(path, root)
    }

    /// Opens one that holds a server's data already: tools make none.
    pub async fn open_existing(data_dir: &Path, root_key: &RootKeyOptions) -> Result<Self, Failure> {
        refuse_incomplete(data_dir)?;
        if !data_dir.join("meta").exists() {
            let why = "holds no server's data; name its data directory with --data-dir";
            return Err(Failure::usage(format!("{} {why}", data_dir.display())));
        }
        Self::open(data_dir, root_key).await
    }

    /// Opens one that is being restored.
    pub(super) fn open_unfinished(path: &Path, root: Arc<dyn KeyProvider>) -> Result<Self, Failure> {
        Self::with(path.to_owned(), root)
    }

    fn with(path: PathBuf, root: Arc<dyn KeyProvider>) -> Result<Self, Failure> {
        let config = Config {
            meta: MetaConfig::Sqlite { dir: path.join("meta") },
            blob: BlobConfig::LocalDisk { dir: path.join("blobs") },
        };
        let stores = store::open(&config, Arc::new(Sha256Chain))?;
        Ok(Self { path, stores, root })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its stores.
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// The root key.
    pub fn root_key(&self) -> Arc<dyn KeyProvider> {
        Arc::clone(&self.root)
    }

    /// A public file of the directory.
    pub fn read_public(&self, name: &str) -> Result<Option<String>, Failure> {
        match fs::read_to_string(self.path.join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(Failure::new(format!("cannot read {}: {fault}", self.path.join(name).display()))),
        }
    }

    /// Writes a public file, whole or not at all.
    pub fn write_public(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        write_whole(&self.path.join(name), content, 0o644)
    }

    /// Appends to a public file, durable when it returns.
    pub fn append_public(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        let path = self.path.join(name);
        let is_new = !path.exists();
        let mut file = fs::OpenOptions::new().create(true).append(true).mode(0o644).open(path)?;
        file.write_all(content)?;
        file.sync_data()?;
        if is_new {
            fs::File::open(&self.path)?.sync_all()?;
        }
        Ok(())
    }

    /// A directory of this server's own for the Unix sockets of replicas: short, since socket paths are bounded, and
    /// outside the data directory, which no jail may see.
    pub fn socket_dir(&self) -> Result<PathBuf, Failure> {
        let id = seal::random::<8>().map_err(kernel::Error::from)?;
        let dir = std::env::temp_dir().join(format!("bartizan-{}", seal::hex(&id)));
        fs::DirBuilder::new().mode(0o700).create(&dir)?;
        Ok(dir)
    }
}

/// A directory whose store is gone while its public files remain is no new directory: founding it again would overwrite the
/// evidence that something was lost.
fn refuse_lost_store(path: &Path, is_new: bool) -> Result<(), Failure> {
    let remains = [super::PUBLIC_KEY, super::CHECKPOINTS].iter().any(|name| path.join(name).exists());
    if is_new && remains {
        let why = "has lost its metadata store: restore it from a backup, or choose an empty --data-dir";
        return Err(Failure::new(format!("{} {why}", path.display())));
    }
    Ok(())
}

/// What a restore left that did not end is no data directory.
pub(crate) fn refuse_incomplete(path: &Path) -> Result<(), Failure> {
    if !path.join(INCOMPLETE).exists() {
        return Ok(());
    }
    let why = "holds a restore that did not end; remove the directory, and restore again";
    Err(Failure::new(format!("{} {why}", path.display())))
}

/// Writes a file under a temporary name, makes it durable, and renames it.
pub(super) fn write_whole(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    let cannot = |fault: std::io::Error| Failure::new(format!("cannot write {}: {fault}", path.display()));
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let write = || {
        // A draft that lies there already may be somebody else's: it is never opened, only replaced.
        match fs::remove_file(&fresh) {
            Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => return Err(fault),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(mode).open(&fresh)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(cannot)
}
