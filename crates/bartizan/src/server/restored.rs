//! A data directory from a backup's archive: unpacked beside a mark that says it is not complete, which goes last.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, BufReader, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use domain::{
    audit::LogKey,
    erasure::{Certificate, HonourErasure, Honoured},
    gate::{enter, root_key_use},
    safekeeping::{Manifest, Member, Name, ReadBackup, Restored, SayRestored, Unpack},
};
use kernel::{BlobStore, Caller, KeyProvider, Sealed, StoreResult};
use seal::CheckpointVerifier;
use store::{blob::LocalDisk, meta::Sqlite};
use tokio::{runtime::Handle, sync::mpsc, task::JoinHandle};

use super::{CHECKPOINTS, CUTS, DataDir, PUBLIC_KEY, open_at_rest};
use crate::failure::Failure;

/// The mark of a restore that has not ended.
pub const INCOMPLETE: &str = "RESTORE-INCOMPLETE";
/// Pieces that wait for a slow disk.
const AHEAD: usize = 4;

/// What was restored.
pub struct Unpacked {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// Resource ids of workspaces that were back, and were erased again.
    pub erased: Vec<String>,
}

/// Restores `archive` into `data_dir`, which must be empty or not there. `root` is who holds the key that the backup was made
/// under. What certificates say was erased is erased again. What a failure leaves is cleared away.
///
/// # Errors
/// With one sentence: not empty, not a whole backup, another root key.
pub async fn unpack(
    archive: &Path,
    data_dir: &Path,
    root: Arc<dyn KeyProvider>,
    pinned: Option<CheckpointVerifier>,
    erased: Vec<Certificate>,
) -> Result<Unpacked, Failure> {
    let file = File::open(archive);
    let file = file.map_err(|fault| Failure::usage(format!("cannot read {}: {fault}", archive.display())))?;
    let data_dir = std::path::absolute(data_dir)?;
    begin(&data_dir)?;
    let done = fill(file, &data_dir, root, pinned, erased).await;
    if done.is_err()
        && let Err(fault) = clear(&data_dir)
    {
        tracing::warn!(%fault, "what the restore had made stays; remove {}", data_dir.display());
    }
    done
}

/// Makes the directory with its mark, durably.
fn begin(data_dir: &Path) -> Result<(), Failure> {
    let cannot = |fault: io::Error| Failure::new(format!("cannot make {}: {fault}", data_dir.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(cannot)?;
    if fs::read_dir(data_dir).map_err(cannot)?.next().is_some() {
        let why = "is not empty; a backup is restored into an empty directory, or one that is not there";
        return Err(Failure::usage(format!("{} {why}", data_dir.display())));
    }
    let mut mark = public(&data_dir.join(INCOMPLETE)).map_err(cannot)?;
    mark.write_all(b"A backup was being restored here. While this file is here, it did not end.\n").map_err(cannot)?;
    mark.sync_all().and_then(|()| File::open(data_dir)?.sync_all()).map_err(cannot)
}

/// Removes everything, the mark last.
fn clear(data_dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(data_dir)? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else if path.file_name().is_some_and(|name| name != INCOMPLETE) {
            fs::remove_file(&path)?;
        }
    }
    fs::remove_file(data_dir.join(INCOMPLETE))
}

fn public(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)
}

async fn fill(
    file: File,
    data_dir: &Path,
    root: Arc<dyn KeyProvider>,
    pinned: Option<CheckpointVerifier>,
    certificates: Vec<Certificate>,
) -> Result<Unpacked, Failure> {
    let (place, key, runtime) = (data_dir.to_owned(), Arc::clone(&root), Handle::current());
    let unpacked = tokio::task::spawn_blocking(move || {
        let mut into = Unpacking {
            blobs: Arc::new(LocalDisk::open(&place.join("blobs"))?),
            place,
            root: key,
            runtime,
            writing: Writing::Nothing,
            refusal: None,
        };
        let read = ReadBackup::new(BufReader::with_capacity(1 << 20, file), pinned).read(&mut into);
        match (read, into.refusal) {
            (_, Some(refusal)) => Err(refusal),
            (Err(fault), None) => Err(Failure::new(fault.to_string())),
            (Ok(read), None) => Ok(read),
        }
    });
    let (manifest, log_key) = unpacked.await.map_err(|fault| Failure::new(fault.to_string()))??;
    let data = DataDir::open_unfinished(data_dir, root)?;
    let house = open_at_rest(&data).await?;
    // Who signed the manifest is known only now: the key that signs lies sealed in what was restored.
    if enter(&house, &Caller::house(), LogKey).await? != log_key {
        return Err(Failure::new("the backup's manifest was not signed by the server whose data it holds"));
    }
    let restored = Restored { made_at: manifest.made_at.clone(), records: manifest.records };
    enter(&house, &Caller::house(), SayRestored(restored)).await?;
    let mut erased = Vec::new();
    for certificate in certificates {
        if let Honoured::Erased(found) = enter(&house, &Caller::house(), HonourErasure { certificate }).await? {
            erased.push(found.erasure.workspace.to_string());
        }
    }
    house.flush_reads().await?;
    File::open(data_dir)?.sync_all()?;
    fs::remove_file(data_dir.join(INCOMPLETE))?;
    File::open(data_dir)?.sync_all()?;
    Ok(Unpacked { manifest, erased })
}

/// Puts members where they belong.
struct Unpacking {
    place: PathBuf,
    blobs: Arc<LocalDisk>,
    root: Arc<dyn KeyProvider>,
    runtime: Handle,
    writing: Writing,
    /// A refusal in better words than a fault of a file has.
    refusal: Option<Failure>,
}

enum Writing {
    Nothing,
    Meta(File),
    Public(File),
    Blob(mpsc::Sender<StoreResult<Sealed>>, JoinHandle<StoreResult<u64>>),
}

fn stored(fault: kernel::StoreError) -> io::Error {
    io::Error::other(crate::failure::with_causes(&fault))
}

impl Unpack for Unpacking {
    fn begin(&mut self, member: &Member) -> io::Result<()> {
        let name = match member.name {
            Name::Meta => {
                self.writing = Writing::Meta(Sqlite::place(&self.place.join("meta")).map_err(stored)?);
                return Ok(());
            }
            Name::Blob(id) => {
                let (sender, receiver) = mpsc::channel(AHEAD);
                let pieces = futures::stream::unfold(receiver, |mut receiver: mpsc::Receiver<_>| async {
                    Some((receiver.recv().await?, receiver))
                });
                let blobs = Arc::clone(&self.blobs);
                let put = self.runtime.spawn(async move { blobs.put(id, Box::pin(pieces)).await });
                self.writing = Writing::Blob(sender, put);
                return Ok(());
            }
            Name::LogKey => PUBLIC_KEY,
            Name::Checkpoint => CHECKPOINTS,
            Name::Cut => CUTS,
            Name::Authority => "ca.pem",
            Name::List(_) | Name::Manifest => return Ok(()),
        };
        self.writing = Writing::Public(public(&self.place.join(name))?);
        Ok(())
    }

    fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.writing {
            Writing::Nothing => Ok(()),
            Writing::Meta(file) | Writing::Public(file) => file.write_all(bytes),
            Writing::Blob(sender, _) => {
                // One that is not taken any more has failed, and says so at its end.
                let _ = sender.blocking_send(Ok(Sealed::read_back(bytes.to_vec().into())));
                Ok(())
            }
        }
    }

    fn end(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.writing, Writing::Nothing) {
            Writing::Nothing => Ok(()),
            Writing::Public(file) => file.sync_all(),
            Writing::Meta(file) => {
                file.sync_all()?;
                drop(file);
                self.is_ours()
            }
            Writing::Blob(sender, put) => {
                drop(sender);
                let put = self.runtime.block_on(put).map_err(io::Error::other)?;
                put.map(drop).map_err(stored)
            }
        }
    }
}

impl Unpacking {
    /// Whether the root key opens it: better known before the blobs are unpacked than after.
    fn is_ours(&mut self) -> io::Result<()> {
        let meta = Sqlite::open_read_only(&self.place.join("meta")).map_err(stored)?;
        match self.runtime.block_on(root_key_use(&meta, self.root.as_ref())) {
            Ok(_) => Ok(()),
            Err(fault) => {
                self.refusal = Some(Failure::new(format!(
                    "{fault}; restore with the root key that the backup was made under (--root-key, --root-key-config)"
                )));
                Err(io::Error::other("another root key"))
            }
        }
    }
}
