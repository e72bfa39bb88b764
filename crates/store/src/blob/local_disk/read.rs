//! Reading a blob: a trip to the disk fetches several pieces, and the next trip is under way while they are handed out.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use kernel::{BlobId, Sealed, SealedStream, StoreResult};
use tokio::task::JoinHandle;

use super::{
    super::{PIECE, nothing},
    shelf::Shelf,
};
use crate::fault;

/// Bytes of a trip. The first is one piece only, so that the first byte is early.
const BATCH: usize = 1 << 20;

/// What is left of a range.
struct Rest {
    file: File,
    left: u64,
}

type Fetched = (Bytes, Option<Rest>);

enum State {
    /// Bytes at hand, and the trip that brings the next ones.
    Going(Bytes, Option<JoinHandle<StoreResult<Fetched>>>),
    Ended,
}

pub(super) async fn get(shelf: &Arc<Shelf>, id: BlobId, from: u64, length: u64) -> StoreResult<SealedStream> {
    let shelf = Arc::clone(shelf);
    let first = move || {
        let (mut file, size) = shelf.find(id)?;
        let left = size.saturating_sub(from).min(length);
        file.seek(SeekFrom::Start(from.min(size))).map_err(|cause| fault::io("cannot read an object", cause))?;
        Rest { file, left }.fetch(PIECE)
    };
    let (bytes, rest) = fault::blocking(first).await?;
    if bytes.is_empty() {
        return Ok(nothing());
    }
    Ok(stream::unfold(State::Going(bytes, rest.map(ahead)), step).boxed())
}

/// Starts the next trip.
fn ahead(rest: Rest) -> JoinHandle<StoreResult<Fetched>> {
    tokio::task::spawn_blocking(move || rest.fetch(BATCH))
}

async fn step(state: State) -> Option<(StoreResult<Sealed>, State)> {
    let State::Going(mut bytes, mut trip) = state else { return None };
    if bytes.is_empty() {
        let fetched = match trip.take()?.await {
            Ok(fetched) => fetched,
            Err(cause) => Err(fault::failed("reading an object was cut off", cause)),
        };
        match fetched {
            Ok((next, rest)) => (bytes, trip) = (next, rest.map(ahead)),
            Err(fault) => return Some((Err(fault), State::Ended)),
        }
    }
    let piece = bytes.split_to(bytes.len().min(PIECE));
    Some((Ok(Sealed::read_back(piece)), State::Going(bytes, trip)))
}

impl Rest {
    /// The next bytes, at most `most`, and what is left after them.
    fn fetch(mut self, most: usize) -> StoreResult<Fetched> {
        let due = usize::try_from(self.left).unwrap_or(usize::MAX).min(most);
        let mut bytes = Vec::with_capacity(due);
        // Into room that is not filled with zeros first.
        let took = u64::try_from(due).unwrap_or(u64::MAX);
        (&mut self.file)
            .take(took)
            .read_to_end(&mut bytes)
            .map_err(|cause| fault::io("cannot read an object", cause))?;
        if bytes.len() < due {
            return Err(fault::refused("an object became shorter while it was read"));
        }
        self.left = self.left.saturating_sub(took);
        Ok((Bytes::from(bytes), (self.left > 0).then_some(self)))
    }
}
