//! The directory of blobs: how a file in it is reached, made, listed and removed.

use std::{
    ffi::CStr,
    fs::File,
    io::{self, IoSlice, Write},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use kernel::{BlobId, StoreError, StoreResult};
use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AtFlags, OFlag, openat},
    sys::stat::{Mode, SFlag, fstatat, mkdirat},
    unistd::{UnlinkatFlags, linkat, unlinkat},
};

use crate::{disk, fault, lock};

const INCOMING: &str = "incoming";

/// What tests turn: the calls whose failure decides what may be acknowledged.
#[derive(Clone, Copy)]
pub(super) struct Calls {
    pub(super) write: fn(&mut File, Vec<IoSlice<'_>>) -> io::Result<()>,
    pub(super) sync: fn(&File) -> io::Result<()>,
}

impl Default for Calls {
    fn default() -> Self {
        Self { write: write_all, sync: File::sync_all }
    }
}

/// Writes all pieces, with as few calls as the system takes.
pub(super) fn write_all(file: &mut File, mut pieces: Vec<IoSlice<'_>>) -> io::Result<()> {
    let mut rest = pieces.as_mut_slice();
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

/// The open directory `objects`.
pub(super) struct Shelf {
    place: PathBuf,
    objects: OwnedFd,
    /// None when opened for reading only.
    writing: Option<Writing>,
    /// Set by the first failed sync, and never unset.
    broken: OnceLock<String>,
}

struct Writing {
    incoming: OwnedFd,
    next: AtomicU64,
    calls: Calls,
    _lock: lock::Held,
}

impl Shelf {
    pub(super) fn open(dir: &Path) -> StoreResult<Self> {
        Self::open_with(dir, Calls::default())
    }

    pub(super) fn open_with(dir: &Path, calls: Calls) -> StoreResult<Self> {
        let place = disk::private_child(&disk::private_dir(dir)?, "objects")?;
        let lock = lock::hold(&place.join("lock"), &place)?;
        let incoming = disk::private_child(&place, INCOMING)?;
        let said = || format!("cannot open `{}`", place.display());
        let objects = File::open(&place).map_err(|cause| fault::io(said(), cause))?.into();
        let incoming = File::open(incoming).map_err(|cause| fault::io(said(), cause))?.into();
        let writing = Writing { incoming, next: AtomicU64::new(0), calls, _lock: lock };
        let shelf = Self { place, objects, writing: Some(writing), broken: OnceLock::new() };
        shelf.sweep()?;
        Ok(shelf)
    }

    pub(super) fn open_read_only(dir: &Path) -> StoreResult<Self> {
        let place = dir.join("objects");
        let said = || format!("cannot open `{}`", place.display());
        let objects = File::open(&place).map_err(|cause| fault::io(said(), cause))?.into();
        Ok(Self { place, objects, writing: None, broken: OnceLock::new() })
    }

    /// Whether anything may still be acknowledged.
    pub(super) fn may_write(&self) -> StoreResult<()> {
        self.writing().map(drop)
    }

    fn writing(&self) -> StoreResult<&Writing> {
        if let Some(words) = self.broken.get() {
            return Err(StoreError::Broken(words.clone().into()));
        }
        self.writing.as_ref().ok_or_else(|| fault::refused("the storage was opened for reading only"))
    }

    fn said(&self, what: &str, id: impl std::fmt::Display) -> String {
        format!("cannot {what} the object {id} in `{}`", self.place.display())
    }

    /// Makes a temporary file, for us alone, under a name that no other has.
    pub(super) fn make(&self, id: BlobId) -> StoreResult<(String, File)> {
        let writing = self.writing()?;
        let name = format!("{id}.{}", writing.next.fetch_add(1, Ordering::Relaxed));
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(disk::FILE_MODE);
        let file = openat(&writing.incoming, name.as_str(), flags, mode)
            .map_err(|cause| fault::io(self.said("make", id), cause))?;
        Ok((name, File::from(file)))
    }

    pub(super) fn write(&self, id: BlobId, file: &mut File, pieces: Vec<IoSlice<'_>>) -> StoreResult<()> {
        (self.writing()?.calls.write)(file, pieces).map_err(|cause| fault::io(self.said("write", id), cause))
    }

    /// Makes the content of a temporary file durable and gives it its id as a name.
    pub(super) fn keep(&self, id: BlobId, name: &str, file: &File) -> StoreResult<()> {
        let writing = self.writing()?;
        self.sync(id, file)?;
        let shard = self.shard_for_writing(id)?;
        let kept = id.to_string();
        match linkat(&writing.incoming, name, &shard, kept.as_str(), AtFlags::empty()) {
            Err(Errno::EEXIST) => return Err(fault::refused(format!("the object {id} exists"))),
            Err(cause) => return Err(fault::io(self.said("keep", id), cause)),
            Ok(()) => {}
        }
        let synced = self.sync(id, &shard);
        if synced.is_err() {
            // Not acknowledged, so better gone; it may stay, since nothing points to it.
            let _ = unlinkat(&shard, kept.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        synced
    }

    /// Removes a temporary file; the next sweep does it when this fails.
    pub(super) fn drop_temporary(&self, name: &str) {
        if let Some(writing) = &self.writing {
            let _ = unlinkat(&writing.incoming, name, UnlinkatFlags::NoRemoveDir);
        }
    }

    /// After a failed sync the kernel may have forgotten the data and report success the next time: nothing more is
    /// acknowledged. A disk without room says so in time, and the file in question is thrown away.
    fn sync(&self, id: BlobId, file: &File) -> StoreResult<()> {
        match (self.writing()?.calls.sync)(file) {
            Err(cause) if fault::is_full(&cause) => Err(fault::io(self.said("sync", id), cause)),
            Err(cause) => {
                let words = format!("{}: {cause}", self.said("sync", id));
                tracing::error!(cause = %words, "objects cannot be written any more; restart the server");
                Err(fault::broken(self.broken.get_or_init(|| words), cause))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Opens a blob and says how long it is.
    pub(super) fn find(&self, id: BlobId) -> StoreResult<(File, u64)> {
        let shard = self.shard(&shard_of(id))?.ok_or(StoreError::Missing)?;
        // Not blocking: opening a planted pipe would wait for ever.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(&shard, id.to_string().as_str(), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT) => return Err(StoreError::Missing),
            Err(cause) => return Err(fault::io(self.said("open", id), cause)),
        };
        let about = file.metadata().map_err(|cause| fault::io(self.said("open", id), cause))?;
        if !about.is_file() {
            return Err(fault::refused(format!("{}: not a regular file", self.said("open", id))));
        }
        Ok((file, about.size()))
    }

    pub(super) fn length(&self, id: BlobId) -> StoreResult<u64> {
        let shard = self.shard(&shard_of(id))?.ok_or(StoreError::Missing)?;
        let about = match fstatat(&shard, id.to_string().as_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(about) => about,
            Err(Errno::ENOENT) => return Err(StoreError::Missing),
            Err(cause) => return Err(fault::io(self.said("look at", id), cause)),
        };
        match u64::try_from(about.st_size) {
            Ok(length) if about.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits() => Ok(length),
            _ => Err(fault::refused(format!("{}: not a regular file", self.said("look at", id)))),
        }
    }

    pub(super) fn remove(&self, id: BlobId) -> StoreResult<()> {
        let Some(shard) = self.shard(&shard_of(id))? else { return Ok(()) };
        match unlinkat(&shard, id.to_string().as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(cause) => Err(fault::io(self.said("remove", id), cause)),
        }
    }

    pub(super) fn list(&self, after: Option<BlobId>, limit: usize) -> StoreResult<Vec<BlobId>> {
        let mut found = Vec::new();
        let first = after.and_then(|id| id.as_bytes().first().copied()).unwrap_or(0);
        for shard in first..=u8::MAX {
            if found.len() >= limit {
                break;
            }
            let Some(shard) = self.shard(&format!("{shard:02x}"))? else { continue };
            let mut ids: Vec<BlobId> = self.names(shard)?.iter().filter_map(|name| name.parse().ok()).collect();
            ids.retain(|id| after.is_none_or(|after| *id > after));
            ids.sort_unstable();
            ids.truncate(limit.saturating_sub(found.len()));
            found.append(&mut ids);
        }
        Ok(found)
    }

    /// Removes the temporary files of interrupted writes.
    fn sweep(&self) -> StoreResult<()> {
        let said = || format!("cannot sweep `{}`", self.place.join(INCOMING).display());
        let Some(incoming) = self.shard(INCOMING)? else { return Ok(()) };
        let again = incoming.try_clone().map_err(|cause| fault::io(said(), cause))?;
        for name in self.names(again)? {
            unlinkat(&incoming, name.as_str(), UnlinkatFlags::NoRemoveDir).map_err(|cause| fault::io(said(), cause))?;
        }
        Ok(())
    }

    fn names(&self, dir: File) -> StoreResult<Vec<String>> {
        let said = || format!("cannot list `{}`", self.place.display());
        let text = |name: &CStr| name.to_str().ok().filter(|name| !matches!(*name, "." | "..")).map(str::to_owned);
        let mut names = Vec::new();
        for entry in Dir::from_fd(dir.into()).map_err(|cause| fault::io(said(), cause))?.iter() {
            names.extend(text(entry.map_err(|cause| fault::io(said(), cause))?.file_name()));
        }
        Ok(names)
    }

    /// Opens a directory below `objects`; none when it does not exist.
    fn shard(&self, name: &str) -> StoreResult<Option<File>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(&self.objects, name, flags, Mode::empty()) {
            Ok(shard) => Ok(Some(File::from(shard))),
            Err(Errno::ENOENT) => Ok(None),
            Err(cause) => Err(fault::io(format!("cannot open `{}`", self.place.join(name).display()), cause)),
        }
    }

    fn shard_for_writing(&self, id: BlobId) -> StoreResult<File> {
        let name = shard_of(id);
        if let Some(shard) = self.shard(&name)? {
            return Ok(shard);
        }
        let said = || format!("cannot make `{}`", self.place.join(&name).display());
        match mkdirat(&self.objects, name.as_str(), Mode::from_bits_truncate(disk::DIR_MODE)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(cause) => return Err(fault::io(said(), cause)),
        }
        let objects = self.objects.try_clone().map_err(|cause| fault::io(said(), cause))?;
        self.sync(id, &File::from(objects))?;
        self.shard(&name)?.ok_or_else(|| fault::refused(said()))
    }
}

/// The directory a blob lies in: how its id starts, in hexadecimal.
fn shard_of(id: BlobId) -> String {
    id.to_string().chars().take(2).collect()
}
