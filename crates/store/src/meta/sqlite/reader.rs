//! Reads: a pool of connections, and the handful of queries.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use kernel::{Link, LogRow, Sealed, StoreResult, Versioned};
use rusqlite::{Connection, OptionalExtension, Row, types::Type};

use super::format;
use crate::fault;

/// Connections kept for the next read.
const KEPT: usize = 4;

/// Connections for reading. Taking one never waits: when none is idle a new one is opened.
pub(super) struct Readers {
    file: PathBuf,
    is_frozen: bool,
    idle: Mutex<Vec<Connection>>,
    /// Held while a copy is made, which goes on when whoever asked for it has left.
    pub(super) copying: Mutex<()>,
}

impl Readers {
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file, is_frozen: false, idle: Mutex::default(), copying: Mutex::default() }
    }

    /// For a medium that cannot be written.
    pub(super) fn frozen(file: PathBuf) -> Self {
        Self { is_frozen: true, ..Self::new(file) }
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Runs a read on an idle connection.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> StoreResult<T> {
        let said = || format!("cannot read `{}`", self.file.display());
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                format::open_for_reading(&self.file, self.is_frozen).map_err(|cause| fault::failed(said(), cause))?
            }
        };
        // A connection on which a read failed is not used again.
        let value = read(&connection).map_err(|cause| fault::failed(said(), cause))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(connection);
        }
        Ok(value)
    }
}

pub(super) fn get(connection: &Connection, key: &[u8]) -> rusqlite::Result<Option<Versioned>> {
    let mut query = connection.prepare_cached("SELECT version, value FROM kv WHERE key = ?1")?;
    let found = query.query_row([key], |row| {
        Ok(Versioned {
            key: Bytes::copy_from_slice(key),
            version: number(row, 0)?,
            value: Sealed::read_back(bytes(row, 1)?),
        })
    });
    found.optional()
}

/// Values whose key is at least `lower` and less than `upper`.
pub(super) fn scan(
    connection: &Connection,
    lower: &[u8],
    upper: Option<&[u8]>,
    limit: usize,
) -> rusqlite::Result<Vec<Versioned>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let value = |row: &Row<'_>| {
        Ok(Versioned { key: bytes(row, 0)?, version: number(row, 1)?, value: Sealed::read_back(bytes(row, 2)?) })
    };
    match upper {
        Some(upper) => connection
            .prepare_cached("SELECT key, version, value FROM kv WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3")?
            .query_map((lower, upper, limit), value)?
            .collect(),
        None => connection
            .prepare_cached("SELECT key, version, value FROM kv WHERE key >= ?1 ORDER BY key LIMIT ?2")?
            .query_map((lower, limit), value)?
            .collect(),
    }
}

pub(super) fn log(connection: &Connection, from: u64, limit: usize) -> rusqlite::Result<Vec<LogRow>> {
    let Ok(from) = i64::try_from(from) else { return Ok(Vec::new()) };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection
        .prepare_cached("SELECT seq, link, record FROM log WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?
        .query_map((from, limit), log_row)?
        .collect()
}

pub(super) fn head(connection: &Connection) -> rusqlite::Result<(u64, Link)> {
    let mut query = connection.prepare_cached("SELECT seq, link FROM log ORDER BY seq DESC LIMIT 1")?;
    let newest = query.query_row([], |row| Ok((number(row, 0)?, link(row, 1)?)));
    Ok(newest.optional()?.unwrap_or((0, [0; 32])))
}

/// The newest `count` rows of the log, oldest first.
pub(super) fn tail(connection: &Connection, count: u32) -> rusqlite::Result<Vec<LogRow>> {
    let mut query = connection.prepare_cached("SELECT seq, link, record FROM log ORDER BY seq DESC LIMIT ?1")?;
    let mut rows = query.query_map([count], log_row)?.collect::<rusqlite::Result<Vec<LogRow>>>()?;
    rows.reverse();
    Ok(rows)
}

fn log_row(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    Ok(LogRow { seq: number(row, 0)?, link: link(row, 1)?, record: Sealed::read_back(bytes(row, 2)?) })
}

fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?))
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let stored: i64 = row.get(column)?;
    u64::try_from(stored).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, stored))
}

fn link(row: &Row<'_>, column: usize) -> rusqlite::Result<Link> {
    let stored = row.get_ref(column)?.as_blob()?;
    Link::try_from(stored).map_err(|cause| rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, cause.into()))
}
