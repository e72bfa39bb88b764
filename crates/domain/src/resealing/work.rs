//! The server's own work: sealing anew a piece at a time, and destroying what is needed no more.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Kind, ResourceId, Result, WorkspaceId};
use uuid::Uuid;

use super::state::Reseal;
use crate::{
    gate::{Admission, Changes, Cx, House, Op, Record, Row, Shelf, enter},
    operations::{self, Failure, Operation},
};

/// Rows of one commit.
const ROWS: usize = 200;
/// Commits of one piece.
const PIECE: usize = 16;
/// How long the older versions stay after the last row was sealed anew: whoever read a row before has opened it by then.
const LINGER: Duration = Duration::from_secs(60);

/// What is to be done now. It changes nothing, and so leaves no record.
struct ListDueReseals;

#[async_trait]
impl Op for ListDueReseals {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/resealEncryption/read", Class::Open);
    type Output = Vec<Row<Reseal>>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let mut rows = cx.all::<Reseal>(cx.system(), b"").await?;
        let now = cx.now();
        rows.retain(|row| {
            row.value.is_under_way() && row.value.sealed_at.is_none_or(|sealed| sealed.plus(LINGER) <= now)
        });
        Ok(rows)
    }
}

/// Seals a piece anew. What is stored says the same as before, so it leaves no record; its beginning and its end do.
struct ResealPiece {
    row: Row<Reseal>,
}

#[async_trait]
impl Op for ResealPiece {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/resealEncryption/piece/action", Class::Open);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.row.value.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut row = self.row;
        let shelf = cx.shelf(WorkspaceId::from(row.value.guid)).await?;
        for _ in 0..PIECE {
            let unfinished = row.value.tables.iter().find(|(_, table)| !table.is_done);
            let Some(name) = unfinished.map(|(name, _)| name.clone()) else { return end(cx, &shelf, row).await };
            page(cx, &shelf, &name, &mut row).await?;
        }
        Ok(())
    }
}

async fn page(cx: &Admission<'_>, shelf: &Shelf, name: &str, row: &mut Row<Reseal>) -> Result<()> {
    let page = cx.reseal_page(shelf, name, (row.value.after.as_deref(), ROWS), row.value.to).await?;
    if let Some(table) = row.value.tables.get_mut(name) {
        table.seen = table.seen.saturating_add(page.seen);
        table.resealed = table.resealed.saturating_add(u64::try_from(page.rows.len()).unwrap_or(u64::MAX));
        table.rewrapped_blobs = table.rewrapped_blobs.saturating_add(page.blobs);
        table.unreadable = table.unreadable.saturating_add(page.unreadable);
        table.is_done = page.last.is_none();
    }
    row.value.after = page.last;
    let mut changes = Changes::new();
    changes.put(cx.system(), row)?;
    // The operation's own row is one of those of its table, and no row is written twice at once.
    if name != Operation::TABLE {
        operations::progress(cx, shelf, &mut changes, row.value.operation, row.value.percent()).await?;
    }
    cx.keep_resealed(page.rows, changes).await?;
    row.version = row.version.saturating_add(1);
    Ok(())
}

/// Says that all is sealed anew, or what was not.
async fn end(cx: &Admission<'_>, shelf: &Shelf, mut row: Row<Reseal>) -> Result<()> {
    let unreadable = row.value.tables.values().map(|table| table.unreadable).fold(0, u64::saturating_add);
    row.value.sealed_at = Some(cx.now());
    let failure = (unreadable > 0).then(|| Failure {
        code: String::from("RowsUnreadable"),
        message: format!(
            "{unreadable} rows cannot be opened, so the older key stays; restore them from a backup, and begin again"
        ),
    });
    row.value.failure = failure.as_ref().map(|failure| failure.message.clone());
    let mut changes = Changes::new();
    changes.put(cx.system(), &row)?;
    operations::end(cx, shelf, &mut changes, row.value.operation, failure).await?;
    cx.keep(changes).await
}

/// Destroys the versions that nothing needs any more.
struct RetireVersions {
    row: Row<Reseal>,
}

#[async_trait]
impl Op for RetireVersions {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/retireKeyVersions/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.row.value.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut row = self.row;
        let shelf = cx.shelf(WorkspaceId::from(row.value.guid)).await?;
        let older = cx.older_rows(&shelf, Some(row.value.to)).await?;
        let mut changes = Changes::new();
        if !older.is_empty() {
            // It cannot be; and if it is, nothing is destroyed.
            tracing::error!(workspace = %row.value.workspace, ?older, "rows name an older key; they are sealed anew once more");
            row.value.sealed_at = None;
            row.value.after = None;
            for name in older.keys() {
                row.value.tables.entry(name.clone()).or_default().is_done = false;
            }
            changes.put(cx.system(), &row)?;
            cx.note("olderRows", older.values().sum::<u64>().to_string());
            return cx.commit(changes).await;
        }
        cx.retire_versions(row.value.guid, row.value.to, &mut changes).await?;
        row.value.retired_at = Some(cx.now());
        changes.put(cx.system(), &row)?;
        let retired: Vec<String> = row.value.from.iter().map(u32::to_string).collect();
        cx.note("keyVersions", retired.join(" "));
        cx.note("sealedBy", row.value.to.to_string());
        cx.commit(changes).await
    }
}

/// Does a piece of each sealing anew that is under way. Whether there is more to do at once.
///
/// # Errors
/// When what is due cannot be found out; what fails for one workspace is logged and tried again.
pub async fn reseal_what_is_due(house: &House) -> Result<bool> {
    let mut is_more = false;
    for row in enter(house, &Caller::house(), ListDueReseals).await? {
        let (workspace, guid): (ResourceId, Uuid) = (row.value.workspace.clone(), row.value.guid);
        let done = match row.value.sealed_at {
            None => enter(house, &Caller::house(), ResealPiece { row }).await.map(|()| is_more = true),
            Some(_) => enter(house, &Caller::house(), RetireVersions { row }).await,
        };
        match done {
            Ok(()) => {}
            // It rests, or its customer's key is away: it goes on when it is back.
            Err(fault) if matches!(fault.kind(), Kind::NotFound | Kind::Denied | Kind::Stale) => {
                tracing::debug!(%workspace, %guid, ?fault, "it is sealed anew later");
            }
            Err(fault) => tracing::warn!(%workspace, %guid, ?fault, "data could not be sealed anew; it is tried again"),
        }
    }
    Ok(is_more)
}
