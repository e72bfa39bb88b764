//! The only writer: a thread that owns the write connection and makes several callers' batches durable at once.

use std::{
    sync::{Arc, LazyLock},
    thread::{self, JoinHandle},
    time::Duration,
};

use kernel::{Batch, Chain, Change, Link, StoreError, StoreResult};
use rusqlite::{Connection, ErrorCode, Params, ToSql, ffi, params_from_iter};
use tokio::sync::{mpsc, oneshot};

use super::format;
use crate::fault;

/// Batches that may wait; more callers wait to enter the queue.
const QUEUE: usize = 1024;
/// Bounds of one transaction: callers behind it wait for its end.
const GROUP_BATCHES: usize = 256;
const GROUP_BYTES: usize = 8 << 20;
/// Bytes written since the last checkpoint after which the next one runs.
const CHECKPOINT_AFTER: usize = 8 << 20;
/// Pages of write-ahead log (64 MiB) that readers may keep alive before the writer waits for them.
const LOG_PAGES: i64 = 16 << 10;
const PAGE: usize = 4096;
/// How long commits stand still for such readers, each time.
const READER_PATIENCE: Duration = Duration::from_millis(200);

/// Bytes of a row of the activity log beside its record: number, link, SQLite's own.
const LOG_ROW: usize = 48;
/// Rows of the activity log that one statement appends.
const LOG_ROWS: usize = 64;
static APPEND_CHUNK: LazyLock<String> =
    LazyLock::new(|| format!("INSERT INTO log (seq, link, record) VALUES {}", ["(?, ?, ?)"; LOG_ROWS].join(", ")));

/// Makes the open transaction durable.
pub(super) fn commit(connection: &Connection) -> rusqlite::Result<()> {
    run(connection, "COMMIT", []).map(drop)
}

/// The handle of the writer's thread. Dropping it lets the queue run dry and closes the database.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

struct Job {
    batch: Batch,
    /// Rows of the log up to this one are removed.
    cut: u64,
    reply: oneshot::Sender<StoreResult<u64>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        chain: Arc<dyn Chain>,
        head: (u64, Link),
        commit: fn(&Connection) -> rusqlite::Result<()>,
    ) -> StoreResult<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let scribe = Scribe { connection, chain, head, commit, broken: None, written: 0 };
        let thread = thread::Builder::new()
            .name(String::from("meta-writer"))
            .spawn(move || scribe.serve(jobs))
            .map_err(|cause| fault::failed("cannot start the thread that writes metadata", cause))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Waits until the batch is durable or refused.
    pub(super) async fn commit(&self, batch: Batch, cut: u64) -> StoreResult<u64> {
        let gone = || fault::broken("the thread that writes metadata has stopped", "it does not answer");
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        queue.send(Job { batch, cut, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes metadata ended badly");
        }
    }
}

/// How far a fault reaches.
#[derive(Clone, Debug)]
enum Fault {
    /// The transaction was undone; the next one may succeed once there is room.
    Full(String),
    /// The transaction was undone.
    Failed(String),
    /// What is on the disk is no longer known.
    Broken(String),
}

impl Fault {
    fn of(cause: &rusqlite::Error) -> Self {
        let words = cause.to_string();
        match (cause.sqlite_error_code(), cause.sqlite_error()) {
            (Some(ErrorCode::DiskFull), _) => Self::Full(words),
            // No room for the index of the write-ahead log, which is rebuilt at need: nothing durable is in doubt.
            (_, Some(fault)) if fault.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Self::Full(words),
            (Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase), Some(fault)) => {
                Self::Broken(format!("{words} (code {})", fault.extended_code))
            }
            _ => Self::Failed(words),
        }
    }

    fn report(&self) -> StoreError {
        match self.clone() {
            Self::Full(words) => StoreError::Full(words.into()),
            Self::Failed(words) => StoreError::Failed(words.into()),
            Self::Broken(words) => StoreError::Broken(words.into()),
        }
    }
}

/// The last number a batch gave and the link it left, or why the batch alone was refused.
type Outcome = StoreResult<(u64, Link)>;

/// The writer's state, on its own thread.
struct Scribe {
    connection: Connection,
    chain: Arc<dyn Chain>,
    /// Number and link of the newest durable row of the log.
    head: (u64, Link),
    commit: fn(&Connection) -> rusqlite::Result<()>,
    broken: Option<String>,
    /// About how many bytes went into the write-ahead log since the last checkpoint.
    written: usize,
}

impl Scribe {
    fn serve(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut weight = weight(&first.batch);
            let mut group = vec![first];
            while group.len() < GROUP_BATCHES
                && weight < GROUP_BYTES
                && let Ok(job) = jobs.try_recv()
            {
                weight = weight.saturating_add(self::weight(&job.batch));
                group.push(job);
            }
            self.written = self.written.saturating_add(weight);
            self.answer(group);
            self.checkpoint_when_due();
        }
        self.close();
    }

    fn answer(&mut self, mut group: Vec<Job>) {
        match self.write(&group) {
            Ok(outcomes) => {
                for (job, outcome) in group.into_iter().zip(outcomes) {
                    let numbered = !job.batch.records.is_empty();
                    // A caller that went away does not need the answer.
                    let _ = job.reply.send(outcome.map(|(seq, _)| if numbered { seq } else { 0 }));
                }
            }
            // A large batch must not take its neighbours down: nothing was committed, so each may try alone.
            Err(Fault::Full(_)) if group.len() > 1 => {
                for job in group.drain(..) {
                    self.answer(vec![job]);
                }
            }
            Err(fault) => {
                for job in group {
                    let _ = job.reply.send(Err(fault.report()));
                }
            }
        }
    }

    /// Writes the group in one transaction. `Ok` means it is durable, but for the batches that were refused.
    fn write(&mut self, group: &[Job]) -> Result<Vec<StoreResult<(u64, Link)>>, Fault> {
        if let Some(words) = &self.broken {
            return Err(Fault::Broken(words.clone()));
        }
        match self.transact(group) {
            Ok((outcomes, head)) => {
                self.head = head;
                Ok(outcomes)
            }
            Err(cause) => {
                let fault = self.undo(Fault::of(&cause));
                if let Fault::Broken(words) = &fault {
                    self.break_off(words);
                }
                Err(fault)
            }
        }
    }

    fn transact(&self, group: &[Job]) -> rusqlite::Result<(Vec<Outcome>, (u64, Link))> {
        run(&self.connection, "BEGIN IMMEDIATE", [])?;
        let mut head = self.head;
        let mut outcomes = Vec::with_capacity(group.len());
        for job in group {
            let outcome = self.attempt(job, head)?;
            if let Ok(next) = outcome {
                head = next;
            }
            outcomes.push(outcome);
        }
        (self.commit)(&self.connection)?;
        Ok((outcomes, head))
    }

    /// Runs one batch inside the transaction: done, or undone and refused. An error of the connection itself concerns
    /// the whole transaction.
    fn attempt(&self, job: &Job, head: (u64, Link)) -> rusqlite::Result<Outcome> {
        run(&self.connection, "SAVEPOINT batch", [])?;
        let outcome = match self.apply(job, head) {
            Ok(outcome) => outcome,
            Err(cause) if is_about_the_batch(&cause) => Err(fault::failed("the batch cannot be stored", cause)),
            Err(cause) => return Err(cause),
        };
        if outcome.is_err() {
            run(&self.connection, "ROLLBACK TO batch", [])?;
        }
        run(&self.connection, "RELEASE batch", [])?;
        Ok(outcome)
    }

    fn apply(&self, job: &Job, head: (u64, Link)) -> rusqlite::Result<Outcome> {
        let batch = &job.batch;
        for (index, change) in batch.changes.iter().enumerate() {
            if self.change(change)? != 1 {
                return Ok(Err(StoreError::Stale { change: index }));
            }
        }
        let (mut seq, mut link) = head;
        for records in batch.records.chunks(LOG_ROWS) {
            let mut rows = Vec::with_capacity(records.len());
            for record in records {
                seq = seq.saturating_add(1);
                link = self.chain.link(&link, seq, record);
                rows.push((signed(seq)?, link, record.bytes().as_ref()));
            }
            self.append(&rows)?;
        }
        if job.cut > 0 {
            run(&self.connection, "DELETE FROM log WHERE seq <= ?1", [signed(job.cut)?])?;
        }
        Ok(Ok((seq, link)))
    }

    /// Appends to the log: a full chunk by one statement, which costs a fraction of a statement a row.
    fn append(&self, rows: &[(i64, Link, &[u8])]) -> rusqlite::Result<()> {
        if rows.len() == LOG_ROWS {
            let values = rows.iter().flat_map(|(seq, link, record)| -> [&dyn ToSql; 3] { [seq, link, record] });
            return run(&self.connection, &APPEND_CHUNK, params_from_iter(values)).map(drop);
        }
        for (seq, link, record) in rows {
            run(&self.connection, "INSERT INTO log (seq, link, record) VALUES (?1, ?2, ?3)", (seq, link, record))?;
        }
        Ok(())
    }

    /// Makes one change where its precondition holds, and says how many rows that were.
    fn change(&self, change: &Change) -> rusqlite::Result<usize> {
        let connection = &self.connection;
        match change {
            Change::Put { key, version: 1, value } => run(
                connection,
                "INSERT INTO kv (key, version, value) VALUES (?1, 1, ?2) ON CONFLICT DO NOTHING",
                (key.as_ref(), value.bytes().as_ref()),
            ),
            Change::Put { key, version, value } => run(
                connection,
                "UPDATE kv SET version = ?2, value = ?3 WHERE key = ?1 AND version = ?2 - 1",
                (key.as_ref(), signed(*version)?, value.bytes().as_ref()),
            ),
            Change::Reseal { key, version, value } => run(
                connection,
                "UPDATE kv SET value = ?3 WHERE key = ?1 AND version = ?2",
                (key.as_ref(), signed(*version)?, value.bytes().as_ref()),
            ),
            Change::Delete { key, version } => {
                run(connection, "DELETE FROM kv WHERE key = ?1 AND version = ?2", (key.as_ref(), signed(*version)?))
            }
        }
    }

    /// Undoes the open transaction, if SQLite has not done so itself. When that fails nothing is known any more.
    fn undo(&self, fault: Fault) -> Fault {
        if self.connection.is_autocommit() {
            return fault;
        }
        match run(&self.connection, "ROLLBACK", []) {
            Ok(_) => fault,
            Err(cause) => Fault::Broken(format!("a failed transaction could not be undone: {cause}")),
        }
    }

    fn break_off(&mut self, words: &str) {
        tracing::error!(cause = words, "metadata cannot be written any more; restart the server");
        self.broken = Some(words.to_owned());
    }

    fn checkpoint_when_due(&mut self) {
        if self.written < CHECKPOINT_AFTER || self.broken.is_some() {
            return;
        }
        self.written = 0;
        // What readers still need stays in the log until the next time, unless it grew beyond its bound.
        if self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)").is_some_and(|left| left > LOG_PAGES) {
            self.insist();
        }
    }

    /// Waits for readers, but not as long as one of them may take to look through everything.
    fn insist(&mut self) {
        if self.connection.busy_timeout(READER_PATIENCE).is_ok() {
            self.checkpoint("PRAGMA wal_checkpoint(RESTART)");
        }
        if let Err(cause) = self.connection.busy_timeout(format::PATIENCE) {
            tracing::warn!(%cause, "the writer of metadata is impatient from now on");
        }
    }

    /// Moves the write-ahead log into the database; the pages that had to stay.
    fn checkpoint(&mut self, sql: &str) -> Option<i64> {
        let moved = self.connection.prepare_cached(sql).and_then(|mut query| {
            query.query_row([], |row| Ok(row.get::<_, i64>(1)?.saturating_sub(row.get::<_, i64>(2)?)))
        });
        match moved.map_err(|cause| Fault::of(&cause)) {
            Ok(left) => Some(left),
            Err(Fault::Broken(words)) => {
                self.break_off(&words);
                None
            }
            Err(fault) => {
                tracing::warn!(?fault, "the write-ahead log of the metadata could not be moved into the database");
                None
            }
        }
    }

    fn close(mut self) {
        if self.broken.is_none() {
            self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)");
        }
        self.connection.flush_prepared_statement_cache();
        if let Err((_, cause)) = self.connection.close() {
            tracing::warn!(%cause, "the metadata's database did not close");
        }
    }
}

/// A fault that lies in what was asked, not in the medium.
fn is_about_the_batch(cause: &rusqlite::Error) -> bool {
    match cause.sqlite_error_code() {
        Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => true,
        Some(_) => false,
        None => matches!(cause, rusqlite::Error::ToSqlConversionFailure(_)),
    }
}

fn run(connection: &Connection, sql: &str, values: impl Params) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(values)
}

fn signed(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(|cause| rusqlite::Error::ToSqlConversionFailure(cause.into()))
}

/// About how many bytes a batch adds to the write-ahead log: its own, a page for each row it changes, and one for its records,
/// which lie side by side at the log's end.
fn weight(batch: &Batch) -> usize {
    let change = |change: &Change| match change {
        Change::Put { key, value, .. } | Change::Reseal { key, value, .. } => {
            key.len().saturating_add(value.bytes().len())
        }
        Change::Delete { key, .. } => key.len(),
    };
    let changes = batch.changes.iter().map(|it| change(it).saturating_add(PAGE));
    let records = batch.records.iter().map(|it| it.bytes().len().saturating_add(LOG_ROW));
    changes.chain(records).fold(PAGE, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: i32) -> Fault {
        Fault::of(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn a_failed_sync_breaks_the_store_and_a_full_disk_does_not() {
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_DIR_FSYNC, ffi::SQLITE_CORRUPT]
        {
            assert!(matches!(fault(code), Fault::Broken(_)), "{code}");
        }
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_SHMSIZE] {
            assert!(matches!(fault(code), Fault::Full(_)), "{code}");
        }
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_NOMEM, ffi::SQLITE_READONLY] {
            assert!(matches!(fault(code), Fault::Failed(_)), "{code}");
        }
    }
}
