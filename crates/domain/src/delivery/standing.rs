//! How the diagnostic settings of a scope stand, for reports on it.

use kernel::{ResourceId, Result};

use super::{Setting, Sink, cursor::cursor, setting::scope_id};
use crate::gate::Admission;

/// What becomes of a scope's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogStanding {
    /// A setting sends some of them somewhere.
    pub is_sent: bool,
    /// What is changed here is sent to another system than this server.
    pub leaves: bool,
    /// Sinks whose last attempt failed.
    pub failing: usize,
}

/// Reads how they stand.
pub(crate) async fn log_standing(cx: &Admission<'_>, scope: &ResourceId) -> Result<LogStanding> {
    let mut standing = LogStanding::default();
    for row in cx.all::<Setting>(cx.system(), &scope_id(cx.system(), scope)).await? {
        let wanted = row.value.wanted();
        let is_audit = wanted.iter().any(|category| category.groups.contains(&"audit"));
        for sink in row.value.sinks.iter().filter(|_| !wanted.is_empty()) {
            let cursor = cursor(cx, &row.id, sink.word()).await?;
            standing.is_sent = true;
            standing.leaves |= is_audit && !matches!(sink, Sink::Archive { .. });
            standing.failing += usize::from(cursor.is_some_and(|row| row.value.failures > 0));
        }
    }
    Ok(standing)
}
