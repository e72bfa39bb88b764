//! The database's format: its tables, its settings, and which formats this release knows.

use std::{io, os::unix::ffi::OsStrExt, path::Path, time::Duration};

use kernel::{StoreError, StoreResult};
use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{disk, fault};

/// The format this release writes. A release that changes it reads every older one.
pub(super) const FORMAT: i64 = 1;

/// How long a connection waits for another process that holds the database (a person with a database tool).
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

const TABLES: &str = "
    CREATE TABLE kv (key BLOB PRIMARY KEY NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE log (seq INTEGER PRIMARY KEY NOT NULL, link BLOB NOT NULL, record BLOB NOT NULL) STRICT;
    CREATE TABLE format (version INTEGER NOT NULL) STRICT;
    INSERT INTO format (version) VALUES (1);
";

// - FULL: a commit is on the disk when it returns, in write-ahead mode too.
// - Checkpoints are the writer's to run, so that it sees their errors.
// - Temporary tables and journals stay in memory: nothing lies in /tmp.
// - Deleted values are wiped where that costs no extra write. They are ciphertext; erasing is done by erasing keys.
const SETTINGS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA temp_store = MEMORY;
    PRAGMA secure_delete = FAST;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cache_size = -8192;
";

const READER_SETTINGS: &str = "
    PRAGMA query_only = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cache_size = -2048;
";

/// Opens the writer's connection, making the file and its tables when missing. The caller holds the lock of the
/// directory: opening and closing a database file by other means would undo SQLite's own locks in this process.
pub(super) fn open_for_writing(file: &Path, max_pages: Option<u32>) -> StoreResult<Connection> {
    let said = || format!("cannot open `{}`", file.display());
    make(file).map_err(|cause| fault::io(said(), cause))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = connect(file, flags, SETTINGS).map_err(|cause| fault::failed(said(), cause))?;
    let is_empty = is_empty(&connection).map_err(|cause| fault::failed(said(), cause))?;
    if !is_empty {
        known(&connection).map_err(|cause| fault::failed(said(), cause))??;
    }
    let prepared = prepare(&connection, is_empty, max_pages);
    prepared.map_err(|cause| fault::failed(said(), cause))?;
    Ok(connection)
}

/// Opens a connection that cannot change anything. `is_frozen` says that nobody else can either: no locks are taken
/// and no companion files are made, so it works on a medium that cannot be written.
pub(super) fn open_for_reading(file: &Path, is_frozen: bool) -> rusqlite::Result<Connection> {
    if !is_frozen {
        return connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_SETTINGS);
    }
    let escaped = file.as_os_str().as_bytes().iter().map(|byte| match byte {
        b'/' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(*byte).to_string(),
        other => format!("%{other:02x}"),
    });
    let uri = format!("file:{}?immutable=1", escaped.collect::<String>());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    connect(Path::new(&uri), flags, READER_SETTINGS)
}

/// Whether this release knows the format of the data.
pub(super) fn known(connection: &Connection) -> rusqlite::Result<StoreResult<()>> {
    let marked = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'format')";
    let place = connection.path().unwrap_or("the database").to_owned();
    if !connection.query_row(marked, [], |row| row.get::<_, bool>(0))? {
        return Ok(Err(fault::refused(format!("`{place}` is not Bartizan's; choose another data directory"))));
    }
    let version: i64 = connection.query_row("SELECT max(version) FROM format", [], |row| row.get(0))?;
    Ok(match version {
        FORMAT => Ok(()),
        newer if newer > FORMAT => Err(StoreError::Newer(format!(
            "`{place}` was written by a newer release (format {newer}, this release knows {FORMAT}); run that release, or \
             restore a backup that this one made"
        ))),
        other => Err(fault::refused(format!("`{place}` has the impossible format {other}; restore a backup"))),
    })
}

/// Makes an empty file that only we can read: SQLite gives its companions the same permissions.
fn make(file: &Path) -> io::Result<()> {
    match disk::ours().write(true).create_new(true).open(file) {
        Ok(made) => made.sync_all().and_then(|()| disk::sync_parent(file)),
        // A restored backup may be open to others. By name, not by descriptor: see `open_for_writing`.
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => disk::close_to_others(file),
        Err(cause) => Err(cause),
    }
}

fn connect(file: &Path, access: OpenFlags, settings: &str) -> rusqlite::Result<Connection> {
    // No mutex: a connection is used by one thread at a time, which `Connection` being `!Sync` holds.
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(PATIENCE)?;
    // A failed sync must not be followed by another attempt behind our back when the connection closes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.execute_batch(settings)?;
    Ok(connection)
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
}

fn prepare(connection: &Connection, is_empty: bool, max_pages: Option<u32>) -> rusqlite::Result<()> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::InvalidParameterName(format!("journal_mode is `{mode}`, not `wal`")));
    }
    if is_empty {
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES} COMMIT;"))?;
    }
    if let Some(pages) = max_pages {
        connection.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?;
    }
    Ok(())
}
