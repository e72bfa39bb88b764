//! The keys that sign a workspace's statements: sealed under its own key, so that they close and go with it.

use kernel::{Result, Secret, Timestamp};
use seal::StatementKey;
use serde::{Deserialize, Serialize};

use crate::gate::{Admission, Changes, Record, Row, Shelf};

/// A key that signs statements; its row's id is its number. The last one signs, all verify. No `Debug`: it holds the private half.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// PKCS#8.
    document: Vec<u8>,
    created_at: Timestamp,
}

impl Record for Kept {
    const TABLE: &'static str = "statement-key";
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.document)));
    }
}

impl Kept {
    fn key(&self) -> Result<StatementKey> {
        Ok(StatementKey::from_pkcs8(&Secret::new(self.document.clone()))?)
    }
}

/// All keys, the oldest first, with when they were made.
pub(super) async fn all(cx: &Admission<'_>, shelf: &Shelf) -> Result<Vec<(StatementKey, Timestamp)>> {
    let rows = cx.all::<Kept>(shelf, b"").await?;
    rows.iter().map(|row| Ok((row.value.key()?, row.value.created_at))).collect()
}

/// The key that signs; made with `changes` where there is none. Of two who make the first one, one finds its commit stale.
pub(super) async fn signer(cx: &Admission<'_>, shelf: &Shelf, changes: &mut Changes) -> Result<StatementKey> {
    if let Some(row) = cx.all::<Kept>(shelf, b"").await?.last() {
        return row.value.key();
    }
    let document = StatementKey::generate()?;
    let kept = Kept { document: document.expose().clone(), created_at: cx.now() };
    changes.put(shelf, &Row::new(1_u32.to_be_bytes().to_vec(), kept))?;
    Ok(StatementKey::from_pkcs8(&document)?)
}
