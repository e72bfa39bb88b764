//! How far a sink has got, durably: what was sent stays sent, what was not is sent again.

use std::time::Duration;

use kernel::{Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::gate::{Admission, Changes, Record, Row};

/// The longest pause after failures.
const LONGEST: Duration = Duration::from_secs(300);

/// Where one sink stands. The log is its queue.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// The record that comes next.
    pub next: u64,
    /// Failures since the last success.
    pub failures: u32,
    /// No attempt before.
    pub not_before: Timestamp,
    /// When something was delivered last.
    pub delivered_at: Option<Timestamp>,
    /// What went wrong last, without a secret.
    pub fault: Option<String>,
    /// When.
    pub failed_at: Option<Timestamp>,
    /// How many records retention removed before they could be delivered.
    #[serde(default)]
    pub lost: u64,
}

impl Record for Cursor {
    const TABLE: &'static str = "delivery-cursor";
}

impl Cursor {
    /// One that begins with a record.
    pub(super) fn from(next: u64) -> Self {
        Self { next, ..Self::default() }
    }

    /// Whether nothing is sent yet, since the last attempt failed.
    pub(super) fn rests(&self, now: Timestamp) -> bool {
        rests(self.not_before, now)
    }

    pub(super) fn succeed(&mut self, now: Timestamp) {
        self.failures = 0;
        self.not_before = Timestamp::default();
        self.delivered_at = Some(now);
    }

    /// Notes a failure and when to try again: twice the pause each time, and somewhere in its second half, so that many
    /// do not return at once.
    pub(super) fn fail(&mut self, now: Timestamp, why: String, dice: u16) {
        let pause = Duration::from_secs(1).saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        let part = pause.saturating_mul(u32::from(dice)) / (2 * u32::from(u16::MAX));
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.plus(pause / 2 + part);
        self.fault = Some(why);
        self.failed_at = Some(now);
    }
}

/// Whether `until` is still to come. No pause is longer than the longest: then the clock was set back, and it is over.
pub(super) fn rests(until: Timestamp, now: Timestamp) -> bool {
    now < until && until <= now.plus(LONGEST)
}

/// The row of a cursor: its owner's id, and the sink's name.
pub(super) fn cursor_id(owner: &[u8], sink: &str) -> Vec<u8> {
    [owner, sink.as_bytes()].concat()
}

pub(super) async fn cursor(cx: &Admission<'_>, owner: &[u8], sink: &str) -> Result<Option<Row<Cursor>>> {
    cx.get::<Cursor>(cx.system(), &cursor_id(owner, sink)).await
}

/// Lets an owner that has no cursor yet begin with what is recorded from now on, once `changes` are committed.
pub(crate) async fn begin_cursor(cx: &Admission<'_>, changes: &mut Changes, owner: &[u8], sink: &str) -> Result<()> {
    if cursor(cx, owner, sink).await?.is_none() {
        let first = cx.house().log_head().await?.0.saturating_add(1);
        changes.put(cx.system(), &Row::new(cursor_id(owner, sink), Cursor::from(first)))?;
    }
    Ok(())
}

/// Lets an owner go on with what is recorded from now on, once `changes` are committed: what came before is not sent any more.
pub(crate) async fn skip_to_now(cx: &Admission<'_>, changes: &mut Changes, owner: &[u8], sink: &str) -> Result<()> {
    match cursor(cx, owner, sink).await? {
        Some(mut row) => {
            row.value.next = cx.house().log_head().await?.0.saturating_add(1);
            row.value.failures = 0;
            row.value.not_before = Timestamp::default();
            changes.put(cx.system(), &row)?;
            Ok(())
        }
        None => begin_cursor(cx, changes, owner, sink).await,
    }
}

/// Removes an owner's cursor, once `changes` are committed.
pub(crate) async fn forget_cursor(cx: &Admission<'_>, changes: &mut Changes, owner: &[u8], sink: &str) -> Result<()> {
    if let Some(row) = cursor(cx, owner, sink).await? {
        changes.delete(cx.system(), &row);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_are_spread() {
        let mut cursor = Cursor::from(1);
        let now = Timestamp(0);
        let mut pauses = Vec::new();
        for dice in [0, u16::MAX].into_iter().cycle().take(40) {
            cursor.fail(now, String::new(), dice);
            pauses.push(cursor.not_before.0);
        }
        assert_eq!(pauses[..4], [500, 2000, 2000, 8000]);
        assert_eq!(pauses[38..], [150_000, 300_000]);
        cursor.succeed(now);
        assert_eq!((cursor.failures, cursor.not_before), (0, Timestamp(0)));
    }
}
