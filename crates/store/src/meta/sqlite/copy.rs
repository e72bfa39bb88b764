//! Copies of the database as of one moment. SQLite's own backup reads in one transaction, beside which the writer goes on.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::Path,
    sync::{
        TryLockError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use kernel::{MetaCopy, Sealed, StoreResult};
use nix::sys::statvfs::statvfs;
use rusqlite::{Connection, OpenFlags, backup::Backup};

use super::{
    format,
    reader::{self, Readers},
};
use crate::{disk, fault, fault::blocking};

const DRAFT: &str = "copy-";
/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// Room that a copy leaves to everything else, bytes.
const RESERVE: u64 = 64 << 20;

/// Makes a copy beside the database, which takes as much room, and takes its name away: it goes with its last reader.
pub(super) fn copy(readers: &Readers) -> StoreResult<MetaCopy> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Whoever asks and leaves, again and again, would fill the disk with copies that nobody reads.
    let _turn = match readers.copying.try_lock() {
        Ok(turn) => turn,
        Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
        Err(TryLockError::WouldBlock) => {
            return Err(fault::refused("another copy of the metadata is still being made"));
        }
    };
    fits(readers.file())?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let draft = readers.file().with_file_name(format!("{DRAFT}{}-{number}", std::process::id()));
    let said = || format!("cannot copy the metadata to `{}`", draft.display());
    let made = disk::ours().write(true).create_new(true).open(&draft);
    made.map_err(|cause| fault::io(said(), cause))?;
    let copied = fill(readers, &draft).and_then(|head| {
        let file = disk::ours().read(true).open(&draft).map_err(|cause| fault::io(said(), cause))?;
        let length = file.metadata().map_err(|cause| fault::io(said(), cause))?.len();
        Ok(MetaCopy { head, length, pieces: stream::unfold(Some(file), next).boxed() })
    });
    // Gone by name, whatever came of it.
    for end in ["", "-journal", "-wal", "-shm"] {
        let mut name = draft.as_os_str().to_owned();
        name.push(end);
        match fs::remove_file(&name) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => tracing::warn!(%cause, "a copy of the metadata stays"),
            _ => {}
        }
    }
    copied
}

/// Whether the disk, on which the database goes on growing, has room for a second one and some more.
fn fits(file: &Path) -> StoreResult<()> {
    let said = "cannot copy the metadata";
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    let length = |path: &Path| fs::metadata(path).map_or(0, |about| about.len());
    let needed = length(file).saturating_add(length(Path::new(&log))).saturating_add(RESERVE);
    let disk = statvfs(disk::parent(file)).map_err(|cause| fault::io(said, cause))?;
    if disk.blocks_available().saturating_mul(disk.fragment_size()) >= needed {
        return Ok(());
    }
    Err(fault::io(said, std::io::Error::new(ErrorKind::StorageFull, format!("{needed} bytes are needed beside it"))))
}

fn fill(readers: &Readers, draft: &Path) -> StoreResult<(u64, kernel::Link)> {
    let said = || format!("cannot copy the metadata to `{}`", draft.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let open = || {
        let copy = Connection::open_with_flags(draft, flags)?;
        // It is read once, by us: a power cut leaves nothing to lose.
        copy.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA temp_store = MEMORY;")?;
        Ok::<_, rusqlite::Error>(copy)
    };
    let mut copy = open().map_err(|cause| fault::failed(said(), cause))?;
    readers.with(|source| {
        let backup = Backup::new(source, &mut copy)?;
        // All pages in one step: in several, each commit of the writer would begin it anew.
        loop {
            match backup.step(-1)? {
                rusqlite::backup::StepResult::Done => return Ok(()),
                _ => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        }
    })?;
    drop(copy);
    let copy = format::open_for_reading(draft, true).map_err(|cause| fault::failed(said(), cause))?;
    format::known(&copy).map_err(|cause| fault::failed(said(), cause))??;
    reader::head(&copy).map_err(|cause| fault::failed(said(), cause))
}

async fn next(file: Option<File>) -> Option<(StoreResult<Sealed>, Option<File>)> {
    let mut file = file?;
    let read = blocking(move || {
        let mut piece = Vec::with_capacity(PIECE);
        let most = u64::try_from(PIECE).unwrap_or(u64::MAX);
        let done = (&mut file).take(most).read_to_end(&mut piece);
        done.map_err(|cause| fault::io("cannot read the copy of the metadata", cause))?;
        Ok((piece, file))
    });
    match read.await {
        Ok((piece, _)) if piece.is_empty() => None,
        Ok((piece, file)) => Some((Ok(Sealed::read_back(Bytes::from(piece))), Some(file))),
        Err(fault) => Some((Err(fault), None)),
    }
}

/// Removes what a copy left that was cut off.
pub(super) fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(DRAFT) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
