//! The needs that drivers meet. Each port stays under ten methods and has one conformance suite in `testkit`.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{BlobId, Kind, Link, LogRow, Sealed, Secret};

/// What a driver can report. `Display` says its own part; `source()` says the rest.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A precondition did not hold; nothing of the batch was done.
    #[error("the stored version differs from the expected one")]
    Stale {
        /// Index into the batch's changes.
        change: usize,
    },
    /// No such blob.
    #[error("no such object")]
    Missing,
    /// The medium is full; reads go on.
    #[error("the storage is full")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Writing failed in a way that makes further acknowledgements unsafe (I19): only a restart recovers.
    #[error("the storage failed and accepts no more writes until the server is restarted")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Any other fault of the medium.
    #[error("the storage failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The data was written by a newer release.
    #[error("{0}")]
    Newer(String),
    /// Another server holds it.
    #[error("{0}")]
    Locked(String),
    /// A refused or unreadable root key, or what is not a wrapped key.
    #[error("{0}")]
    Key(String),
    /// What this driver does not do.
    #[error("{0}")]
    Unable(&'static str),
    /// Whoever holds the root key did not answer, or not in time; it may answer later.
    #[error("{0}")]
    KeyAway(String),
}

/// A driver's result.
pub type StoreResult<T> = Result<T, StoreError>;

impl From<StoreError> for crate::Error {
    fn from(fault: StoreError) -> Self {
        let (kind, words) = match &fault {
            StoreError::Stale { .. } => {
                (Kind::Stale, "the resource was changed by someone else; read it again and retry")
            }
            StoreError::Missing => (Kind::NotFound, "the stored object was not found"),
            StoreError::Full(_) => (Kind::Unavailable, "the server's storage is full; reads still work"),
            StoreError::Broken(_) => (Kind::Unavailable, "the server's storage failed; nothing was changed"),
            StoreError::Unable(what) => (Kind::Unsupported, *what),
            StoreError::KeyAway(_) => {
                (Kind::Unavailable, "the provider of the server's root key does not answer; try again later")
            }
            StoreError::Failed(_) | StoreError::Newer(_) | StoreError::Locked(_) | StoreError::Key(_) => {
                (Kind::Unavailable, "the server's storage is not available; try again later")
            }
        };
        crate::Error::new(kind, words).because(fault)
    }
}

/// A stored value and its version. Versions of a key count 1, 2, 3 …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The key.
    pub key: Bytes,
    /// Its version.
    pub version: u64,
    /// The value.
    pub value: Sealed,
}

/// One change. Each carries its own precondition, since the ciphertext is bound to the version it will have.
#[derive(Clone, Debug)]
pub enum Change {
    /// Writes version `version`; refused as stale unless the stored version is `version - 1` (absent counts as 0).
    Put {
        /// The key.
        key: Bytes,
        /// The new version, at least 1.
        version: u64,
        /// The value, sealed for that key and version.
        value: Sealed,
    },
    /// Writes the value of a version anew, which stays that version: refused as stale unless the stored version is `version`. For
    /// what is sealed anew and says the same.
    Reseal {
        /// The key.
        key: Bytes,
        /// The version that is stored, and stays.
        version: u64,
        /// The value, sealed for that key and version.
        value: Sealed,
    },
    /// Removes the key; refused as stale unless the stored version is `version`.
    Delete {
        /// The key.
        key: Bytes,
        /// The version that is removed.
        version: u64,
    },
}

impl Change {
    /// The key that it is about.
    pub fn key(&self) -> &Bytes {
        match self {
            Self::Put { key, .. } | Self::Reseal { key, .. } | Self::Delete { key, .. } => key,
        }
    }
}

/// A copy of a whole store as it was at one moment.
pub struct MetaCopy {
    /// Number and link of its newest log row.
    pub head: (u64, Link),
    /// Bytes of the copy.
    pub length: u64,
    /// The copy, in the driver's own form.
    pub pieces: SealedStream,
}

/// Changes and log records that become durable together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The changes; no two on one key.
    pub changes: Vec<Change>,
    /// Records appended to the activity log, in this order.
    pub records: Vec<Sealed>,
}

/// Ordered keys, sealed values, and one append-only log. The store is untrusted: it sees keys made of ids and keyed
/// hashes, sizes, times and ciphertext.
///
/// *Acknowledged* means it survives power loss. After an fsync error the driver acknowledges nothing more.
#[async_trait]
pub trait MetaStore: Send + Sync {
    /// The value at a key.
    async fn get(&self, key: &[u8]) -> StoreResult<Option<Versioned>>;

    /// At most `limit` values whose key starts with `prefix` and is greater than `after`, in key order.
    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> StoreResult<Vec<Versioned>>;

    /// Applies the batch, all or nothing. Returns the number of the last log record it appended, or 0 if it had none.
    async fn commit(&self, batch: Batch) -> StoreResult<u64>;

    /// Removes the rows of the log up to number `through` and applies the batch, all or nothing. The batch has a record, so
    /// the log is never empty. Returns what `commit` returns.
    async fn commit_cut(&self, batch: Batch, through: u64) -> StoreResult<u64> {
        let _ = (batch, through);
        Err(StoreError::Failed("this storage cannot remove records".into()))
    }

    /// At most `limit` rows of the log from number `from` on, in order.
    async fn log(&self, from: u64, limit: usize) -> StoreResult<Vec<LogRow>>;

    /// Number and link of the newest log row; `(0, zeros)` when the log is empty.
    async fn log_head(&self) -> StoreResult<(u64, Link)>;

    /// A copy of everything as it is at one moment between the call and its return, while others read and write.
    async fn copy(&self) -> StoreResult<MetaCopy> {
        Err(StoreError::Unable("this storage cannot be copied while it is used"))
    }

    /// Checks the medium's own integrity; the text of what is wrong otherwise.
    async fn check(&self) -> StoreResult<()>;
}

/// A stream of sealed pieces, in order.
pub type SealedStream = BoxStream<'static, StoreResult<Sealed>>;

/// While it lives, no blob is removed.
pub type BlobHold = Box<dyn Send + Sync>;

/// Sealed bytes under opaque ids. Written once, never changed.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Stores all pieces, durable before it returns the length in bytes. A stream that ends in an error leaves nothing
    /// behind. An id that exists is an error of kind `Failed`.
    async fn put(&self, id: BlobId, pieces: SealedStream) -> StoreResult<u64>;

    /// Bytes `from .. from + length` of the stored ciphertext, cut at the end, as pieces of at most four segments (`Sealed::SEGMENT`).
    async fn get(&self, id: BlobId, from: u64, length: u64) -> StoreResult<SealedStream>;

    /// The length of the stored ciphertext.
    async fn head(&self, id: BlobId) -> StoreResult<u64>;

    /// At most `limit` ids greater than `after`, in order.
    async fn list(&self, after: Option<BlobId>, limit: usize) -> StoreResult<Vec<BlobId>>;

    /// Removes it; removing what is not there is fine. While somebody holds the blobs it stays, and goes after that.
    async fn delete(&self, id: BlobId) -> StoreResult<()>;

    /// Holds what is there, so that it can be copied: deletions wait until the hold is dropped.
    async fn hold(&self) -> StoreResult<BlobHold> {
        Err(StoreError::Unable("this storage cannot be copied while it is used"))
    }
}

/// One wall of a jail, as found on a target.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Wall {
    /// Short name: `user-namespace`, `own-uid-range`, `memory-limit`, `seccomp` …
    pub name: String,
    /// Whether it stands.
    pub stands: bool,
    /// What it means, or why it does not stand.
    pub note: String,
}

/// What a compute target can enforce; probed when the server starts, noted in each run record.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Capabilities {
    /// Every wall that was probed.
    pub walls: Vec<Wall>,
    /// Processor cores that its programs may use; zero when it was not asked.
    #[serde(default)]
    pub cores: u16,
}

impl Capabilities {
    /// The names of walls that do not stand.
    pub fn missing(&self) -> Vec<String> {
        self.walls.iter().filter(|wall| !wall.stands).map(|wall| wall.name.clone()).collect()
    }
}

/// What a launcher needs to start an agent on its target.
#[derive(Clone, Debug)]
pub struct LaunchSpec {
    /// Names the run or the replica; unique among those alive.
    pub name: String,
    /// The message the agent reads from its inherited descriptor: server address, CA, run, one-time bootstrap token.
    pub bootstrap: Secret<String>,
    /// For services: the Unix socket, on this machine, at which the gateway will look for the replica.
    pub socket: Option<PathBuf>,
    /// Free labels for the target's own listings.
    pub labels: BTreeMap<String, String>,
}

/// A started agent, as its launcher knows it; persisted with the run so that a restarted server finds it again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Launched {
    /// The launcher's own handle (for the local target: process id and start time).
    pub handle: String,
}

/// Whether an agent is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// It runs.
    Alive,
    /// It is gone, or was never there.
    Gone,
}

/// Starts agents on a target (this machine, an SSH host, a cluster). The agent does the rest everywhere the same way.
#[async_trait]
pub trait ComputeDriver: Send + Sync {
    /// Starts an agent.
    async fn start(&self, spec: LaunchSpec) -> StoreResult<Launched>;
    /// Whether it is still there.
    async fn state(&self, launched: &Launched) -> StoreResult<ProcessState>;
    /// Ends it and everything it started; fine when it is gone.
    async fn stop(&self, launched: &Launched) -> StoreResult<()>;
    /// What the target can enforce.
    fn capabilities(&self) -> Arc<Capabilities>;
}

/// Why another server gave no document. `Display` may be shown to whoever configured the address.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address is not one that may be reached; the text says which rule and what the operator can do.
    #[error("{0}")]
    Refused(String),
    /// Nobody answered, TLS did not prove the host, or it took too long.
    #[error("`{host}` did not answer as it should: {why}")]
    Unreachable {
        /// Host, with its port when that is unusual.
        host: String,
        /// In short, without the query.
        why: String,
    },
    /// The answer is longer than it may be.
    #[error("the answer of `{host}` is longer than {most} bytes")]
    TooLarge {
        /// As above.
        host: String,
        /// The bound.
        most: usize,
    },
}

/// A small document of another server.
#[derive(Clone, Debug)]
pub struct WebAnswer {
    /// HTTP status, whatever it is; redirects are not followed.
    pub status: u16,
    /// The body, whole.
    pub body: Bytes,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebMethod {
    /// What a server permits.
    Options,
    /// Takes a body.
    Post,
}

/// A request with a body of ours.
#[derive(Clone, Debug)]
pub struct WebRequest<'a> {
    /// What it asks for.
    pub method: WebMethod,
    /// Where.
    pub url: &'a str,
    /// Names and values; a value that may not be shown is never printed.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, whole.
    pub body: Bytes,
    /// The answer has at most so many bytes.
    pub most: usize,
}

/// An answer with its headers.
#[derive(Clone, Debug, Default)]
pub struct WebReply {
    /// HTTP status, whatever it is; redirects are not followed.
    pub status: u16,
    /// Headers by their names in lower case; those that are no text are left out.
    pub headers: BTreeMap<String, String>,
    /// The body, whole.
    pub body: Bytes,
}

fn nowhere() -> WebError {
    WebError::Refused(String::from("no other server may be reached from here"))
}

/// Fetches small documents from servers elsewhere: those that the operator named, and no others (invariant I10). Each call
/// ends within seconds.
#[async_trait]
pub trait Web: Send + Sync {
    /// Whether the operator allows this address at all; nobody is asked.
    fn permits(&self, url: &str) -> Result<(), WebError>;

    /// Fetches a document of at most `most` bytes.
    async fn get(&self, url: &str, most: usize) -> Result<WebAnswer, WebError>;

    /// Sends the fields of a form, by `basic` (name and password, RFC 7617) if there is one; the answer has at most `most`
    /// bytes.
    async fn post_form(
        &self,
        url: &str,
        fields: &[(&str, &str)],
        basic: Option<(&str, &Secret<String>)>,
        most: usize,
    ) -> Result<WebAnswer, WebError>;

    /// Sends a request of any other form. A web that does not know how reaches nobody.
    async fn send(&self, request: WebRequest<'_>) -> Result<WebReply, WebError> {
        let _ = request;
        Err(nowhere())
    }

    /// Sends bytes over one connection to `tls://host:port` (or `tcp://host:port`, on this machine alone), and waits until
    /// the other end has taken them.
    async fn pour(&self, place: &str, bytes: Bytes) -> Result<(), WebError> {
        let _ = (place, bytes);
        Err(nowhere())
    }
}

/// A web in which there is no other server.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWeb;

#[async_trait]
impl Web for NoWeb {
    fn permits(&self, _url: &str) -> Result<(), WebError> {
        Err(nowhere())
    }

    async fn get(&self, url: &str, _most: usize) -> Result<WebAnswer, WebError> {
        self.permits(url)?;
        Ok(WebAnswer { status: 404, body: Bytes::new() })
    }

    async fn post_form(
        &self,
        url: &str,
        _fields: &[(&str, &str)],
        _basic: Option<(&str, &Secret<String>)>,
        most: usize,
    ) -> Result<WebAnswer, WebError> {
        self.get(url, most).await
    }
}
