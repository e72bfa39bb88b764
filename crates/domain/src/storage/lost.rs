//! Ciphertext that no row names: a server that stopped between a commit and the removal of what it replaced leaves some, and so does
//! whatever is deleted with its key. It is collected once a day, and only what nothing named a day before either: what was sealed
//! for a commit that is still under way is no day old (decision 0037).

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use kernel::{Action, BlobId, Caller, Class, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::gate::{Admission, Changes, Cx, House, Op, Record, Row, enter};

/// Between two looks, and so how long an object has been named by nothing before it goes.
const AGE: Duration = Duration::from_secs(24 * 3600);
/// Objects that are on trial at once: 16 bytes each, and some for the tree. All rows are read once for so many.
const AT_ONCE: usize = 1 << 18;
/// Ids that are listed at once.
const PAGE: usize = 10_000;
/// Rows of one commit.
const OF_COMMIT: usize = 1000;

/// An object that nothing named; its row's id is its own. On the system's shelf.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lost {
    /// When that was seen first.
    since: Timestamp,
}

impl Record for Lost {
    const TABLE: &'static str = "blob-lost";
}

/// When all was looked at last, with or without success.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Looked {
    at: Timestamp,
}

impl Record for Looked {
    const TABLE: &'static str = "blob-lost-look";
}

/// Looks at every stored object, once a day.
#[derive(Debug)]
pub struct CollectLost;

#[async_trait]
impl Op for CollectLost {
    const ACTION: Action = Action::new("Microsoft.Storage/storageAccounts/collect/action", Class::Open);
    /// How many were removed.
    type Output = usize;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<usize> {
        let _turn = cx.house().accounts.suspects.turn.lock().await;
        let (system, now) = (cx.system(), cx.now());
        let looked = cx.get::<Looked>(system, b"").await?;
        if looked.as_ref().is_some_and(|row| now < row.value.at.plus(AGE)) {
            return Ok(0);
        }
        let done = look(cx, now).await;
        match &done {
            Ok(count) => cx.note("removed", count.to_string()),
            Err(_) => cx.note("state", "failed"),
        }
        // Also of a look that failed: it reads every row there is, and while a customer's key is away the next one would fail too.
        let mut row = looked.unwrap_or_else(|| Row::new(b"".as_slice(), Looked { at: now }));
        row.value.at = now;
        let mut changes = Changes::new();
        changes.put(system, &row)?;
        cx.commit(changes).await?;
        done
    }
}

/// One look at all of them; how many were removed.
async fn look(cx: &Admission<'_>, now: Timestamp) -> Result<usize> {
    let (mut after, mut count) = (None, 0_usize);
    loop {
        let stored = stored_after(cx, after).await?;
        let Some(last) = stored.last().copied() else { return Ok(count) };
        let is_last = stored.len() < AT_ONCE;
        count = count.saturating_add(try_objects(cx, stored, (after, last), now).await?);
        after = Some(last);
        if is_last {
            return Ok(count);
        }
    }
}

async fn stored_after(cx: &Admission<'_>, mut after: Option<BlobId>) -> Result<BTreeSet<BlobId>> {
    let mut found = BTreeSet::new();
    while found.len() < AT_ONCE {
        let page = cx.stored_objects(after, PAGE.min(AT_ONCE.saturating_sub(found.len()))).await?;
        after = page.last().copied();
        if after.is_none() {
            break;
        }
        found.extend(page);
    }
    Ok(found)
}

/// Finds out which of these objects nothing names: notes those that it did not know, and removes those that nothing named a day ago.
/// `between` are the ids that they lie between, the first one left out.
async fn try_objects(
    cx: &Admission<'_>,
    stored: BTreeSet<BlobId>,
    between: (Option<BlobId>, BlobId),
    now: Timestamp,
) -> Result<usize> {
    let suspects = &cx.house().accounts.suspects;
    suspects.begin(stored);
    let done = judge(cx, between, now).await;
    suspects.end();
    done
}

async fn judge(cx: &Admission<'_>, between: (Option<BlobId>, BlobId), now: Timestamp) -> Result<usize> {
    let (system, suspects) = (cx.system(), &cx.house().accounts.suspects);
    cx.clear_suspects(suspects).await?;
    // What was noted, and is named again or gone, is nobody's business any more.
    let (first, last) = between;
    let mut known = BTreeSet::new();
    let mut due: Vec<Row<Lost>> = Vec::new();
    let mut after = first.map(|id| id.as_bytes().to_vec());
    loop {
        let rows = cx.page::<Lost>(system, b"", after.as_deref(), OF_COMMIT).await?;
        let is_over = rows.len() < OF_COMMIT || rows.last().and_then(id_of).is_none_or(|id| id > last);
        after = rows.last().map(|row| row.id.clone());
        let mut changes = Changes::new();
        for row in rows {
            let Some(id) = id_of(&row).filter(|id| *id <= last) else { continue };
            if !suspects.holds(id) {
                changes.delete(system, &row);
                continue;
            }
            known.insert(id);
            if row.value.since.plus(AGE) <= now {
                due.push(row);
            }
        }
        if !changes.is_empty() {
            cx.commit(changes).await?;
        }
        if is_over {
            break;
        }
    }
    let new: Vec<BlobId> = suspects.left().into_iter().filter(|id| !known.contains(id)).collect();
    for some in new.chunks(OF_COMMIT) {
        let mut changes = Changes::new();
        for id in some {
            changes.put(system, &Row::new(id.as_bytes().as_slice(), Lost { since: now }))?;
        }
        cx.commit(changes).await?;
    }
    remove(cx, &due).await
}

fn id_of(row: &Row<Lost>) -> Option<BlobId> {
    Uuid::from_slice(&row.id).ok().map(BlobId::from)
}

/// The object first: when the server stops in between, it is looked for once more and found gone.
async fn remove(cx: &Admission<'_>, due: &[Row<Lost>]) -> Result<usize> {
    let (system, suspects) = (cx.system(), &cx.house().accounts.suspects);
    let mut count = 0_usize;
    for some in due.chunks(OF_COMMIT) {
        let mut changes = Changes::new();
        for row in some {
            // Asked again, one by one: somebody may have named it a moment ago.
            if let Some(id) = id_of(row).filter(|id| suspects.holds(*id)) {
                cx.remove_object(id).await?;
                changes.delete(system, row);
                count = count.saturating_add(1);
            }
        }
        if !changes.is_empty() {
            cx.commit(changes).await?;
        }
    }
    Ok(count)
}

/// Collects what no row names, if a day has gone by since the last time. Says how many objects went.
///
/// # Errors
/// When something cannot be read; then nothing more is removed, and the next look, a day later, tries again.
pub async fn collect_lost(house: &House) -> Result<usize> {
    enter(house, &Caller::house(), CollectLost).await
}
