//! Blobs as files on this machine.
//!
//! ```text
//! {dir}/objects/lock             held by the server that writes here
//! {dir}/objects/incoming/…       blobs that are being written; swept when the store opens
//! {dir}/objects/ab/ab01…         a blob under its id; `ab` is how the id starts
//! ```
//!
//! A blob is written under a temporary name and synced, then gets its id as a second name (which fails when the id
//! exists), then its directory is synced. A power cut leaves a whole blob or a temporary file. Everything is reached
//! from the open directory `objects`, one step at a time and never through a symbolic link, so that a planted link leads
//! nowhere.
//!
//! A deletion is not synced: what comes back after a power cut is ciphertext that nothing points to. While a backup is made
//! deletions wait in memory, and what is forgotten there by a stop is that same ciphertext.

mod hold;
mod read;
mod shelf;
mod write;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use kernel::{BlobHold, BlobId, BlobStore, SealedStream, StoreResult};

use self::{hold::Holds, shelf::Shelf};
use crate::fault::blocking;

/// Keeps blobs as files in a directory of this machine.
pub struct LocalDisk {
    shelf: Arc<Shelf>,
    holds: Arc<Holds>,
}

impl LocalDisk {
    /// Opens `{dir}/objects`, making both when missing (0700, files 0600), and removes what an interrupted `put` left.
    ///
    /// # Errors
    /// `Locked` while another server writes there, with one sentence that says what to do; `Full` and `Failed` for
    /// faults of the medium.
    pub fn open(dir: &Path) -> StoreResult<Self> {
        Ok(Self::on(Shelf::open(dir)?))
    }

    /// Opens `{dir}/objects` for reading only, beside a running server or after it is gone. Refuses `put` and `delete`.
    ///
    /// # Errors
    /// `Failed` when there is no such directory.
    pub fn open_read_only(dir: &Path) -> StoreResult<Self> {
        Ok(Self::on(Shelf::open_read_only(dir)?))
    }

    fn on(shelf: Shelf) -> Self {
        Self { shelf: Arc::new(shelf), holds: Arc::default() }
    }
}

#[async_trait]
impl BlobStore for LocalDisk {
    async fn put(&self, id: BlobId, pieces: SealedStream) -> StoreResult<u64> {
        self.shelf.may_write()?;
        write::put(&self.shelf, id, pieces).await
    }

    async fn get(&self, id: BlobId, from: u64, length: u64) -> StoreResult<SealedStream> {
        read::get(&self.shelf, id, from, length).await
    }

    async fn head(&self, id: BlobId) -> StoreResult<u64> {
        let shelf = Arc::clone(&self.shelf);
        blocking(move || shelf.length(id)).await
    }

    async fn list(&self, after: Option<BlobId>, limit: usize) -> StoreResult<Vec<BlobId>> {
        let shelf = Arc::clone(&self.shelf);
        blocking(move || shelf.list(after, limit)).await
    }

    async fn delete(&self, id: BlobId) -> StoreResult<()> {
        self.shelf.may_write()?;
        let (shelf, holds) = (Arc::clone(&self.shelf), Arc::clone(&self.holds));
        blocking(move || holds.remove(&shelf, id)).await
    }

    async fn hold(&self) -> StoreResult<BlobHold> {
        Ok(self.holds.begin(&self.shelf))
    }
}
