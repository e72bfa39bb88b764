//! Making a backup: a copy of everything that is sealed, as a stream, while the house goes on.
//!
//! First the blobs are held, so that none goes away; then the metadata are copied as of one moment; then every blob that there is.
//! Each blob that the metadata name was there at that moment, since a blob is written before what names it, and still is. Blobs
//! that came later are in the archive too, and nothing there names them.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    FutureExt, SinkExt, Stream, StreamExt, TryStreamExt,
    channel::mpsc::{self, Sender},
    future, stream,
};
use kernel::{
    Action, BlobHold, BlobStore, Class, Error, Kind, Link, MetaCopy, ResourceId, Result, StoreError, StoreResult,
    TenantId,
};
use seal::{CheckpointKey, Sha256, sha256_hex};
use std::{sync::Arc, time::Duration};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::archive::{self, END, LISTED, Manifest, Name, ORIGIN, RELEASE};
use crate::{
    audit::{cut_text, signing_key},
    gate::{ByteStream, Cx, Op},
};

/// Blobs that are looked up at once.
const PAGE: usize = 1000;
/// Pieces that wait for a slow reader.
const AHEAD: usize = 4;
/// How long a reader may leave them.
const PATIENCE: Duration = Duration::from_secs(120);

/// A backup under way.
pub struct Backup {
    /// When its copy was made, RFC 3339.
    pub made_at: String,
    /// The archive. It is whole when it ends with its manifest, which it does unless it ends in an error.
    pub archive: ByteStream,
}

/// Copies everything. One at a time.
#[derive(Debug)]
pub struct MakeBackup;

#[async_trait]
impl Op for MakeBackup {
    const ACTION: Action = Action::new("Microsoft.Authorization/backups/write", Class::Control);
    type Output = Backup;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Backup> {
        let permit = Arc::clone(&cx.house().copying).try_acquire_owned();
        let permit =
            permit.map_err(|_| Error::new(Kind::Conflict, "another backup is being made; wait until it is done"))?;
        let (meta, blobs) = cx.stores();
        let hold = blobs.hold().await.map_err(uncopyable)?;
        // The cut that is in the copy is one of these, and the other says no more than what will be.
        let before = cut_text(cx).await?;
        let copy = meta.copy().await.map_err(uncopyable)?;
        let after = cut_text(cx).await?.filter(|cut| Some(cut) != before.as_ref());
        let cuts = before.into_iter().chain(after).collect();
        let (made_at, key) = (cx.now().rfc3339(), signing_key(cx).await?);
        let tenant = cx.house().tenant().unwrap_or(TenantId::from(Uuid::nil()));
        cx.note("records", copy.head.0.to_string());
        let work = Work {
            small: small(&key, tenant, copy.head, &made_at, cuts, &cx.settings().ca_pem),
            copy,
            blobs,
            key,
            origin: format!("{ORIGIN}{tenant}"),
            made_at: made_at.clone(),
            _held: (hold, permit),
        };
        Ok(Backup { made_at, archive: work.stream() })
    }
}

fn uncopyable(fault: StoreError) -> Error {
    match fault {
        StoreError::Full(_) | StoreError::Unable(_) => Error::from(fault),
        fault => Error::new(Kind::Unavailable, "the server's storage could not be copied; see the server's log")
            .because(fault),
    }
}

/// The members that are texts.
fn small(
    key: &CheckpointKey,
    tenant: TenantId,
    (size, link): (u64, Link),
    time: &str,
    cuts: Vec<String>,
    authority: &str,
) -> Vec<(Name, String)> {
    let checkpoint = key.sign(&format!("bartizan.activity-log/{tenant}"), size, &link, time);
    let separated = |text: &str| format!("{}\n\n\n", text.trim_end());
    let mut small = vec![
        (Name::LogKey, format!("{}\n", key.public_line())),
        (Name::Checkpoint, separated(&checkpoint.text)),
        (Name::Authority, authority.to_owned()),
    ];
    if !cuts.is_empty() {
        small.push((Name::Cut, cuts.iter().map(|text| separated(text)).collect()));
    }
    small
}

/// Everything that a stream needs to go on by itself.
struct Work {
    small: Vec<(Name, String)>,
    copy: MetaCopy,
    blobs: Arc<dyn BlobStore>,
    key: CheckpointKey,
    origin: String,
    made_at: String,
    _held: (BlobHold, OwnedSemaphorePermit),
}

impl Work {
    /// The archive, written ahead of whoever reads it, by a task of its own: a reader that stops is not waited for, since blobs
    /// that are deleted stay, and nobody else makes a backup, until this ends.
    fn stream(self) -> ByteStream {
        let (out, pieces) = mpsc::channel(AHEAD);
        let writing = tokio::spawn(self.write(out)).map(|end| end.unwrap_or_else(|fault| Err(Error::internal(fault))));
        let fault = writing.into_stream().filter_map(|end| future::ready(end.err().map(Err)));
        stream::select(pieces.map(Ok), fault).boxed()
    }

    async fn write(self, out: Sender<Bytes>) -> Result<()> {
        let Self { small, copy, blobs, key, origin, made_at, _held } = self;
        let (size, link) = copy.head;
        let mut writer = Writer::new(out, Manifest { made_at: made_at.clone(), records: size, ..Manifest::default() });
        writer.member(&Name::Meta, copy.length, copy.pieces.map_ok(|piece| piece.bytes().clone())).await?;
        for (name, text) in small {
            writer.text(&name, text).await?;
        }
        let mut after = None;
        loop {
            let ids = blobs.list(after, PAGE).await?;
            for id in &ids {
                let length = blobs.head(*id).await?;
                let pieces = blobs.get(*id, 0, length).await?;
                writer.member(&Name::Blob(*id), length, pieces.map_ok(|piece| piece.bytes().clone())).await?;
            }
            match ids.last() {
                Some(last) => after = Some(*last),
                None => break,
            }
        }
        writer.list().await?;
        let mut manifest = writer.manifest.clone();
        manifest.release = RELEASE.to_owned();
        let lines = manifest.lines();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let signed = key.sign_with(&origin, size, &link, &made_at, &lines);
        writer.text(&Name::Manifest, signed.text).await?;
        writer.send(Bytes::from_static(&END)).await
    }
}

/// Writes members one after the other.
struct Writer {
    out: Sender<Bytes>,
    /// Lines of the list that is being made.
    lines: String,
    listed: usize,
    manifest: Manifest,
}

impl Writer {
    fn new(out: Sender<Bytes>, manifest: Manifest) -> Self {
        Self { out, lines: String::new(), listed: 0, manifest }
    }

    async fn send(&mut self, bytes: Bytes) -> Result<()> {
        let gone = |why| Error::new(Kind::Unavailable, why);
        let sent = tokio::time::timeout(PATIENCE, self.out.send(bytes)).await;
        sent.map_err(|_| gone("whoever reads the backup has stopped; it ends here"))?
            .map_err(|_| gone("nobody reads the backup any more"))
    }

    async fn text(&mut self, name: &Name, text: String) -> Result<()> {
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        self.member(name, length, stream::once(future::ready(Ok(Bytes::from(text))))).await
    }

    async fn member(
        &mut self,
        name: &Name,
        length: u64,
        mut pieces: impl Stream<Item = StoreResult<Bytes>> + Unpin,
    ) -> Result<()> {
        self.send(Bytes::from(archive::header(name, length)?)).await?;
        let (mut hash, mut left) = (Sha256::default(), length);
        while let Some(piece) = pieces.try_next().await? {
            let taken = left.checked_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            left = taken.ok_or_else(|| Error::internal("what is copied became longer"))?;
            hash.update(&piece);
            self.send(piece).await?;
        }
        if left > 0 {
            return Err(Error::internal("what is copied became shorter"));
        }
        self.send(Bytes::from(vec![0; archive::filling(length)])).await?;
        if name.is_listed() {
            self.lines.push_str(&archive::line(name, length, &hash.finish()));
            self.listed = self.listed.saturating_add(1);
            self.manifest.members = self.manifest.members.saturating_add(1);
            self.manifest.bytes = self.manifest.bytes.saturating_add(length);
        }
        if self.listed >= LISTED { Box::pin(self.list()).await } else { Ok(()) }
    }

    /// Ends the list that is being made.
    async fn list(&mut self) -> Result<()> {
        if self.listed == 0 {
            return Ok(());
        }
        self.listed = 0;
        let lines = std::mem::take(&mut self.lines);
        let number = u32::try_from(self.manifest.lists.len()).unwrap_or(u32::MAX).saturating_add(1);
        let name = Name::List(number);
        self.manifest.lists.push((name.text(), sha256_hex(lines.as_bytes())));
        self.text(&name, lines).await
    }
}
