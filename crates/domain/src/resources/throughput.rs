//! The throughput of a workspace's metadata, in request units a second (requirements F-11, X-07). What a unit is, and that it is kept to,
//! is the gate's (`gate/capacity.rs`).

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};

use super::{ResourceType, Workspace, companions::workspaces, find, quota::request_units};
use crate::gate::{Changes, Cx, Op};

/// What a workspace has when nobody said (F-11).
pub const DEFAULT_THROUGHPUT: u32 = 8000;
/// The least that one can have.
pub const LEAST_THROUGHPUT: u32 = 400;
/// The most.
pub const MOST_THROUGHPUT: u32 = 1_000_000;
/// In steps of so many.
const STEP: u32 = 100;
const ATTEMPTS: usize = 4;
const FIELD: &str = "properties.resource.throughput";

/// As serde asks for it.
pub(super) const fn default_throughput() -> u32 {
    DEFAULT_THROUGHPUT
}

/// Says what a workspace has.
#[derive(Debug)]
pub struct GetThroughput {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for GetThroughput {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/throughputSettings/read", Class::Read);
    type Output = u32;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<u32> {
        Ok(find::<Workspace>(cx, &self.workspace).await?.1.value.properties.throughput)
    }
}

/// Gives a workspace another throughput, from the next request on.
#[derive(Debug)]
pub struct SetThroughput {
    /// The workspace.
    pub workspace: ResourceId,
    /// Request units a second.
    pub units: u32,
}

#[async_trait]
impl Op for SetThroughput {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/throughputSettings/write", Class::Control);
    type Output = u32;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<u32> {
        // Who works in a workspace may not change the workspace.
        cx.require(&Workspace::WRITE, &self.workspace).await?;
        let units = self.units;
        if units < LEAST_THROUGHPUT {
            let why = format_args!("must be {LEAST_THROUGHPUT} request units a second or more").to_string();
            return Err(Error::invalid(FIELD, why).coded("ThroughputBelowMinimum"));
        }
        if units > MOST_THROUGHPUT || !units.is_multiple_of(STEP) {
            let why = format_args!("must be a multiple of {STEP}, {MOST_THROUGHPUT} at most").to_string();
            return Err(Error::invalid(FIELD, why));
        }
        for _ in 0..ATTEMPTS {
            match self.once(cx).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done.map(|()| units),
            }
        }
        Err(Error::new(Kind::Throttled, "the workspace changes too fast; try again"))
    }
}

impl SetThroughput {
    async fn once(&self, cx: &Cx<'_, Self>) -> Result<()> {
        // Those of one subscription are counted together, so one is set after the other.
        let _turn = cx.house().assigning.lock().await;
        let (system, mut row) = find::<Workspace>(cx, &self.workspace).await?;
        let before = row.value.properties.throughput;
        if self.units > before {
            self.require_quota(cx, &row.value.location).await?;
        }
        cx.note("throughput", self.units.to_string());
        cx.note("throughputBefore", before.to_string());
        row.value.properties.throughput = self.units;
        row.value.system.touch(cx);
        let mut changes = Changes::new();
        changes.put(&system, &row)?;
        cx.commit(changes).await
    }

    /// Refuses what the subscription, or the workspace itself, may not have.
    async fn require_quota(&self, cx: &Cx<'_, Self>, location: &str) -> Result<()> {
        let Some(subscription) = self.workspace.subscription_id() else { return Ok(()) };
        let (own, whole) = request_units(cx, subscription, &self.workspace, location).await?;
        let is_beside = |id: &ResourceId, at: &str| {
            id.subscription_id() == Some(subscription) && *id != self.workspace && at.eq_ignore_ascii_case(location)
        };
        let others = workspaces(cx).await?;
        let others = others.iter().filter(|row| is_beside(&row.value.id, &row.value.location));
        let used: u64 = others.map(|row| u64::from(row.value.properties.throughput)).sum();
        let free = u64::from(whole).saturating_sub(used).min(own.map_or(u64::MAX, u64::from));
        if u64::from(self.units) <= free {
            return Ok(());
        }
        let why = format!(
            "the quota `requestUnits` leaves {free} request units a second for this workspace; have it raised with `updateQuotas`, or \
             lower another workspace"
        );
        Err(Error::new(Kind::Conflict, why).coded("QuotaExceeded"))
    }
}

/// Refuses another throughput than there is where Azure's protocol does not let it be changed (F-11). Saying it again is fine.
///
/// # Errors
/// `Invalid` (`ThroughputCannotBeChanged`), naming what does change it.
pub(super) fn require_same_throughput(asked: Option<u32>, present: u32) -> Result<()> {
    match asked {
        Some(asked) if asked != present => {
            let why = "cannot be changed with the workspace itself; `throughputSettings/default` does it";
            let field = "properties.serviceManagedResourcesSettings.cosmosDb.collectionsThroughput";
            Err(Error::invalid(field, why).coded("ThroughputCannotBeChanged"))
        }
        _ => Ok(()),
    }
}
