//! Long-running operations: what a caller polls after a request that is answered before its effect is complete.
//!
//! The room that starts one puts it into the same commit as the change it tells about, and ends it in the same commit as
//! the end of that change, so a status never contradicts the resource.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    gate::{Admission, Changes, Cx, Op, Record, Row, Shelf},
    resources::workspace_shelf,
};

/// How long an ended operation can be asked about.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most operations of a workspace; the oldest ended ones make room.
const MOST: usize = 1000;

/// One operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Operation {
    /// Its id.
    pub id: Uuid,
    /// The resource it is about.
    pub target: ResourceId,
    /// When it began.
    pub started_at: Timestamp,
    /// How far it is, in percent.
    pub percent: u8,
    /// When and how it ended.
    pub end: Option<Ending>,
}

/// How an operation ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ending {
    /// When.
    pub at: Timestamp,
    /// Why it failed; none when it succeeded.
    pub failure: Option<Failure>,
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable code, such as `DeploymentFailed`.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Record for Operation {
    const TABLE: &'static str = "operation";
}

impl Operation {
    /// Azure's word for where it stands.
    pub fn status(&self) -> &'static str {
        match &self.end {
            None => "InProgress",
            Some(Ending { failure: None, .. }) => "Succeeded",
            Some(Ending { failure: Some(_), .. }) => "Failed",
        }
    }
}

/// Begins an operation with `changes`, and makes room for it. Returns its id.
pub(crate) async fn begin(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    target: &ResourceId,
) -> Result<Uuid> {
    let now = cx.now();
    let rows = cx.all::<Operation>(shelf, b"").await?;
    let mut surplus = rows.len().saturating_sub(MOST.saturating_sub(1));
    let mut ended: Vec<_> = rows.iter().filter_map(|row| row.value.end.as_ref().map(|end| (end.at, row))).collect();
    ended.sort_by_key(|(at, _)| *at);
    // A bounded number at once keeps the commit small.
    for (at, row) in ended.into_iter().take(100) {
        if surplus == 0 && now.since(at) < KEPT {
            break;
        }
        surplus = surplus.saturating_sub(1);
        changes.delete(shelf, row);
    }
    let id = Uuid::new_v4();
    let operation = Operation { id, target: target.clone(), started_at: now, percent: 0, end: None };
    changes.put(shelf, &Row::new(id.as_bytes().as_slice(), operation))?;
    Ok(id)
}

/// Says with `changes` how far an operation is, where that is news. One that is gone or has ended stays as it is.
pub(crate) async fn progress(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    id: Uuid,
    percent: u8,
) -> Result<()> {
    let found = cx.get::<Operation>(shelf, id.as_bytes()).await?;
    let Some(mut row) = found.filter(|row| row.value.end.is_none() && row.value.percent < percent) else {
        return Ok(());
    };
    row.value.percent = percent;
    changes.put(shelf, &row).map(drop)
}

/// Ends an operation with `changes`. One that is gone or has ended stays as it is.
pub(crate) async fn end(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    id: Uuid,
    failure: Option<Failure>,
) -> Result<()> {
    let Some(mut row) = cx.get::<Operation>(shelf, id.as_bytes()).await? else { return Ok(()) };
    if row.value.end.is_some() {
        return Ok(());
    }
    row.value.percent = 100;
    row.value.end = Some(Ending { at: cx.now(), failure });
    changes.put(shelf, &row)?;
    Ok(())
}

/// Where an operation stands. Whoever may read the workspace may ask.
#[derive(Debug)]
pub struct GetOperation {
    /// The workspace it belongs to.
    pub workspace: ResourceId,
    /// Its id.
    pub id: Uuid,
}

#[async_trait]
impl Op for GetOperation {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/read", Class::Read);
    type Output = Operation;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Operation> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let row = cx.get::<Operation>(&shelf, self.id.as_bytes()).await?;
        row.map(|row| row.value).ok_or_else(|| Error::not_found(format_args!("the operation `{}`", self.id)))
    }
}
