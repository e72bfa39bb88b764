//! Whether the database is sound, and whether the end of the log hangs together.

use kernel::Chain;
use rusqlite::Connection;

use super::reader;

/// How many of the newest rows of the log are looked at. `verify-log` looks at all.
const TAIL: u32 = 256;

/// What is wrong, in one sentence; none when nothing is. Without a chain the links are not recomputed.
pub(super) fn faults(connection: &Connection, chain: Option<&dyn Chain>) -> rusqlite::Result<Option<String>> {
    // One transaction, so that rows that are committed meanwhile do not look like a gap.
    let snapshot = connection.unchecked_transaction()?;
    let verdict: String = snapshot.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Ok(Some(format!("the database is damaged ({verdict}); restore a backup")));
    }
    log_faults(&snapshot, chain)
}

fn log_faults(connection: &Connection, chain: Option<&dyn Chain>) -> rusqlite::Result<Option<String>> {
    let tail = reader::tail(connection, TAIL)?;
    let Some(oldest) = tail.first() else { return Ok(None) };
    // Where the log may begin is for those to say who can read what removed its front.
    // The oldest row of the tail is the anchor, unless the log starts with it.
    let anchor = if oldest.seq == 1 { (0, [0; 32]) } else { (oldest.seq, oldest.link) };
    let mut previous = anchor;
    for row in tail.iter().skip_while(|row| row.seq <= anchor.0) {
        let due = previous.0.saturating_add(1);
        if row.seq != due {
            return Ok(Some(format!("the activity log lacks record {due}; restore a backup")));
        }
        if chain.is_some_and(|chain| chain.link(&previous.1, row.seq, &row.record) != row.link) {
            return Ok(Some(format!("record {due} of the activity log was altered; restore a backup")));
        }
        previous = (row.seq, row.link);
    }
    Ok(None)
}
