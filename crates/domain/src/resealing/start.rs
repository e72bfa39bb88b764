//! Beginning it.

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result, WorkspaceId};
use serde_json::json;

use super::state::{Reseal, TableProgress};
use crate::{
    gate::{Changes, Cx, Guard, Guarded, House, Op, Row},
    operations,
    resources::workspace_shelf,
};

const ATTEMPTS: usize = 4;

/// Gives a workspace's data a new key, and begins to seal all of it anew under that.
#[derive(Debug)]
pub struct StartReseal {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for StartReseal {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/resealEncryption/action", Class::Control);
    const GUARDS: &'static [Guard] = &[Guard::KeyChange];
    type Output = Reseal;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        Ok(Guarded::at(Guard::KeyChange, &self.workspace, json!({"reseal": true})))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Reseal> {
        for _ in 0..ATTEMPTS {
            match self.once(cx).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(Error::new(Kind::Throttled, "the workspace changes too fast; try again"))
    }
}

impl StartReseal {
    async fn once(&self, cx: &Cx<'_, Self>) -> Result<Reseal> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let guid = workspace.value.guid;
        let before = cx.get::<Reseal>(cx.system(), guid.as_bytes()).await?;
        if before.as_ref().is_some_and(|row| row.value.is_under_way()) {
            let why = "its data is being sealed anew already; wait until the older key is destroyed";
            return Err(Error::new(Kind::Conflict, why).coded("ResealUnderWay"));
        }
        let next = cx.next_ring(WorkspaceId::from(guid)).await?;
        let table = |rows| TableProgress { rows, ..TableProgress::default() };
        let census = cx.census(guid).await?;
        let mut changes = Changes::new();
        let operation = operations::begin(cx, &shelf, &mut changes, &workspace.value.id).await?;
        let reseal = Reseal {
            workspace: workspace.value.id.clone(),
            guid,
            operation,
            from: next.from.clone(),
            to: next.to(),
            started_at: cx.now(),
            tables: census.into_iter().map(|(name, rows)| (name, table(rows))).collect(),
            after: None,
            sealed_at: None,
            retired_at: None,
            failure: None,
        };
        let mut row = before.unwrap_or_else(|| Row::new(guid.as_bytes().as_slice(), reseal.clone()));
        row.value = reseal;
        changes.put(cx.system(), &row)?;
        cx.note("keyVersion", next.to().to_string());
        cx.commit_rotation(next, changes).await?;
        Ok(row.value)
    }
}
