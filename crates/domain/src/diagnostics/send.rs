//! Sending: what was held back long enough, one entry at a time, as the outbox shows it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kernel::{Action, Caller, Class, Kind, ResourceId, Result, WebMethod, WebRequest};

use super::{collection::said, outbox::Entry};
use crate::{
    delivery::open_part,
    gate::{Changes, Cx, House, Op, Row, enter},
    resources::{Workspace, find},
};

/// Entries that are sent in one go.
const AT_ONCE: usize = 20;
/// Most bytes of a receiver's answer; nobody reads it.
const MOST_OF_ANSWER: usize = 64 << 10;
const HOUR: Duration = Duration::from_secs(3600);

/// The entries that are to be sent now. It changes nothing, and so leaves no record.
#[derive(Debug)]
struct ListDueEntries;

#[async_trait]
impl Op for ListDueEntries {
    const ACTION: Action = Action::new("Microsoft.Insights/diagnosticsOutbox/send/read", Class::Open);
    type Output = Vec<SendEntry>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let collection = said(cx).await?;
        let Some(destination) = collection.destination.filter(|_| collection.is_on) else { return Ok(Vec::new()) };
        let hold = HOUR.saturating_mul(collection.hold_hours);
        let mut rows = cx.all::<Entry>(cx.system(), b"").await?;
        rows.retain(|row| row.value.sent_at.is_none() && cx.now().since(row.value.at) >= hold);
        take_turns(&mut rows);
        Ok(rows.into_iter().map(|row| SendEntry { row, destination: destination.clone() }).collect())
    }
}

/// Leaves those whose turn it is: what was never tried comes first, then what was not for longest, so that nothing which is refused keeps
/// anything else from its turn.
fn take_turns(rows: &mut Vec<Row<Entry>>) {
    rows.sort_by_key(|row| (row.value.tried_at, row.value.at));
    rows.truncate(AT_ONCE);
}

/// Sends one entry. One of a workspace that was opted out, raised or deleted since is removed in place of that.
#[derive(Debug)]
struct SendEntry {
    row: Row<Entry>,
    destination: String,
}

#[async_trait]
impl Op for SendEntry {
    const ACTION: Action = Action::new("Microsoft.Insights/diagnosticsOutbox/send/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut row = self.row;
        let mut changes = Changes::new();
        cx.note("entry", row.value.id.to_string());
        if !is_still_told(cx, &row.value).await? {
            cx.note("state", "removed");
            changes.delete(cx.system(), &row);
            return cx.commit(changes).await;
        }
        cx.note("destination", open_part(&self.destination));
        row.value.tried_at = Some(cx.now());
        row.value.fault = self::post(cx, &self.destination, &row.value).await;
        if row.value.fault.is_none() {
            row.value.sent_at = Some(cx.now());
        }
        cx.note("state", if row.value.fault.is_none() { "sent" } else { "held" });
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await
    }
}

/// Whether the workspace still lets it be told.
async fn is_still_told(cx: &Cx<'_, SendEntry>, entry: &Entry) -> Result<bool> {
    match find::<Workspace>(cx, &entry.workspace).await {
        Ok((_, row)) => Ok(row.value.guid == entry.guid && row.value.properties.may_send_diagnostics()),
        Err(fault) if fault.kind() == Kind::NotFound => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Why it was not taken, if it was not.
async fn post(cx: &Cx<'_, SendEntry>, url: &str, entry: &Entry) -> Option<String> {
    let headers = [("content-type", "application/json")];
    let body = Bytes::from(entry.body.clone());
    let request = WebRequest { method: WebMethod::Post, url, headers: &headers, body, most: MOST_OF_ANSWER };
    match cx.web().send(request).await {
        Ok(reply) if (200..300).contains(&reply.status) => None,
        Ok(reply) => Some(format!("the receiver answered {}", reply.status)),
        Err(fault) => Some(fault.to_string()),
    }
}

/// Sends the entries whose time has come. What is not taken stays, with the reason, and is tried again at the next look.
///
/// # Errors
/// When what is due cannot be found out, or what became of an entry cannot be written down.
pub async fn send_what_is_due(house: &House) -> Result<()> {
    for op in enter(house, &Caller::house(), ListDueEntries).await? {
        enter(house, &Caller::house(), op).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kernel::Timestamp;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn whatever_is_refused_nothing_waits_for_longer_than_a_round() {
        let entry = |number: i64| Entry {
            id: Uuid::new_v4(),
            at: Timestamp(number),
            workspace: ResourceId::root(),
            guid: Uuid::nil(),
            body: String::new(),
            sent_at: None,
            fault: None,
            tried_at: None,
        };
        let mut all: Vec<Row<Entry>> = (0..50).map(|number| Row::new(vec![], entry(number))).collect();
        let mut seen = BTreeSet::new();
        for round in 0..3 {
            let mut turn = all.clone();
            take_turns(&mut turn);
            assert_eq!(turn.len(), AT_ONCE);
            for tried in turn {
                seen.insert(tried.value.id);
                let kept = all.iter_mut().find(|row| row.value.id == tried.value.id).unwrap();
                (kept.value.tried_at, kept.value.fault) =
                    (Some(Timestamp(1000 + round)), Some(String::from("refused")));
            }
        }
        assert_eq!(seen.len(), all.len());
    }
}
