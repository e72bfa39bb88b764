//! What other rooms read of a container: they have established who may, and say which state of a blob they mean.

use kernel::{Error, Kind, Result};
use serde::{Deserialize, Serialize};

use super::{
    Account, ContainerName,
    blob::{Blob, prefix, row_id},
    container::find,
    list::each,
};
use crate::gate::{Admission, ByteStream, Range};

/// A blob as it was when somebody looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlobState {
    /// Its name.
    pub(crate) name: String,
    /// Bytes.
    pub(crate) length: u64,
    /// Changes with every write.
    pub(crate) etag: u64,
}

impl BlobState {
    fn of(blob: Blob) -> Self {
        Self { name: blob.name, length: blob.length, etag: blob.etag }
    }
}

/// The blob that is called `path`, and those that lie below it (with an empty path: all), by name. At most `most`.
///
/// # Errors
/// `TooLarge` for more than that; `NotFound` without such a container.
pub(crate) async fn blobs_at(
    cx: &Admission<'_>,
    account: &Account,
    container: &ContainerName,
    path: &str,
    most: usize,
) -> Result<Vec<BlobState>> {
    account.require_open()?;
    let container = find(cx, account, container).await?.value;
    let is_wanted = |name: &str| {
        path.is_empty() || name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let (mut found, mut count) = (Vec::new(), 0_usize);
    each::<Blob>(cx, &account.shelf, prefix(&container), |blob| {
        if blob.snapshot.is_none() && !blob.is_past && is_wanted(&blob.name) {
            count = count.saturating_add(1);
            if count <= most {
                found.push(BlobState::of(blob));
            }
        }
    })
    .await?;
    if count > most {
        return Err(Error::new(Kind::TooLarge, format!("{count} blobs lie there, and at most {most} can be taken")));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Opens a blob in the state in which it was seen.
///
/// # Errors
/// `Conflict` when it is not what it was any more.
pub(crate) async fn open_state(
    cx: &Admission<'_>,
    account: &Account,
    container: &ContainerName,
    state: &BlobState,
) -> Result<ByteStream> {
    let changed = || Error::new(Kind::Conflict, "a blob was changed or deleted since the job was submitted");
    account.require_open()?;
    let gone = |fault: Error| if fault.kind() == Kind::NotFound { changed() } else { fault };
    let container = find(cx, account, container).await.map_err(gone)?.value;
    let id = row_id(&account.shelf, &container, &state.name, None);
    let row = cx.get::<Blob>(&account.shelf, &id).await?.filter(|row| row.value.etag == state.etag);
    let blob = row.ok_or_else(changed)?.value;
    // Whoever replaces a blob removes its bytes after its row: they may go between the look and here.
    blob.content.open(cx, &account.shelf, blob.length, Range { from: 0, length: blob.length }).await.map_err(gone)
}
