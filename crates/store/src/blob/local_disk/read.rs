//! Reading a blob: a trip to the disk fetches several pieces, and the next trip is under way while they are handed out.

use std::{collections::VecDeque, fs::File, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, stream};
use kernel::{BlobId, Sealed, SealedStream, StoreResult};
use rustix::{
    buffer::spare_capacity,
    io::{pread, retry_on_intr},
};
use tokio::task::JoinHandle;

use super::{
    super::{PIECE, nothing},
    shelf::Shelf,
};
use crate::fault;

/// Pieces of a trip. The first trip brings one only, so that the first byte is early.
const BATCH: usize = 4;

/// What is left of a range.
struct Rest {
    file: File,
    at: u64,
    left: u64,
}

type Fetched = (VecDeque<Sealed>, Option<Rest>);

enum State {
    /// Pieces at hand, and the trip that brings the next ones.
    Going(VecDeque<Sealed>, Option<JoinHandle<StoreResult<Fetched>>>),
    Ended,
}

pub(super) async fn get(shelf: &Arc<Shelf>, id: BlobId, from: u64, length: u64) -> StoreResult<SealedStream> {
    let shelf = Arc::clone(shelf);
    let first = move || {
        let (file, size) = shelf.find(id)?;
        Rest { file, at: from, left: size.saturating_sub(from).min(length) }.fetch(1)
    };
    let (pieces, rest) = fault::blocking(first).await?;
    if pieces.is_empty() {
        return Ok(nothing());
    }
    Ok(stream::unfold(State::Going(pieces, rest.map(ahead)), step).boxed())
}

/// Starts the next trip.
fn ahead(rest: Rest) -> JoinHandle<StoreResult<Fetched>> {
    tokio::task::spawn_blocking(move || rest.fetch(BATCH))
}

async fn step(state: State) -> Option<(StoreResult<Sealed>, State)> {
    let State::Going(mut pieces, mut trip) = state else { return None };
    if pieces.is_empty() {
        let fetched = match trip.take()?.await {
            Ok(fetched) => fetched,
            Err(cause) => Err(fault::failed("reading an object was cut off", cause)),
        };
        match fetched {
            Ok((next, rest)) => (pieces, trip) = (next, rest.map(ahead)),
            Err(fault) => return Some((Err(fault), State::Ended)),
        }
    }
    let piece = pieces.pop_front()?;
    Some((Ok(piece), State::Going(pieces, trip)))
}

impl Rest {
    /// The next pieces, at most `most`, and what is left after them. Each piece is memory of its own, which whoever opens it
    /// may overwrite.
    fn fetch(mut self, most: usize) -> StoreResult<Fetched> {
        let mut pieces = VecDeque::with_capacity(most);
        while self.left > 0 && pieces.len() < most {
            pieces.push_back(self.piece()?);
        }
        Ok((pieces, (self.left > 0).then_some(self)))
    }

    fn piece(&mut self) -> StoreResult<Sealed> {
        let due = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE);
        // Into room that is not filled with zeros first.
        let mut bytes = Vec::with_capacity(due);
        while bytes.len() < due {
            let at = self.at.saturating_add(length_of(bytes.len()));
            let read = retry_on_intr(|| pread(&self.file, spare_capacity(&mut bytes), at));
            if read.map_err(|cause| fault::io("cannot read an object", cause))? == 0 {
                return Err(fault::refused("an object became shorter while it was read"));
            }
        }
        // An allocator may give more room than was asked for.
        bytes.truncate(due);
        self.at = self.at.saturating_add(length_of(due));
        self.left = self.left.saturating_sub(length_of(due));
        Ok(Sealed::read_back(Bytes::from(bytes)))
    }
}

fn length_of(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
