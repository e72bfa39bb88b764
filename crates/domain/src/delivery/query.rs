//! Reading the log tables of a workspace.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result, Timestamp, WorkspaceId};
use serde_json::Value;

use super::Table;
use crate::{
    audit::{Span, scan},
    gate::{Cx, Op},
    resources::{Resource, ResourceGroup, Subscription, Workspace, collection, find},
};

/// Pages of the log that are looked at for one query at most: 200,000 records.
const PAGES: u32 = 10;
/// Rows that one query may take from a table.
const MOST_ROWS: usize = 10_000;

/// Whether a row is wanted.
pub type Wanted = Box<dyn Fn(&[Value]) -> bool + Send + Sync>;

/// Takes rows from a table, newest first.
pub struct QueryTable {
    /// The workspace.
    pub scope: ResourceId,
    /// The table.
    pub table: &'static Table,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// Which rows.
    pub wanted: Wanted,
}

/// Rows, and whether they are all.
#[derive(Debug)]
pub struct Rows {
    /// By the columns of the table.
    pub rows: Vec<Vec<Value>>,
    /// Whether a bound was met before the log's beginning was.
    pub is_partial: bool,
}

#[async_trait]
impl Op for QueryTable {
    const ACTION: Action = Action::new("Microsoft.Insights/logs/read", Class::Read);
    type Output = Rows;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Rows> {
        find::<Workspace>(cx, &self.scope).await?;
        cx.note("table", self.table.name);
        let tenant = cx.house().tenant();
        let mut span = Span { from: self.from, until: self.until, before: None };
        let mut rows = Vec::new();
        for _ in 0..PAGES {
            let row_of = |activity: &crate::gate::Activity| {
                let is_here = activity.scope.is_within(&self.scope)
                    && self.from.is_none_or(|from| activity.at >= from)
                    && self.until.is_none_or(|until| activity.at <= until);
                is_here.then(|| self.table.row(activity, tenant)).flatten().filter(|row| (self.wanted)(row))
            };
            let most = MOST_ROWS.saturating_sub(rows.len());
            let page = scan(cx, span, most, |activity| row_of(activity).is_some()).await?;
            rows.extend(page.found.iter().filter_map(|listed| row_of(&listed.activity)));
            span.before = page.before;
            if page.before.is_none() || rows.len() >= MOST_ROWS {
                break;
            }
        }
        Ok(Rows { rows, is_partial: span.before.is_some() })
    }
}

/// Finds a workspace by its GUID. For the server itself: what is found is then asked for as the caller.
#[derive(Debug)]
pub struct FindWorkspace {
    /// Its GUID.
    pub workspace: WorkspaceId,
}

#[async_trait]
impl Op for FindWorkspace {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/find/read", Class::Open);
    type Output = Option<ResourceId>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let system = cx.system();
        for subscription in cx.all::<Subscription>(system, b"").await? {
            let scope = ResourceId::subscription(subscription.value.id);
            let groups = collection::<ResourceGroup>(system, &scope);
            for group in cx.all::<Resource<ResourceGroup>>(system, &groups).await? {
                let found =
                    cx.all::<Resource<Workspace>>(system, &collection::<Workspace>(system, &group.value.id)).await?;
                if let Some(row) = found.into_iter().find(|row| WorkspaceId::from(row.value.guid) == self.workspace) {
                    return Ok(Some(row.value.id));
                }
            }
        }
        Ok(None)
    }
}
