//! Writing a blob: pieces are gathered while the ones before them go to the disk.

use std::{fs::File, io::IoSlice, sync::Arc};

use futures::TryStreamExt;
use kernel::{BlobId, Sealed, SealedStream, StoreResult};
use tokio::task::JoinHandle;

use super::shelf::Shelf;
use crate::fault;

/// Bytes gathered for one trip to the thread that writes.
const BATCH: usize = 1 << 20;

/// A blob that has no name yet. Dropping it removes the file.
struct Temporary {
    shelf: Arc<Shelf>,
    id: BlobId,
    name: String,
    file: File,
    length: u64,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.shelf.drop_temporary(&self.name);
    }
}

impl Temporary {
    fn make(shelf: Arc<Shelf>, id: BlobId) -> StoreResult<Self> {
        let (name, file) = shelf.make(id)?;
        Ok(Self { shelf, id, name, file, length: 0 })
    }

    fn write(&mut self, batch: &[Sealed]) -> StoreResult<()> {
        let pieces: Vec<_> = batch.iter().map(|piece| IoSlice::new(piece.bytes())).collect();
        let bytes = pieces.iter().fold(0_usize, |sum, piece| sum.saturating_add(piece.len()));
        self.shelf.write(self.id, &mut self.file, pieces)?;
        self.length = self.length.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Gives it its name, durably; the length.
    fn keep(self) -> StoreResult<u64> {
        self.shelf.keep(self.id, &self.name, &self.file)?;
        Ok(self.length)
    }
}

pub(super) async fn put(shelf: &Arc<Shelf>, id: BlobId, mut pieces: SealedStream) -> StoreResult<u64> {
    let mut trip: Option<JoinHandle<StoreResult<Temporary>>> = None;
    loop {
        let gathered = gather(&mut pieces).await;
        // Awaited even when the stream failed, so that the temporary file is gone before the caller hears of it.
        let before = match trip.take() {
            Some(trip) => Some(trip.await.map_err(|cause| fault::failed("writing an object was cut off", cause))??),
            None => None,
        };
        let (batch, is_last) = gathered?;
        let shelf = Arc::clone(shelf);
        let write = move || {
            let mut temporary = match before {
                Some(temporary) => temporary,
                None => Temporary::make(shelf, id)?,
            };
            temporary.write(&batch)?;
            Ok(temporary)
        };
        if is_last {
            // In one trip, whatever becomes of the caller meanwhile: kept, or removed.
            return fault::blocking(move || write()?.keep()).await;
        }
        trip = Some(tokio::task::spawn_blocking(write));
    }
}

/// The next pieces, and whether they are the last.
async fn gather(pieces: &mut SealedStream) -> StoreResult<(Vec<Sealed>, bool)> {
    let (mut batch, mut bytes) = (Vec::new(), 0_usize);
    while bytes < BATCH {
        match pieces.try_next().await? {
            Some(piece) => {
                bytes = bytes.saturating_add(piece.bytes().len());
                batch.push(piece);
            }
            None => return Ok((batch, true)),
        }
    }
    Ok((batch, false))
}
