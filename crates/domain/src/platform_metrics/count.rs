//! Counting: the activity log is read once, in order, and what it tells is added up. The sums and the place in the log are kept
//! in one commit, so each record counts exactly once, whatever ends the server in between; and every number can be proved from
//! the log.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result, Timestamp};
use tokio::{sync::watch, time::timeout};

use super::{
    Dimensions, Metric,
    sheet::{Hour, Position, Standing, hour_id, hour_of, workspace_id},
};
use crate::gate::{Activity, Admission, Changes, Cx, Happening, House, Op, Outcome, Row, enter};

/// Between two looks at the log.
const LOOK: Duration = Duration::from_secs(1);
/// Records of one step, and steps at a time.
const STEP: usize = 2000;
const STEPS: usize = 50;
/// Records without anything to count after which the place is kept nevertheless.
const FAR: u64 = 20_000;
/// Hours are kept this long, as Azure keeps them.
const KEPT: Duration = Duration::from_secs(93 * 24 * 3600);
/// Between two looks for hours that are older.
const SWEEP: Duration = Duration::from_secs(3600);
/// Hours removed in one commit.
const REMOVED: usize = 500;

/// Counts until `stop` turns true.
pub(crate) async fn keep_counting(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    let mut swept = None;
    let mut pause = LOOK;
    while timeout(pause, stop.wait_for(|stopped| *stopped)).await.is_err() {
        pause = match enter(&house, &Caller::house(), CountRecords).await {
            Ok(true) => LOOK,
            Ok(false) => Duration::ZERO,
            Err(fault) => {
                tracing::error!(?fault, "the log could not be counted; it is tried again");
                LOOK
            }
        };
        let now = house.now();
        if swept.is_none_or(|swept| now.since(swept) >= SWEEP) {
            swept = Some(now);
            if let Err(fault) = enter(&house, &Caller::house(), SweepHours).await {
                tracing::error!(?fault, "old metrics could not be removed; it is tried again");
            }
        }
    }
}

/// Counts what the log holds that was not counted yet: some of it. Says whether that was all.
pub(crate) struct CountRecords;

#[async_trait]
impl Op for CountRecords {
    const ACTION: Action = Action::new("Microsoft.Insights/metrics/count/action", Class::Open);
    type Output = bool;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<bool> {
        catch_up(cx).await
    }
}

/// Counts to the log's end, so that whoever asks sees what was done before they asked.
///
/// # Errors
/// `Unavailable` while a long log is counted for the first time.
pub(super) async fn be_current(cx: &Admission<'_>) -> Result<()> {
    match catch_up(cx).await? {
        true => Ok(()),
        false => Err(Error::new(Kind::Unavailable, "the activity log is still being counted; try again in a while")),
    }
}

/// Counts at most so many steps; whether the log's end was reached. One counts, and others wait for it.
async fn catch_up(cx: &Admission<'_>) -> Result<bool> {
    let mut counted = cx.house().counted.lock().await;
    for _ in 0..STEPS {
        match step(cx, *counted).await {
            // Another server counted the same records, and was first.
            Err(fault) if fault.kind() == Kind::Stale => {}
            Ok(next) if next > *counted => *counted = next,
            Ok(_) => return Ok(true),
            Err(fault) => return Err(fault),
        }
    }
    Ok(false)
}

/// Counts the next records; the one after the last that was looked at.
async fn step(cx: &Admission<'_>, seen: u64) -> Result<u64> {
    let system = cx.system();
    let place = cx.get::<Position>(system, b"log").await?;
    let mut place = place.unwrap_or_else(|| Row::new(b"log".as_slice(), Position { next: 1 }));
    let mut next = place.value.next.max(seen);
    let mut tally = Tally { cx, standings: BTreeMap::new(), hours: BTreeMap::new() };
    let mut changes = Changes::new();
    for row in cx.house().log_page(next, STEP).await? {
        let activity = cx.house().open_record(&row)?;
        next = row.seq.saturating_add(1);
        if let Some(purged) = purged(&activity) {
            // What comes after it under that name is another workspace, and another step.
            tally.forget(&purged, &mut changes).await?;
            break;
        }
        tally.take(&activity).await?;
    }
    if tally.standings.is_empty() && changes.is_empty() && next.saturating_sub(place.value.next) < FAR {
        return Ok(next);
    }
    place.value.next = next;
    changes.put(system, &place)?;
    for row in tally.standings.values() {
        changes.put(system, row)?;
    }
    for row in tally.hours.values() {
        changes.put(system, row)?;
    }
    cx.keep(changes).await?;
    Ok(next)
}

/// The workspace that a record says is gone for good.
fn purged(activity: &Activity) -> Option<ResourceId> {
    let is_said = activity.outcome == Outcome::Succeeded && activity.detail.contains_key("purged");
    activity.scope.workspace().filter(|workspace| is_said && *workspace == activity.scope)
}

/// The rows that a step changes.
struct Tally<'a, 'c> {
    cx: &'a Admission<'c>,
    standings: BTreeMap<Vec<u8>, Row<Standing>>,
    hours: BTreeMap<Vec<u8>, Row<Hour>>,
}

impl Tally<'_, '_> {
    /// Removes what was counted of a workspace.
    async fn forget(&mut self, workspace: &ResourceId, changes: &mut Changes) -> Result<()> {
        let system = self.cx.system();
        let id = workspace_id(system, workspace);
        self.standings.remove(&id);
        self.hours.retain(|hour, _| !hour.starts_with(&id));
        if let Some(row) = self.cx.get::<Standing>(system, &id).await? {
            changes.delete(system, &row);
        }
        for row in self.cx.all::<Hour>(system, &id).await? {
            changes.delete(system, &row);
        }
        Ok(())
    }

    async fn take(&mut self, activity: &Activity) -> Result<()> {
        let (Some(effect), Some(workspace)) = (effect(activity), activity.scope.workspace()) else { return Ok(()) };
        let system = self.cx.system();
        let id = workspace_id(system, &workspace);
        let standing = match self.standings.entry(id.clone()) {
            Entry::Occupied(present) => present.into_mut(),
            Entry::Vacant(place) => {
                let row = self.cx.get::<Standing>(system, &id).await?;
                place.insert(row.unwrap_or_else(|| Row::new(id.clone(), Standing::new(workspace))))
            }
        };
        let hour = match self.hours.entry(hour_id(&id, activity.at)) {
            Entry::Occupied(present) => present.into_mut(),
            Entry::Vacant(place) => {
                let row = self.cx.get::<Hour>(system, place.key()).await?;
                let fresh = Row::new(place.key().clone(), Hour::default());
                place.insert(row.unwrap_or(fresh))
            }
        };
        match effect {
            Effect::Counts(metric, dimensions) => {
                standing.value.count(metric, &dimensions);
                hour.value.count(activity.at, metric, &dimensions);
            }
            Effect::Moves(happening, who) => {
                let before = standing.value.level();
                standing.value.follow(happening, who);
                hour.value.change(activity.at, before, standing.value.level());
            }
        }
        Ok(())
    }
}

/// What a record does to the metrics.
enum Effect {
    /// Something happened once more.
    Counts(Metric, Dimensions),
    /// An agent of this name came or went.
    Moves(Happening, String),
}

fn effect(activity: &Activity) -> Option<Effect> {
    let happening = Happening::of(&activity.detail)?;
    let metric = match (&activity.outcome, happening) {
        (Outcome::Succeeded, Happening::RunStarted) => Metric::StartedRuns,
        (Outcome::Succeeded, Happening::RunCompleted) => Metric::CompletedRuns,
        (Outcome::Succeeded, Happening::RunFailed) => Metric::FailedRuns,
        (Outcome::Succeeded, Happening::ModelRegistered) => Metric::ModelRegisterSucceeded,
        (Outcome::Failed(_), Happening::ModelRegistered) => Metric::ModelRegisterFailed,
        (Outcome::Succeeded, Happening::DeploymentStarted) => Metric::ModelDeployStarted,
        (Outcome::Succeeded, Happening::DeploymentSucceeded) => Metric::ModelDeploySucceeded,
        (Outcome::Succeeded, Happening::DeploymentFailed) | (Outcome::Failed(_), Happening::DeploymentStarted) => {
            Metric::ModelDeployFailed
        }
        (Outcome::Succeeded, Happening::NodeTaken | Happening::NodeRefused | Happening::NodeReleased) => {
            let who = activity.detail.get("run").cloned().unwrap_or_default();
            return Some(Effect::Moves(happening, who));
        }
        _ => return None,
    };
    let mut dimensions = Dimensions::new();
    if metric.category() == "Run" {
        let place = activity.detail.get("computeType").map_or("external", String::as_str);
        dimensions.insert(String::from("ComputeType"), place.to_owned());
        dimensions.insert(String::from("RunType"), String::from("Experiment"));
    }
    Some(Effect::Counts(metric, dimensions))
}

/// Removes hours that are older than they are kept.
struct SweepHours;

#[async_trait]
impl Op for SweepHours {
    const ACTION: Action = Action::new("Microsoft.Insights/metrics/sweep/action", Class::Open);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let system = cx.system();
        let oldest = Timestamp(cx.now().0.saturating_sub(i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX)));
        for standing in cx.all::<Standing>(system, b"").await? {
            loop {
                let mut page = cx.page::<Hour>(system, &standing.id, None, REMOVED).await?;
                page.retain(|row| hour_of(&row.id) < oldest);
                if page.is_empty() {
                    break;
                }
                let mut changes = Changes::new();
                for row in &page {
                    changes.delete(system, row);
                }
                cx.keep(changes).await?;
            }
        }
        Ok(())
    }
}
