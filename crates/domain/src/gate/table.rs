//! Typed, versioned records.

use kernel::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A stored shape. It carries a version and knows its predecessors, so old data always opens.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The table's name: short, never reused for something else.
    const TABLE: &'static str;
    /// The version of this shape.
    const VERSION: u8 = 1;

    /// Reads an older version. The default knows none.
    fn upgrade(version: u8, old: Value) -> Option<Self> {
        let _ = (version, old);
        None
    }
}

/// A record with its id and the version it was read at. Version 0 is a row that was never written.
#[derive(Clone, Debug)]
pub struct Row<T> {
    /// The id within table and shelf: ids and keyed hashes only, since the store sees it.
    pub id: Vec<u8>,
    /// The version read; writing it back requires that nobody wrote in between.
    pub version: u64,
    /// The record.
    pub value: T,
}

impl<T> Row<T> {
    /// A new row: writing it requires that the id is free.
    pub fn new(id: impl Into<Vec<u8>>, value: T) -> Self {
        Self { id: id.into(), version: 0, value }
    }
}

pub(super) fn encode<T: Record>(value: &T) -> Result<Vec<u8>> {
    let mut out = vec![T::VERSION];
    serde_json::to_writer(&mut out, value).map_err(Error::internal)?;
    Ok(out)
}

pub(super) fn decode<T: Record>(plain: &[u8]) -> Result<T> {
    let unknown = |version: u8| Error::internal(format!("table `{}` holds version {version}", T::TABLE));
    match plain.split_first() {
        Some((version, json)) if *version == T::VERSION => serde_json::from_slice(json).map_err(Error::internal),
        Some((version, json)) => {
            let old = serde_json::from_slice(json).map_err(Error::internal)?;
            T::upgrade(*version, old).ok_or_else(|| unknown(*version))
        }
        None => Err(unknown(0)),
    }
}
