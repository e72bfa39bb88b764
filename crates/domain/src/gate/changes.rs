//! Changes that a room asks for; they become durable together with their activity record or not at all.

use kernel::{Change, Result};

use super::{Record, Row, Shelf, table};

struct Pending {
    shelf: Shelf,
    table: &'static str,
    id: Vec<u8>,
    version: u64,
    plain: Option<Vec<u8>>,
}

/// A set of changes, at most one per row.
#[derive(Default)]
pub struct Changes {
    pending: Vec<Pending>,
    /// The system's keyring, wrapped anew: it lies on no shelf.
    root: Option<Change>,
}

impl Changes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a row. Requires that the stored version is still the one that was read (0: that there is none).
    pub fn put<T: Record>(&mut self, shelf: &Shelf, row: &Row<T>) -> Result<&mut Self> {
        let plain = Some(table::encode(&row.value)?);
        let version = row.version.saturating_add(1);
        self.pending.push(Pending { shelf: shelf.clone(), table: T::TABLE, id: row.id.clone(), version, plain });
        Ok(self)
    }

    /// Removes a row. Requires that the stored version is still the one that was read.
    pub fn delete<T: Record>(&mut self, shelf: &Shelf, row: &Row<T>) -> &mut Self {
        let shelf = shelf.clone();
        self.pending.push(Pending { shelf, table: T::TABLE, id: row.id.clone(), version: row.version, plain: None });
        self
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.root.is_none()
    }

    pub(super) fn put_root(&mut self, change: Change) {
        self.root = Some(change);
    }

    /// The rows of a table that are to be written, each as it will be, at the version that it will have.
    pub(crate) fn written<T: Record>(&self) -> Result<Vec<(Shelf, Row<T>)>> {
        let of_table = self.pending.iter().filter(|change| change.table == T::TABLE);
        let put = of_table.filter_map(|change| change.plain.as_ref().map(|plain| (change, plain)));
        put.map(|(change, plain)| {
            let value = table::decode(plain)?;
            Ok((change.shelf.clone(), Row { id: change.id.clone(), version: change.version, value }))
        })
        .collect()
    }

    /// Bytes that are to be written on a shelf, before they are sealed; none when nothing is changed there.
    pub(super) fn bytes_on(&self, shelf: &[u8; 16]) -> Option<usize> {
        let here = self.pending.iter().filter(|change| change.shelf.id() == shelf);
        here.map(|change| change.plain.as_ref().map_or(0, Vec::len)).reduce(usize::saturating_add)
    }

    /// What is to be written, as it is before it is sealed.
    pub(super) fn plain(&self) -> impl Iterator<Item = &[u8]> {
        self.pending.iter().filter_map(|change| change.plain.as_deref())
    }

    pub(super) fn touches(&self, tables: &[&str]) -> bool {
        self.pending.iter().any(|change| tables.contains(&change.table))
    }

    /// The ids of a table's rows that are to be changed.
    pub(super) fn ids(&self, table: &str) -> Vec<Vec<u8>> {
        self.pending.iter().filter(|change| change.table == table).map(|change| change.id.clone()).collect()
    }

    pub(super) fn seal(self) -> Result<Vec<Change>> {
        let sealed = self.pending.into_iter().map(Pending::seal);
        sealed.chain(self.root.map(Ok)).collect()
    }
}

impl Pending {
    fn seal(self) -> Result<Change> {
        let key = self.shelf.key(self.table, &self.id).into();
        Ok(match self.plain {
            Some(plain) => {
                let value = self.shelf.seal(self.table, &self.id, self.version, &plain)?;
                Change::Put { key, version: self.version, value }
            }
            None => Change::Delete { key, version: self.version },
        })
    }
}
