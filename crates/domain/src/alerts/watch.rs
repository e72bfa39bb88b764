//! The house watches: it evaluates each rule when it is due, and writes what changed. An alert, its state and the record that
//! tells of it are one commit, so each fires once and is resolved once, whatever ends the server in between. The record is what
//! deliveries send.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Kind, ResourceId, Result, Timestamp};
use tokio::{sync::watch, time::timeout};

use super::{
    Alert, MetricAlert, Moment, Watch,
    state::{Turn, first_id, fresh_id},
};
use crate::{
    gate::{Admission, Changes, Cx, House, Op, Row, enter},
    platform_metrics::{CountRecords, Dimensions, Metric, Question, READ_METRICS, answer},
    resources::{Resource, Workspace, find, row_id},
};

/// Between two looks at the clock.
const LOOK: Duration = Duration::from_secs(1);
const MINUTE: i64 = 60_000;
/// Alerts are kept this long, as Azure keeps them.
const KEPT: i64 = 30 * 24 * 60 * MINUTE;
/// Alerts removed in one commit.
const REMOVED: usize = 2000;
/// The notes of a record that tells of an alert.
pub(crate) const ALERT: &str = "alert";
pub(crate) const CONDITION: &str = "monitorCondition";

/// Evaluates rules until `stop` turns true.
pub(crate) async fn keep_watching(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    let mut looked = None;
    while timeout(LOOK, stop.wait_for(|stopped| *stopped)).await.is_err() {
        let minute = minute(house.now());
        if looked == Some(minute) {
            continue;
        }
        match watch_once(&house).await {
            Ok(()) => looked = Some(minute),
            Err(fault) => tracing::error!(?fault, "alert rules could not be looked after; it is tried again"),
        }
    }
}

fn minute(at: Timestamp) -> Timestamp {
    Timestamp(at.0.saturating_sub(at.0.rem_euclid(MINUTE)))
}

/// Evaluates the rules that are due now.
///
/// # Errors
/// When what is due cannot be found out; what fails for one rule is logged and left to the next look.
pub async fn watch_once(house: &Arc<House>) -> Result<()> {
    let due = enter(house, &Caller::house(), ListDueWatches).await?;
    if due.is_empty() {
        return Ok(());
    }
    // Once for all of them: they see what was done before this minute.
    enter(house, &Caller::house(), CountRecords).await?;
    for watch in due {
        let (rule, op) = (watch.value.rule.clone(), Evaluate { watch });
        match enter(house, &Caller::house(), op).await {
            Ok(()) => {}
            Err(fault) if fault.kind() == Kind::Stale => tracing::debug!(%rule, "somebody else was faster"),
            Err(fault) => tracing::warn!(%rule, ?fault, "an alert rule could not be evaluated"),
        }
    }
    enter(house, &Caller::house(), SweepAlerts).await
}

async fn rule_of(cx: &Admission<'_>, watch: &Watch) -> Result<Option<Row<Resource<MetricAlert>>>> {
    let system = cx.system();
    let row = cx.get::<Resource<MetricAlert>>(system, &row_id::<MetricAlert>(system, &watch.rule)).await?;
    let is_it = |row: &Row<Resource<MetricAlert>>| row.value.guid == watch.rule_guid;
    Ok(row.filter(is_it))
}

/// Lists what is due in this minute.
struct ListDueWatches;

#[async_trait]
impl Op for ListDueWatches {
    const ACTION: Action = Action::new("Microsoft.Insights/metricAlerts/evaluate/read", Class::Open);
    type Output = Vec<Row<Watch>>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let now = minute(cx.now());
        let mut due = Vec::new();
        for row in cx.all::<Watch>(cx.system(), b"").await? {
            let rule = rule_of(cx, &row.value).await?;
            let pause = rule.map_or(0, |rule| rule.value.properties.frequency.milliseconds());
            if row.value.evaluated_at.is_none_or(|at| minute(at).0.saturating_add(pause) <= now.0) {
                due.push(row);
            }
        }
        Ok(due)
    }
}

/// Evaluates a rule at one of its workspaces.
struct Evaluate {
    watch: Row<Watch>,
}

/// What an evaluation saw.
enum Sight {
    /// The value of each condition, and whether all hold.
    Values(Vec<f64>, bool),
    /// Nothing, for this reason.
    Nothing(String),
}

#[async_trait]
impl Op for Evaluate {
    const ACTION: Action = Action::new("Microsoft.Insights/metricAlerts/evaluate/action", Class::Open);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.watch.value.rule.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (system, now) = (cx.system(), cx.now());
        let mut row = self.watch;
        let rule = rule_of(cx, &row.value).await?.map(|row| row.value.properties);
        let rule = rule.filter(|rule| rule.scopes.iter().any(|watched| watched.id == row.value.scope));
        let until = minute(now);
        let window = rule.as_ref().map_or(0, |rule| rule.window.milliseconds());
        let from = Timestamp(until.0.saturating_sub(window));
        let sight = match &rule {
            Some(rule) => look(cx, rule, &row.value.scope, (from, until)).await?,
            None => Sight::Nothing(String::from("the rule is gone, or does not name the workspace any more")),
        };
        let (values, holds, reason) = match sight {
            Sight::Values(values, holds) => (values, Some(holds), None),
            Sight::Nothing(why) => (Vec::new(), None, Some(why)),
        };
        let resolves = rule.as_ref().is_none_or(|rule| rule.auto_mitigate);
        let turn = row.value.take(holds, resolves, now);
        row.value.evaluated_at = Some(now);
        row.value.fault.clone_from(&reason);
        let mut changes = Changes::new();
        let moment = Moment { at: now, from, until, values, reason };
        match (turn, &rule) {
            (Some(Turn::Fire), Some(rule)) => fire(cx, &mut changes, &mut row.value, rule, moment)?,
            (Some(Turn::Resolve), _) => resolve(cx, &mut changes, &mut row.value, moment).await?,
            _ => {}
        }
        if rule.is_some() {
            changes.put(system, &row)?;
        } else {
            changes.delete(system, &row);
        }
        if turn.is_some() { cx.commit(changes).await } else { cx.keep(changes).await }
    }
}

/// Looks at the workspace with the eyes of the rule's owner.
async fn look(
    cx: &Cx<'_, Evaluate>,
    rule: &MetricAlert,
    scope: &ResourceId,
    (from, until): (Timestamp, Timestamp),
) -> Result<Sight> {
    let nothing = |why: &str| Ok(Sight::Nothing(why.to_owned()));
    if !rule.is_enabled {
        return nothing("the rule is disabled");
    }
    let house = cx.house();
    if !house.identity.is_enabled(rule.owner) || !house.access().allows(rule.owner, &READ_METRICS, scope) {
        return nothing("whoever wrote the rule last may not read the metrics of the workspace any more");
    }
    let guid = rule.scopes.iter().find(|watched| watched.id == *scope).map(|watched| watched.guid);
    match find::<Workspace>(cx, scope).await {
        Ok((_, row)) if Some(row.value.guid) == guid => {}
        Ok(_) => return nothing("the workspace was deleted, and this is another one of its name"),
        Err(fault) if fault.kind() == Kind::NotFound => return nothing("the workspace was deleted"),
        Err(fault) => return Err(fault),
    }
    let mut asked: BTreeMap<(Metric, Dimensions), _> = BTreeMap::new();
    let (mut values, mut holds) = (Vec::new(), true);
    for condition in &rule.conditions.all_of {
        let key = (condition.metric, condition.dimensions.clone());
        if !asked.contains_key(&key) {
            let step = Duration::from_millis(u64::try_from(rule.window.milliseconds()).unwrap_or_default());
            let dimensions = condition.dimensions.clone();
            let question = Question { metrics: vec![condition.metric], from, until, step, dimensions };
            let found = answer(cx, scope, &question).await?;
            asked.insert(key.clone(), found.first().and_then(|series| series.points.first().copied()));
        }
        let point = asked.get(&key).copied().flatten();
        let value = point.map(|point| condition.aggregation.of(&point));
        // Where no such dimension is, nothing is measured and nothing holds.
        holds &= value.is_some_and(|value| condition.holds(value));
        values.push(value.unwrap_or_default());
    }
    Ok(Sight::Values(values, holds))
}

fn tell(cx: &Cx<'_, Evaluate>, alert: &Alert, condition: &str) {
    cx.note(ALERT, alert.id.to_string());
    cx.note(CONDITION, condition);
    cx.note("workspace", alert.scope.as_str());
    cx.note("severity", alert.severity.to_string());
}

fn fire(
    cx: &Cx<'_, Evaluate>,
    changes: &mut Changes,
    watch: &mut Watch,
    rule: &MetricAlert,
    fired: Moment,
) -> Result<()> {
    let alert = Alert {
        id: fresh_id(cx.now())?,
        rule: watch.rule.clone(),
        scope: watch.scope.clone(),
        severity: rule.severity,
        description: rule.description.clone(),
        conditions: rule.conditions.clone(),
        window: rule.window,
        groups: rule.groups.clone(),
        owner: rule.owner,
        fired,
        resolved: None,
    };
    watch.alert = Some(alert.id);
    watch.fired_at = Some(cx.now());
    tell(cx, &alert, "Fired");
    changes.put(cx.system(), &Row::new(alert.id.as_bytes().to_vec(), alert))?;
    Ok(())
}

async fn resolve(cx: &Cx<'_, Evaluate>, changes: &mut Changes, watch: &mut Watch, resolved: Moment) -> Result<()> {
    let Some(id) = watch.alert.take() else { return Ok(()) };
    watch.calm = 0;
    let Some(mut row) = cx.get::<Alert>(cx.system(), id.as_bytes()).await? else { return Ok(()) };
    row.value.resolved = Some(resolved);
    tell(cx, &row.value, "Resolved");
    changes.put(cx.system(), &row)?;
    Ok(())
}

/// Removes alerts that are older than they are kept. One that still stands is kept.
struct SweepAlerts;

#[async_trait]
impl Op for SweepAlerts {
    const ACTION: Action = Action::new("Microsoft.AlertsManagement/alerts/sweep/action", Class::Open);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let system = cx.system();
        let oldest = first_id(Timestamp(cx.now().0.saturating_sub(KEPT)));
        let mut old = cx.page::<Alert>(system, b"", None, REMOVED).await?;
        old.retain(|row| row.value.id < oldest);
        if old.is_empty() {
            return Ok(());
        }
        let standing: Vec<_> = cx.all::<Watch>(system, b"").await?.iter().filter_map(|row| row.value.alert).collect();
        let mut changes = Changes::new();
        for row in old.iter().filter(|row| !standing.contains(&row.value.id)) {
            changes.delete(system, row);
        }
        if changes.is_empty() { Ok(()) } else { cx.keep(changes).await }
    }
}
