//! Quotas of cores, by family: how many a subscription, and each of its workspaces, may use at once at a place (requirement
//! The server's own target is the family `local`, on which each running job counts as one core.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, SubscriptionId};
use serde::{Deserialize, Serialize};

use super::{Edition, Resource, Workspace, companions::workspaces, find, throughput::MOST_THROUGHPUT};
use crate::{
    compute::{JOBS_AT_ONCE, running_jobs},
    gate::{Admission, Changes, Cx, Op, Record, Row, Shelf},
};

/// The family of the server's own target.
const LOCAL: &str = "local";
/// Request units a second of workspaces' metadata, as if they were cores.
const REQUEST_UNITS: &str = "requestUnits";
/// Entries of one update.
const MOST: usize = 200;
const ATTEMPTS: usize = 8;

/// How many cores of a family a scope may use at once. On the system's shelf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// The subscription or the workspace.
    pub scope: ResourceId,
    /// Where, in lower case.
    pub location: String,
    /// Which family of machines.
    pub family: String,
    /// Cores.
    pub limit: u32,
}

impl Record for Quota {
    const TABLE: &'static str = "quota";
}

/// Scope, location and family, in lower case.
type Key = (String, String, String);

fn key(scope: &ResourceId, location: &str, family: &str) -> Key {
    (scope.folded().to_owned(), location.to_ascii_lowercase(), family.to_ascii_lowercase())
}

fn of_subscription(system: &Shelf, subscription: SubscriptionId) -> Vec<u8> {
    system.name_id::<Quota>(&subscription.to_string())
}

/// What a subscription may use when nobody said: all of the server's own target, as many request units as one workspace can have, and
/// nothing else.
fn default_limit(family: &str) -> u32 {
    match family {
        _ if family.eq_ignore_ascii_case(LOCAL) => u32::try_from(JOBS_AT_ONCE).unwrap_or(u32::MAX),
        _ if family.eq_ignore_ascii_case(REQUEST_UNITS) => MOST_THROUGHPUT,
        _ => 0,
    }
}

/// One entry of an update.
#[derive(Clone, Debug)]
pub struct QuotaWanted {
    /// The subscription or the workspace.
    pub scope: ResourceId,
    /// Which family.
    pub family: String,
    /// Cores.
    pub limit: u32,
}

/// What became of an entry; the words are Azure's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaOutcome {
    /// It is in force.
    Success,
    /// A workspace cannot have more than its subscription.
    InvalidQuotaExceedsSubscriptionLimit,
    /// No family can have this name.
    InvalidVMFamilyName,
    /// Basic workspaces have no quotas of their own.
    OperationNotSupportedForSku,
}

/// Sets quotas: those that can be are in force together.
#[derive(Debug)]
pub struct UpdateQuotas {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Where.
    pub location: String,
    /// Which.
    pub wanted: Vec<QuotaWanted>,
}

#[async_trait]
impl Op for UpdateQuotas {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/locations/updateQuotas/action", Class::Control);
    type Output = Vec<(QuotaWanted, QuotaOutcome)>;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if self.wanted.len() > MOST {
            return Err(Error::invalid("value", format_args!("at most {MOST} at once")));
        }
        for _ in 0..ATTEMPTS {
            match self.once(cx).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(Error::new(Kind::Throttled, "the quotas change too fast; try again"))
    }
}

impl UpdateQuotas {
    async fn once(&self, cx: &Cx<'_, Self>) -> Result<<Self as Op>::Output> {
        let system = cx.system();
        let rows = cx.all::<Quota>(system, &of_subscription(system, self.subscription)).await?;
        let mut known: BTreeMap<Key, Row<Quota>> = BTreeMap::new();
        for row in rows {
            known.insert(key(&row.value.scope, &row.value.location, &row.value.family), row);
        }
        let mut touched = BTreeSet::new();
        let mut outcomes = Vec::new();
        for wanted in &self.wanted {
            let outcome = self.judge(cx, wanted, &known).await?;
            if outcome == QuotaOutcome::Success {
                self.set(system, wanted, &mut known);
                touched.insert(key(&wanted.scope, &self.location, &wanted.family));
                // Written unchanged when it is the subscription's: of two changes that were decided on one picture, the second
                // is refused as stale.
                touched.insert(key(&self.scope(), &self.location, &wanted.family));
            }
            outcomes.push((wanted.clone(), outcome));
        }
        let mut changes = Changes::new();
        for row in touched.iter().filter_map(|key| known.get(key)) {
            changes.put(system, row)?;
        }
        if !changes.is_empty() {
            cx.note("quotas", self.wanted.len().to_string());
            cx.commit(changes).await?;
        }
        Ok(outcomes)
    }

    fn set(&self, system: &Shelf, wanted: &QuotaWanted, known: &mut BTreeMap<Key, Row<Quota>>) {
        let QuotaWanted { scope, family, limit } = wanted.clone();
        let key = key(&scope, &self.location, &family);
        let mut id = of_subscription(system, self.subscription);
        id.extend(system.name_id::<Quota>(&format!("{}|{}|{}", key.0, key.1, key.2)));
        let location = key.1.clone();
        let fresh = Row::new(id, Quota { scope, location, family, limit });
        known.entry(key).or_insert(fresh).value.limit = limit;
    }

    async fn judge(
        &self,
        cx: &Cx<'_, Self>,
        wanted: &QuotaWanted,
        known: &BTreeMap<Key, Row<Quota>>,
    ) -> Result<QuotaOutcome> {
        let family = &wanted.family;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if !(1..=80).contains(&family.len()) || !family.chars().all(is_name) {
            return Ok(QuotaOutcome::InvalidVMFamilyName);
        }
        let subscription = self.scope();
        if wanted.scope == subscription {
            let exceeds = |row: &Row<Quota>| {
                let quota = &row.value;
                let is_same =
                    quota.location.eq_ignore_ascii_case(&self.location) && quota.family.eq_ignore_ascii_case(family);
                is_same && quota.scope != subscription && quota.limit > wanted.limit
            };
            return Ok(match known.values().any(exceeds) {
                true => QuotaOutcome::InvalidQuotaExceedsSubscriptionLimit,
                false => QuotaOutcome::Success,
            });
        }
        let workspace = self.workspace(cx, &wanted.scope).await?;
        let whole = known.get(&key(&subscription, &self.location, family));
        let most = whole.map_or_else(|| default_limit(family), |row| row.value.limit);
        Ok(match workspace.properties.edition {
            Edition::Basic => QuotaOutcome::OperationNotSupportedForSku,
            Edition::Enterprise if wanted.limit > most => QuotaOutcome::InvalidQuotaExceedsSubscriptionLimit,
            Edition::Enterprise => QuotaOutcome::Success,
        })
    }

    /// The workspace of this subscription and place that an entry names.
    async fn workspace(&self, cx: &Cx<'_, Self>, id: &ResourceId) -> Result<Resource<Workspace>> {
        let missing = || {
            let why =
                format_args!("there is no workspace `{id}` of this subscription in `{}`", self.location).to_string();
            Error::invalid("value.id", why)
        };
        if !id.is_within(&self.scope()) || id.workspace().as_ref() != Some(id) {
            return Err(missing());
        }
        let found = match find::<Workspace>(cx, id).await {
            Err(fault) if fault.kind() == Kind::NotFound => return Err(missing()),
            found => found?.1.value,
        };
        if found.location.eq_ignore_ascii_case(&self.location) { Ok(found) } else { Err(missing()) }
    }
}

/// Lists the quotas of a subscription and its workspaces at a place.
#[derive(Debug)]
pub struct ListQuotas {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Where.
    pub location: String,
}

#[async_trait]
impl Op for ListQuotas {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/locations/quotas/read", Class::Read);
    type Output = Vec<Quota>;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<Quota>> {
        quotas_at(cx, self.subscription, &self.location).await
    }
}

async fn quotas_at(cx: &Admission<'_>, subscription: SubscriptionId, location: &str) -> Result<Vec<Quota>> {
    let system = cx.system();
    let rows = cx.all::<Quota>(system, &of_subscription(system, subscription)).await?;
    let mut found: Vec<Quota> = rows.into_iter().map(|row| row.value).collect();
    found.retain(|quota| quota.location.eq_ignore_ascii_case(location));
    let whole = ResourceId::subscription(subscription);
    if !found.iter().any(|quota| quota.scope == whole && quota.family.eq_ignore_ascii_case(LOCAL)) {
        let (location, family) = (location.to_ascii_lowercase(), LOCAL.to_owned());
        found.push(Quota { scope: whole, location, family, limit: default_limit(LOCAL) });
    }
    found.sort_by(|a, b| (&a.scope, &a.family).cmp(&(&b.scope, &b.family)));
    Ok(found)
}

/// Lists what is used of each quota at a place.
#[derive(Debug)]
pub struct ListUsages {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Where.
    pub location: String,
}

#[async_trait]
impl Op for ListUsages {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/locations/usages/read", Class::Read);
    /// Each quota, with the cores in use.
    type Output = Vec<(Quota, usize)>;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        // The family `local` is one machine, whatever location a workspace says it is in.
        let jobs = running_jobs(cx).await?;
        let all = workspaces(cx).await?;
        let units = |quota: &Quota| {
            let counts = |one: &&Row<Resource<Workspace>>| {
                one.value.id.is_within(&quota.scope) && one.value.location.eq_ignore_ascii_case(&quota.location)
            };
            let each = all.iter().filter(counts).map(|one| usize::try_from(one.value.properties.throughput));
            each.map(|units| units.unwrap_or(usize::MAX)).fold(0, usize::saturating_add)
        };
        let used = |quota: &Quota| match &quota.family {
            family if family.eq_ignore_ascii_case(LOCAL) => {
                jobs.iter().filter(|workspace| workspace.is_within(&quota.scope)).count()
            }
            family if family.eq_ignore_ascii_case(REQUEST_UNITS) => units(quota),
            _ => 0,
        };
        let quotas = quotas_at(cx, self.subscription, &self.location).await?;
        Ok(quotas.into_iter().map(|quota| (quota.clone(), used(&quota))).collect())
    }
}

/// How many request units a second a workspace itself, if that is said, and all of its subscription at that place may have.
pub(super) async fn request_units(
    cx: &Admission<'_>,
    subscription: SubscriptionId,
    workspace: &ResourceId,
    location: &str,
) -> Result<(Option<u32>, u32)> {
    let found = quotas_at(cx, subscription, location).await?;
    let whole = ResourceId::subscription(subscription);
    let of = |scope: &ResourceId| {
        let is = |quota: &&Quota| quota.scope == *scope && quota.family.eq_ignore_ascii_case(REQUEST_UNITS);
        found.iter().find(is).map(|quota| quota.limit)
    };
    Ok((of(workspace), of(&whole).unwrap_or_else(|| default_limit(REQUEST_UNITS))))
}

/// All quotas of the server's own target.
pub(crate) async fn local_quotas(cx: &Admission<'_>) -> Result<Vec<Quota>> {
    let rows = cx.all::<Quota>(cx.system(), b"").await?;
    Ok(rows.into_iter().map(|row| row.value).filter(|quota| quota.family.eq_ignore_ascii_case(LOCAL)).collect())
}

/// Removes the quotas of a workspace that is purged: a later one of the same name has none of them.
pub(super) async fn forget(cx: &Admission<'_>, workspace: &ResourceId, changes: &mut Changes) -> Result<()> {
    let Some(subscription) = workspace.subscription_id() else { return Ok(()) };
    for row in cx.all::<Quota>(cx.system(), &of_subscription(cx.system(), subscription)).await? {
        if row.value.scope.is_within(workspace) {
            changes.delete(cx.system(), &row);
        }
    }
    Ok(())
}
