//! The outbox: what was collected, byte for byte as it would leave.

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::gate::{Admission, Changes, Cx, Op, Record, Row};

/// An entry of the outbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its id.
    pub id: Uuid,
    /// When it was collected.
    pub at: Timestamp,
    /// The workspace it is about. It is not part of what is sent.
    pub workspace: ResourceId,
    /// That workspace's GUID. It is not part of what is sent.
    pub guid: Uuid,
    /// What is sent: these bytes and no others.
    pub body: String,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
    /// Why it could not be sent at the last attempt.
    pub fault: Option<String>,
    /// When it was tried last.
    #[serde(default)]
    pub tried_at: Option<Timestamp>,
}

impl Record for Entry {
    const TABLE: &'static str = "diagnostics-outbox";
}

/// How many entries are about a workspace.
pub(crate) async fn count_of(cx: &Admission<'_>, guid: Uuid) -> Result<usize> {
    let rows = cx.all::<Entry>(cx.system(), b"").await?;
    Ok(rows.iter().filter(|row| row.value.guid == guid).count())
}

/// Removes what was collected of a workspace, once `changes` are committed.
pub(crate) async fn forget_of(cx: &Admission<'_>, guid: Uuid, changes: &mut Changes) -> Result<()> {
    let system = cx.system();
    for row in cx.all::<Entry>(system, b"").await?.iter().filter(|row| row.value.guid == guid) {
        changes.delete(system, row);
    }
    Ok(())
}

/// Lists the outbox, oldest first.
#[derive(Debug)]
pub struct ListOutbox;

#[async_trait]
impl Op for ListOutbox {
    const ACTION: Action = Action::new("Microsoft.Insights/diagnosticsOutbox/read", Class::Read);
    type Output = Vec<Entry>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<Entry>> {
        let rows = cx.all::<Entry>(cx.system(), b"").await?;
        let mut entries: Vec<Entry> = rows.into_iter().map(|row| row.value).collect();
        entries.sort_by_key(|entry| (entry.at, entry.id));
        Ok(entries)
    }
}

/// Reads one entry.
#[derive(Debug)]
pub struct GetOutboxEntry {
    /// Its id.
    pub id: Uuid,
}

#[async_trait]
impl Op for GetOutboxEntry {
    const ACTION: Action = ListOutbox::ACTION;
    type Output = Entry;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Entry> {
        let row = cx.get::<Entry>(cx.system(), self.id.as_bytes()).await?;
        row.map(|row| row.value).ok_or_else(|| Error::not_found(format_args!("the entry `{}` of the outbox", self.id)))
    }
}

/// Empties the outbox: what was not sent never is. Says how many entries went.
#[derive(Debug)]
pub struct PurgeOutbox;

#[async_trait]
impl Op for PurgeOutbox {
    const ACTION: Action = Action::new("Microsoft.Authorization/diagnosticsOutbox/write", Class::Control);
    type Output = usize;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<usize> {
        let rows: Vec<Row<Entry>> = cx.all::<Entry>(cx.system(), b"").await?;
        let mut changes = Changes::new();
        for row in &rows {
            changes.delete(cx.system(), row);
        }
        cx.note("entries", rows.len().to_string());
        cx.commit(changes).await?;
        Ok(rows.len())
    }
}
