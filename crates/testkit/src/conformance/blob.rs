//! The contract of `BlobStore`.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use kernel::{BlobId, BlobStore, Sealed, SealedStream, StoreError, StoreResult};

use super::Persistence;
use crate::{blob_id, sealed};

/// The largest piece a driver may hand out.
const PIECE: usize = 4 * Sealed::SEGMENT;

/// Runs the whole contract of [`BlobStore`]. `open(n)` opens the driver at place `n`. Wants a runtime with several
/// threads.
///
/// # Panics
/// When the driver does not conform.
pub async fn blob<D: BlobStore + 'static>(persistence: Persistence, open: impl AsyncFn(usize) -> D) {
    ranges_are_cut_at_the_edges(&open(1).await).await;
    large_blobs_come_in_pieces(&open(2).await).await;
    a_failed_stream_leaves_nothing(&open(3).await).await;
    an_id_is_written_once(Arc::new(open(4).await)).await;
    lists_are_ordered_and_bounded(&open(5).await).await;
    what_is_missing_is_said_to_be(&open(6).await).await;
    many_blobs_at_once(Arc::new(open(7).await)).await;
    a_reader_outlives_the_deletion_or_fails(&open(8).await).await;
    if persistence == Persistence::Kept {
        acknowledged_blobs_outlive_the_handle(&open).await;
    }
}

/// Bytes that differ from place to place, so that a shifted range shows.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at ^ (at >> 8) ^ (at >> 16)) & 0xff).unwrap()).collect()
}

fn pieces(content: &[u8], size: usize) -> SealedStream {
    let pieces: Vec<StoreResult<Sealed>> = content.chunks(size).map(|piece| Ok(sealed(piece))).collect();
    stream::iter(pieces).boxed()
}

async fn read(store: &dyn BlobStore, id: BlobId, from: u64, length: u64) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut pieces = store.get(id, from, length).await.unwrap();
    while let Some(piece) = pieces.try_next().await.unwrap() {
        assert!(!piece.bytes().is_empty() && piece.bytes().len() <= PIECE, "a piece of {}", piece.bytes().len());
        whole.extend_from_slice(piece.bytes());
    }
    whole
}

async fn ranges_are_cut_at_the_edges(store: &dyn BlobStore) {
    let whole = content(1000);
    assert_eq!(store.put(blob_id(1), pieces(&whole, 7)).await.unwrap(), 1000);
    assert_eq!(store.head(blob_id(1)).await.unwrap(), 1000);
    for (from, length) in [
        (0_u64, 1000_u64),
        (0, 0),
        (0, 1),
        (1, 1),
        (999, 1),
        (999, 2),
        (1000, 1),
        (1001, 1),
        (500, 10_000),
        (0, u64::MAX),
    ] {
        let start = usize::try_from(from).unwrap().min(1000);
        let end = usize::try_from(from.saturating_add(length)).unwrap_or(1000).min(1000);
        assert_eq!(read(store, blob_id(1), from, length).await, whole[start..end.max(start)], "{from} + {length}");
    }
    assert_eq!(read(store, blob_id(1), u64::MAX, u64::MAX).await, []);
    assert_eq!(store.put(blob_id(2), stream::empty().boxed()).await.unwrap(), 0);
    assert_eq!(store.head(blob_id(2)).await.unwrap(), 0);
    assert_eq!(read(store, blob_id(2), 0, 10).await, []);
    // Pieces without bytes are pieces too.
    let gaps = stream::iter([Ok(sealed("")), Ok(sealed("a")), Ok(sealed("")), Ok(sealed("b"))]).boxed();
    assert_eq!(store.put(blob_id(3), gaps).await.unwrap(), 2);
    assert_eq!(read(store, blob_id(3), 0, 10).await, b"ab");
}

async fn large_blobs_come_in_pieces(store: &dyn BlobStore) {
    let whole = content(5 * 1024 * 1024 + 17);
    for (number, size) in [(1, 65_552), (2, 3_000_000), (3, whole.len())] {
        let length = store.put(blob_id(number), pieces(&whole, size)).await.unwrap();
        assert_eq!(usize::try_from(length).unwrap(), whole.len());
        assert!(read(store, blob_id(number), 0, u64::MAX).await == whole);
    }
    let edges = [PIECE - 1, PIECE, PIECE + 1, 4 * PIECE, 4 * PIECE + 1, 5 * PIECE - 1, whole.len() - 1];
    for from in edges {
        for length in [1, PIECE - 1, PIECE, PIECE + 1, 3_000_000] {
            let end = (from + length).min(whole.len());
            let found = read(store, blob_id(1), u64::try_from(from).unwrap(), u64::try_from(length).unwrap()).await;
            assert!(found == whole[from..end], "{from} + {length}");
        }
    }
}

async fn a_failed_stream_leaves_nothing(store: &dyn BlobStore) {
    let fault = || StoreError::Failed("the stream broke".into());
    for before in [0, 1, 10, 3_000_000] {
        let begun = content(before);
        let broken = pieces(&begun, 65_536).chain(stream::iter([Err(fault())])).boxed();
        assert!(matches!(store.put(blob_id(1), broken).await, Err(StoreError::Failed(_))), "after {before} bytes");
        assert!(matches!(store.head(blob_id(1)).await, Err(StoreError::Missing)), "after {before} bytes");
        assert_eq!(store.list(None, 10).await.unwrap(), []);
    }
    // The id is still free.
    store.put(blob_id(1), pieces(b"whole", 2)).await.unwrap();
    assert_eq!(read(store, blob_id(1), 0, 10).await, b"whole");
}

async fn an_id_is_written_once(store: Arc<dyn BlobStore>) {
    store.put(blob_id(1), pieces(b"first", 5)).await.unwrap();
    assert!(matches!(store.put(blob_id(1), pieces(b"second", 6)).await, Err(StoreError::Failed(_))));
    assert!(matches!(store.put(blob_id(1), pieces(b"", 1)).await, Err(StoreError::Failed(_))));
    assert_eq!(read(&*store, blob_id(1), 0, 10).await, b"first");
    // Of several at once, one wins and stays whole.
    let racers = (0..8_u8).map(|racer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.put(blob_id(2), pieces(&[racer; 100_000], 1000)).await })
    });
    let ends: Vec<_> = join_all(racers).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1, "{ends:?}");
    let winner = u8::try_from(ends.iter().position(Result::is_ok).unwrap()).unwrap();
    assert!(read(&*store, blob_id(2), 0, u64::MAX).await == [winner; 100_000]);
}

async fn lists_are_ordered_and_bounded(store: &dyn BlobStore) {
    assert_eq!(store.list(None, 10).await.unwrap(), []);
    let high = 1_u128 << 120;
    let mut ids: Vec<BlobId> = (0..4).flat_map(|shard| (0..8).map(move |n| blob_id(shard * 85 * high + n))).collect();
    for id in ids.iter().rev() {
        store.put(*id, pieces(b"x", 1)).await.unwrap();
    }
    ids.sort();
    assert_eq!(store.list(None, 1000).await.unwrap(), ids);
    assert_eq!(store.list(None, usize::MAX).await.unwrap(), ids);
    assert_eq!(store.list(None, 0).await.unwrap(), []);
    for at in 0..ids.len() {
        let end = (at + 4).min(ids.len());
        assert_eq!(store.list(Some(ids[at]), 3).await.unwrap(), ids[at + 1..end]);
    }
    // `after` need not exist.
    store.delete(ids[8]).await.unwrap();
    assert_eq!(store.list(Some(ids[8]), 1).await.unwrap(), ids[9..10]);
    assert_eq!(store.list(None, 1000).await.unwrap().len(), ids.len() - 1);
    assert_eq!(store.list(Some(blob_id(u128::MAX)), 10).await.unwrap(), []);
}

async fn what_is_missing_is_said_to_be(store: &dyn BlobStore) {
    let is_missing = |found: Result<(), StoreError>| matches!(found, Err(StoreError::Missing));
    assert!(is_missing(store.head(blob_id(1)).await.map(drop)));
    assert!(is_missing(store.get(blob_id(1), 0, 1).await.map(drop)));
    store.delete(blob_id(1)).await.unwrap();
    store.put(blob_id(1), pieces(b"x", 1)).await.unwrap();
    store.delete(blob_id(1)).await.unwrap();
    store.delete(blob_id(1)).await.unwrap();
    assert!(is_missing(store.head(blob_id(1)).await.map(drop)));
    assert!(is_missing(store.get(blob_id(1), 0, 1).await.map(drop)));
}

async fn many_blobs_at_once(store: Arc<dyn BlobStore>) {
    let tasks = (0..64_usize).map(|task| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let id = BlobId::random();
            let whole = content(task * 5000);
            store.put(id, pieces(&whole, 3000)).await.unwrap();
            assert!(read(&*store, id, 0, u64::MAX).await == whole);
        })
    });
    for end in join_all(tasks).await {
        end.unwrap();
    }
    assert_eq!(store.list(None, 1000).await.unwrap().len(), 64);
}

/// A blob that is deleted while it is read comes whole or ends in an error; it is never cut short in silence.
async fn a_reader_outlives_the_deletion_or_fails(store: &dyn BlobStore) {
    let whole = content(3_000_000);
    store.put(blob_id(1), pieces(&whole, 65_536)).await.unwrap();
    let mut pieces = store.get(blob_id(1), 0, u64::MAX).await.unwrap();
    let mut found = pieces.try_next().await.unwrap().unwrap().into_bytes().to_vec();
    store.delete(blob_id(1)).await.unwrap();
    loop {
        match pieces.try_next().await {
            Ok(Some(piece)) => found.extend_from_slice(piece.bytes()),
            Ok(None) => break assert!(found == whole),
            Err(_) => break,
        }
    }
}

async fn acknowledged_blobs_outlive_the_handle<D: BlobStore>(open: &impl AsyncFn(usize) -> D) {
    let whole = content(300_000);
    let store = open(20).await;
    store.put(blob_id(1), pieces(&whole, 65_536)).await.unwrap();
    store.put(blob_id(2), pieces(&whole, 65_536)).await.unwrap();
    store.delete(blob_id(2)).await.unwrap();
    drop(store);
    let store = open(20).await;
    assert_eq!(store.list(None, 10).await.unwrap(), [blob_id(1)]);
    assert!(read(&store, blob_id(1), 0, u64::MAX).await == whole);
    assert!(matches!(store.put(blob_id(1), pieces(b"no", 1)).await, Err(StoreError::Failed(_))));
}
