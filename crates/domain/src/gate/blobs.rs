//! Blobs of a room: sealed on the way in, opened by range on the way out.
//!
//! A blob cannot join the metadata transaction: it is written first under a name nothing points to, the commit of a
//! record that holds its [`BlobRef`] makes it real, and what no record names is collected after a day.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream, stream::BoxStream};
use kernel::{BlobId, BlobStore, Error, Kind, Result, Sealed, StoreError};
use seal::{BlobKey, BlobOpener, BlobSealer, BlobSummary};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{Admission, Shelf, shelf::Latch};

/// Plaintext in pieces.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// Where a blob lies and how it opens. Only ever stored inside a sealed record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlobRef {
    id: BlobId,
    key: BlobKey,
    /// Plaintext length in bytes.
    pub length: u64,
    /// SHA-256 of the plaintext, lower-case hex. Of what was joined from parts: a hash of their hashes with `-` and their number, which
    /// no plaintext has.
    pub sha256: String,
    /// The stored objects that it was joined from, in order; none of what is one object. `id` and `key` are the first one's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pieces: Vec<Piece>,
}

/// A stored object that is a part of a blob.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Piece {
    id: BlobId,
    key: BlobKey,
    length: u64,
}

/// Plaintext bytes `from .. from + length`, cut at the blob's end.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// First byte.
    pub from: u64,
    /// How many.
    pub length: u64,
}

impl Range {
    /// The whole blob.
    pub const ALL: Self = Self { from: 0, length: u64::MAX };
}

async fn open(blobs: &dyn BlobStore, shelf: &Shelf, blob: &Piece, range: Range) -> Result<ByteStream> {
    shelf.latch().hold()?;
    let mut header = Vec::new();
    let mut pieces = blobs.get(blob.id, 0, BlobOpener::HEADER).await?;
    while let Some(piece) = pieces.try_next().await? {
        header.extend_from_slice(piece.bytes());
    }
    let wanted = (range.from, range.length);
    let (opener, (start, size)) = BlobOpener::new(&blob.key, shelf.id(), blob.id, blob.length, &header, wanted)?;
    let sealed = blobs.get(blob.id, start, size).await?;
    let latch = shelf.latch().clone();
    let state = Opening { opener, sealed, latch, ready: VecDeque::new(), is_over: false };
    let mut plain = stream::try_unfold(state, Opening::next).boxed();
    match plain.try_next().await? {
        Some(piece) => Ok(stream::once(async move { Ok(piece) }).chain(plain).boxed()),
        None => Ok(stream::empty().boxed()),
    }
}

impl BlobRef {
    /// Names the stored object: two references with one id share it.
    pub(crate) fn id(&self) -> BlobId {
        self.id
    }

    /// One blob of several, in order: nothing is sealed anew. Parts without bytes are left out, and to be dropped by whoever had them.
    ///
    /// # Errors
    /// When there are no parts.
    pub(crate) fn joined(parts: Vec<Self>) -> Result<Self> {
        let mut hash = seal::Sha256::default();
        hash.update(b"bartizan joined blob v1\0");
        let (mut length, mut count, mut pieces, mut alone) = (0_u64, 0_usize, Vec::new(), None);
        for part in parts {
            hash.update(format!("{}\0{}\0", part.sha256, part.length).as_bytes());
            length = length.saturating_add(part.length);
            count = count.saturating_add(1);
            if part.length > 0 {
                pieces.extend(part.objects());
            }
            alone = (count == 1).then_some(part);
        }
        if let Some(only) = alone {
            return Ok(only);
        }
        let nothing = || Error::new(Kind::Invalid, "a file of no parts");
        let first = match pieces.first() {
            Some(first) => first.clone(),
            None if count == 0 => return Err(nothing()),
            None => return Err(Error::new(Kind::Invalid, "a file of empty parts: send it whole")),
        };
        let sha256 = format!("{}-{count}", seal::hex(&hash.finish()));
        Ok(Self { id: first.id, key: first.key, length, sha256, pieces })
    }

    /// The stored objects, in order.
    fn objects(&self) -> Vec<Piece> {
        match self.pieces.as_slice() {
            [] => vec![Piece { id: self.id, key: self.key.clone(), length: self.length }],
            pieces => pieces.to_vec(),
        }
    }

    /// The stored objects of a range, and which bytes of each.
    fn within(&self, range: Range) -> Vec<(Piece, Range)> {
        let objects = self.objects();
        if self.pieces.is_empty() {
            return objects.into_iter().map(|object| (object, range)).collect();
        }
        let end = range.from.saturating_add(range.length);
        let (mut found, mut at) = (Vec::new(), 0_u64);
        for object in objects {
            let (start, stop) = (at, at.saturating_add(object.length));
            at = stop;
            let from = range.from.max(start).saturating_sub(start);
            let upto = end.min(stop).saturating_sub(start);
            if start < end && upto > from {
                found.push((object, Range { from, length: upto.saturating_sub(from) }));
            }
        }
        found
    }
}

impl Admission<'_> {
    /// Seals and stores a stream; durable when it returns, real once a committed record holds the reference.
    /// `TooLarge` when it has more than `most` bytes.
    pub async fn put_blob<S>(&self, shelf: &Shelf, most: u64, body: S) -> Result<BlobRef>
    where
        S: Stream<Item = Result<Bytes>> + Send + Unpin,
    {
        let id = BlobId::random();
        let key = BlobKey::generate()?;
        let sealer = BlobSealer::new(&key, shelf.id(), id)?;
        let (pieces, feed) = mpsc::channel(8);
        let stored = self.house().blobs().put(id, pieces_of(feed));
        let (summary, stored) = futures::join!(pump(sealer, body, most, pieces), stored);
        let summary = summary?;
        stored?;
        Ok(BlobRef { id, key, length: summary.length, sha256: summary.sha256, pieces: Vec::new() })
    }

    /// Opens a range of a blob. The first piece is fetched before it returns, so that a missing or damaged blob is an
    /// error here and not in the middle of a reply.
    pub async fn open_blob(&self, shelf: &Shelf, blob: &BlobRef, range: Range) -> Result<ByteStream> {
        self.open_parts(shelf, vec![(blob.clone(), range)]).await
    }

    /// Opens blobs as one stream, each when the one before it was read to its end; the first at once, as above.
    pub async fn open_blobs(&self, shelf: &Shelf, blobs: Vec<BlobRef>) -> Result<ByteStream> {
        self.open_parts(shelf, blobs.into_iter().map(|blob| (blob, Range::ALL)).collect()).await
    }

    /// The same of parts of blobs.
    pub async fn open_parts(&self, shelf: &Shelf, parts: Vec<(BlobRef, Range)>) -> Result<ByteStream> {
        let (store, shelf) = (Arc::clone(self.house().blobs()), shelf.clone());
        let mut rest = parts.into_iter().flat_map(|(blob, range)| blob.within(range)).collect::<Vec<_>>().into_iter();
        let Some((first, range)) = rest.next() else { return Ok(stream::empty().boxed()) };
        let first = open(store.as_ref(), &shelf, &first, range).await?;
        let later = stream::iter(rest).then(move |(blob, range)| {
            let (store, shelf) = (Arc::clone(&store), shelf.clone());
            async move { open(store.as_ref(), &shelf, &blob, range).await }
        });
        Ok(first.chain(later.try_flatten()).boxed())
    }

    /// Removes a blob whose last record is gone. A failure leaves it to the sweep.
    pub async fn drop_blob(&self, blob: &BlobRef) {
        for object in blob.objects() {
            if let Err(fault) = self.house().blobs().delete(object.id).await {
                tracing::warn!(blob = %object.id, %fault, "a blob could not be removed; the sweep will try again");
            }
        }
    }
}

/// A blob in the course of being opened.
struct Opening {
    opener: BlobOpener,
    sealed: kernel::SealedStream,
    latch: Latch,
    ready: VecDeque<Bytes>,
    is_over: bool,
}

impl Opening {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        self.latch.hold()?;
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some((piece, self)));
            }
            if self.is_over {
                return Ok(None);
            }
            match self.sealed.try_next().await? {
                Some(piece) => self.ready.extend(self.opener.push(piece)?),
                None => {
                    self.opener.finish()?;
                    self.is_over = true;
                }
            }
        }
    }
}

fn pieces_of(feed: mpsc::Receiver<std::result::Result<Sealed, StoreError>>) -> kernel::SealedStream {
    stream::unfold(feed, |mut feed| async move { feed.recv().await.map(|piece| (piece, feed)) }).boxed()
}

/// Seals the body piece by piece. When it fails, the store is told, so that nothing is left behind.
async fn pump<S>(
    mut sealer: BlobSealer,
    mut body: S,
    most: u64,
    pieces: mpsc::Sender<std::result::Result<Sealed, StoreError>>,
) -> Result<BlobSummary>
where
    S: Stream<Item = Result<Bytes>> + Send + Unpin,
{
    let broken = || Error::new(Kind::Unavailable, "the server's storage failed");
    let mut total: u64 = 0;
    let outcome = async {
        while let Some(plain) = body.try_next().await? {
            total = total.saturating_add(u64::try_from(plain.len()).unwrap_or(u64::MAX));
            if total > most {
                return Err(Error::new(Kind::TooLarge, format!("the body is larger than the limit of {most} bytes")));
            }
            for sealed in sealer.push(&plain)? {
                pieces.send(Ok(sealed)).await.map_err(|_| broken())?;
            }
        }
        let (last, summary) = sealer.finish()?;
        pieces.send(Ok(last)).await.map_err(|_| broken())?;
        Ok(summary)
    }
    .await;
    if outcome.is_err() {
        let _ = pieces.send(Err(StoreError::Missing)).await;
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(length: u64, sha256: &str) -> BlobRef {
        BlobRef {
            id: BlobId::random(),
            key: BlobKey::generate().unwrap(),
            length,
            sha256: sha256.to_owned(),
            pieces: Vec::new(),
        }
    }

    #[test]
    fn a_range_of_a_joined_blob_is_a_range_of_its_parts() {
        let parts = [part(10, "a"), part(0, "b"), part(5, "c"), part(1, "d")];
        let joined = BlobRef::joined(parts.to_vec()).unwrap();
        assert_eq!((joined.length, joined.pieces.len()), (16, 3));
        let cuts = |from, length| -> Vec<(usize, u64, u64)> {
            let found = joined.within(Range { from, length });
            let at = |object: &Piece| parts.iter().position(|part| part.id == object.id).unwrap();
            found.iter().map(|(object, range)| (at(object), range.from, range.length)).collect()
        };
        assert_eq!(cuts(0, u64::MAX), [(0, 0, 10), (2, 0, 5), (3, 0, 1)]);
        assert_eq!(cuts(9, 2), [(0, 9, 1), (2, 0, 1)]);
        assert_eq!(cuts(10, 5), [(2, 0, 5)]);
        assert_eq!(cuts(15, 9), [(3, 0, 1)]);
        assert_eq!(cuts(16, 1), []);
        assert_eq!(cuts(3, 0), []);
    }

    #[test]
    fn a_joined_blob_is_named_by_its_parts_and_never_like_a_plain_one() {
        let (a, b) = (part(3, "aa"), part(4, "bb"));
        let name = |parts: &[&BlobRef]| BlobRef::joined(parts.iter().copied().cloned().collect()).unwrap().sha256;
        assert!(name(&[&a, &b]).ends_with("-2"));
        assert_eq!(name(&[&a, &b]), name(&[&a, &b]));
        assert_ne!(name(&[&a, &b]), name(&[&b, &a]));
        assert_eq!(name(&[&a]), "aa", "one part is what it is");
        assert!(BlobRef::joined(Vec::new()).is_err());
        let read: BlobRef = serde_json::from_str(&serde_json::to_string(&a).unwrap()).unwrap();
        assert!(read.pieces.is_empty(), "rows from before have none");
    }
}
