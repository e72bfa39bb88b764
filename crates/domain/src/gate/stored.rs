//! Rows as they are stored: told apart without being opened.

use std::hash::{DefaultHasher, Hash, Hasher};

use kernel::{Result, Versioned};

use super::{Admission, Record, Row, Shelf};

/// Bytes of a sealed value that tell it from every other: its head with the random nonce.
const HEAD: usize = 64;

/// A row that is not opened yet.
pub(crate) struct Stored {
    pub(crate) id: Vec<u8>,
    stored: Versioned,
}

impl Stored {
    /// Differs whenever the row was written in between, also when it was removed and made anew: each sealing draws a nonce.
    /// Never zero.
    pub(crate) fn mark(&self) -> u64 {
        let bytes = self.stored.value.bytes();
        let mut hasher = DefaultHasher::new();
        self.stored.version.hash(&mut hasher);
        bytes.get(..HEAD).unwrap_or(bytes).hash(&mut hasher);
        hasher.finish().max(1)
    }

    /// Opens it.
    pub(crate) fn open<T: Record>(&self, shelf: &Shelf) -> Result<Row<T>> {
        shelf.open(&self.stored)
    }
}

impl Admission<'_> {
    /// At most `limit` rows of a table as [`Admission::page`] reads them, unopened.
    pub(crate) async fn stored_page<T: Record>(
        &self,
        shelf: &Shelf,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Stored>> {
        let after = after.map(|id| shelf.key(T::TABLE, id));
        let found = self.house().meta().scan(&shelf.key(T::TABLE, prefix), after.as_deref(), limit).await?;
        self.charge_read(shelf, found.iter().map(|stored| stored.value.bytes().len()).sum());
        let from = shelf.key(T::TABLE, b"").len();
        let stored = |stored: Versioned| Stored { id: stored.key.get(from..).unwrap_or_default().to_vec(), stored };
        Ok(found.into_iter().map(stored).collect())
    }

    /// One row, unopened.
    pub(crate) async fn stored<T: Record>(&self, shelf: &Shelf, id: &[u8]) -> Result<Option<Stored>> {
        let found = self.house().meta().get(&shelf.key(T::TABLE, id)).await?;
        self.charge_read(shelf, found.as_ref().map_or(0, |stored| stored.value.bytes().len()));
        Ok(found.map(|stored| Stored { id: id.to_vec(), stored }))
    }
}
