//! Whether a run lives: what its token's worth hangs on.

use kernel::{Kind, Result, RunCaller, RunId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::gate::{House, Record};

/// The life of one run (or service replica); written in the same commit as its state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// When it ended; its token is worth nothing from then on.
    pub ended_at: Option<Timestamp>,
}

impl Record for Lease {
    const TABLE: &'static str = "run-lease";
}

/// Whether the run behind a token is still alive. A run of a workspace that is gone is not.
pub(crate) async fn is_alive(house: &House, run: &RunCaller) -> Result<bool> {
    lives(house, run.workspace, &run.run).await
}

/// Whether a run of this name is alive there.
pub(crate) async fn lives(house: &House, workspace: WorkspaceId, run: &RunId) -> Result<bool> {
    let shelf = match house.shelf(workspace).await {
        Ok(shelf) => shelf,
        Err(fault) if fault.kind() == Kind::NotFound => return Ok(false),
        Err(fault) => return Err(fault),
    };
    let lease = house.peek::<Lease>(&shelf, &shelf.name_id::<Lease>(run.as_str())).await?;
    Ok(lease.is_some_and(|lease| lease.value.ended_at.is_none()))
}

/// Whether a run has ended since its token was accepted: what a long upload must ask again.
pub(crate) async fn has_ended(house: &House, run: &RunCaller) -> Result<bool> {
    let shelf = house.shelf(run.workspace).await?;
    let lease = house.peek::<Lease>(&shelf, &shelf.name_id::<Lease>(run.run.as_str())).await?;
    Ok(lease.is_some_and(|lease| lease.value.ended_at.is_some()))
}
