//! Blobs in memory: the whole contract, nothing kept.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use kernel::{BlobId, BlobStore, Sealed, SealedStream, StoreError, StoreResult};

use super::{PIECE, nothing};
use crate::fault;

/// Keeps blobs in memory.
#[derive(Default)]
pub struct Memory {
    blobs: Mutex<BTreeMap<BlobId, Bytes>>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn blobs(&self) -> MutexGuard<'_, BTreeMap<BlobId, Bytes>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blob(&self, id: BlobId) -> StoreResult<Bytes> {
        self.blobs().get(&id).cloned().ok_or(StoreError::Missing)
    }
}

#[async_trait]
impl BlobStore for Memory {
    async fn put(&self, id: BlobId, mut pieces: SealedStream) -> StoreResult<u64> {
        let mut whole = BytesMut::new();
        while let Some(piece) = pieces.try_next().await? {
            whole.extend_from_slice(piece.bytes());
        }
        let length = length(&whole);
        let mut blobs = self.blobs();
        if blobs.contains_key(&id) {
            return Err(fault::refused(format!("the object {id} exists")));
        }
        blobs.insert(id, whole.freeze());
        Ok(length)
    }

    async fn get(&self, id: BlobId, from: u64, length: u64) -> StoreResult<SealedStream> {
        let mut rest = self.blob(id)?;
        let Some(start) = usize::try_from(from).ok().filter(|start| *start <= rest.len()) else {
            return Ok(nothing());
        };
        rest = rest.split_off(start);
        rest.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        let pieces = stream::unfold(rest, |mut rest| async {
            let piece = rest.split_to(rest.len().min(PIECE));
            (!piece.is_empty()).then_some((Ok(Sealed::read_back(piece)), rest))
        });
        Ok(pieces.boxed())
    }

    async fn head(&self, id: BlobId) -> StoreResult<u64> {
        self.blob(id).map(|blob| length(&blob))
    }

    async fn list(&self, after: Option<BlobId>, limit: usize) -> StoreResult<Vec<BlobId>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self.blobs().range((from, Bound::Unbounded)).take(limit).map(|(id, _)| *id).collect())
    }

    async fn delete(&self, id: BlobId) -> StoreResult<()> {
        self.blobs().remove(&id);
        Ok(())
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
