//! Metadata in an SQLite database: one writer thread with group commit, a pool of readers.
//!
//! A commit goes to the writer's queue. The writer takes what waits there, runs it in one transaction with a savepoint
//! per batch, so that a stale batch undoes only itself, and answers after that transaction is on the disk
//! (`synchronous=FULL`, write-ahead log). Reads run on connections of their own and see the last commit.
//!
//! What lies in the directory: `meta.sqlite` with its `-wal` and `-shm`, `lock`, and while a backup is made a `copy-…`. Only ciphertext and keys made of ids
//! are in there; temporary structures stay in memory.

mod check;
mod copy;
mod format;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use kernel::{Batch, Chain, Link, LogRow, MetaCopy, MetaStore, StoreResult, Versioned};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use self::{reader::Readers, writer::Writer};
use super::{cuttable, well_formed};
use crate::{
    disk,
    fault::{self, blocking},
    lock,
};

/// The database's file name.
const FILE: &str = "meta.sqlite";
/// Reads of at most this many rows run in place; a hop to another thread would cost more.
const SMALL: usize = 128;
/// Long reads at once, each with a connection of its own.
const LONG_READS: usize = 8;

/// Metadata and the activity log in an SQLite database.
pub struct Sqlite {
    // Dropped first: the writer finishes its queue and closes while the lock is still held.
    writer: Option<Writer>,
    readers: Arc<Readers>,
    long_reads: Semaphore,
    chain: Option<Arc<dyn Chain>>,
    _lock: Option<lock::Held>,
}

/// What tests turn: the size at which the medium counts as full, and the call that makes a transaction durable.
#[derive(Clone, Copy)]
struct Tuning {
    max_pages: Option<u32>,
    commit: fn(&Connection) -> rusqlite::Result<()>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { max_pages: None, commit: writer::commit }
    }
}

impl Sqlite {
    /// Opens the database in `dir`, making both when missing (0700, 0600). `chain` links the rows of the activity log.
    ///
    /// # Errors
    /// `Newer` for data of a newer release, `Locked` while another server has it open, each with one sentence that says
    /// what to do. `Full` and `Failed` for faults of the medium.
    pub fn open(dir: &Path, chain: Arc<dyn Chain>) -> StoreResult<Self> {
        Self::open_tuned(dir, chain, Tuning::default())
    }

    fn open_tuned(dir: &Path, chain: Arc<dyn Chain>, tuning: Tuning) -> StoreResult<Self> {
        let dir = disk::private_dir(dir)?;
        let lock = lock::hold(&dir.join("lock"), &dir)?;
        copy::sweep(&dir);
        let file = dir.join(FILE);
        let connection = format::open_for_writing(&file, tuning.max_pages)?;
        let readers = Readers::new(file);
        let head = readers.with(reader::head)?;
        let writer = Writer::start(connection, Arc::clone(&chain), head, tuning.commit)?;
        Ok(Self { writer: Some(writer), chain: Some(chain), _lock: Some(lock), ..Self::reading(readers) })
    }

    /// Opens the database in `dir` for reading only, beside a running server or after it is gone. Takes no lock, makes
    /// no directory, and refuses commits. [`MetaStore::check`] then looks at the numbering of the log, not at its links.
    ///
    /// # Errors
    /// `Newer` for data of a newer release; `Failed` when there is no database or it cannot be read.
    pub fn open_read_only(dir: &Path) -> StoreResult<Self> {
        let said = || format!("cannot read `{}`", dir.join(FILE).display());
        let file = dir.canonicalize().map_err(|cause| fault::io(said(), cause))?.join(FILE);
        if !file.try_exists().map_err(|cause| fault::io(said(), cause))? {
            return Err(fault::refused(format!(
                "`{}` holds no metadata; name the data directory of a server",
                dir.display()
            )));
        }
        let mut readers = Readers::new(file);
        if readers.with(format::known).is_err() && is_at_rest(readers.file()) {
            // Beside a database that cannot be written, the index of the write-ahead log cannot be made.
            readers = Readers::frozen(readers.file().to_owned());
        }
        readers.with(format::known)??;
        Ok(Self::reading(readers))
    }

    /// Makes the empty file of a database in `dir`, for a copy that is put back. The directory is made too, and has none.
    ///
    /// # Errors
    /// `Failed` when there is one.
    pub fn place(dir: &Path) -> StoreResult<std::fs::File> {
        let file = disk::private_dir(dir)?.join(FILE);
        let said = || format!("cannot make `{}`", file.display());
        disk::ours().write(true).create_new(true).open(&file).map_err(|cause| fault::io(said(), cause))
    }

    fn reading(readers: Readers) -> Self {
        Self {
            writer: None,
            readers: Arc::new(readers),
            long_reads: Semaphore::new(LONG_READS),
            chain: None,
            _lock: None,
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        limit: usize,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> StoreResult<T> {
        if limit <= SMALL {
            return self.readers.with(read);
        }
        // Never closed, so a permit always comes.
        let _permit = self.long_reads.acquire().await;
        let readers = Arc::clone(&self.readers);
        blocking(move || readers.with(read)).await
    }
}

/// Whether everything is in the database file and nothing in its write-ahead log: how a server leaves it that ends well.
fn is_at_rest(file: &Path) -> bool {
    let wal = file.with_file_name(format!("{FILE}-wal"));
    std::fs::metadata(wal).map_or(true, |about| about.len() == 0)
}

#[async_trait]
impl MetaStore for Sqlite {
    async fn get(&self, key: &[u8]) -> StoreResult<Option<Versioned>> {
        self.readers.with(|connection| reader::get(connection, key))
    }

    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> StoreResult<Vec<Versioned>> {
        let (lower, upper) = super::bounds(prefix, after);
        self.read(limit, move |connection| reader::scan(connection, &lower, upper.as_deref(), limit)).await
    }

    async fn commit(&self, batch: Batch) -> StoreResult<u64> {
        let Some(writer) = &self.writer else {
            return Err(fault::refused("the storage was opened for reading only"));
        };
        well_formed(&batch)?;
        writer.commit(batch, 0).await
    }

    async fn commit_cut(&self, batch: Batch, through: u64) -> StoreResult<u64> {
        let Some(writer) = &self.writer else {
            return Err(fault::refused("the storage was opened for reading only"));
        };
        well_formed(&batch)?;
        cuttable(&batch)?;
        writer.commit(batch, through).await
    }

    async fn log(&self, from: u64, limit: usize) -> StoreResult<Vec<LogRow>> {
        self.read(limit, move |connection| reader::log(connection, from, limit)).await
    }

    async fn log_head(&self) -> StoreResult<(u64, Link)> {
        self.readers.with(reader::head)
    }

    async fn copy(&self) -> StoreResult<MetaCopy> {
        let readers = Arc::clone(&self.readers);
        blocking(move || copy::copy(&readers)).await
    }

    async fn check(&self) -> StoreResult<()> {
        let (readers, chain) = (Arc::clone(&self.readers), self.chain.clone());
        let found =
            blocking(move || readers.with(move |connection| check::faults(connection, chain.as_deref()))).await?;
        match found {
            None => Ok(()),
            Some(what) => Err(fault::refused(what)),
        }
    }
}
