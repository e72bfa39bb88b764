//! What is kept: for each workspace its hours, and how it stands now.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{ResourceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Metric;
use crate::gate::{Happening, Record, Shelf};

pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;

/// Names and values of dimensions.
pub type Dimensions = BTreeMap<String, String>;

/// How the nodes of a workspace stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Level {
    /// Agents at work.
    pub agents: u64,
    /// Whether the last agent could not be started.
    pub is_refusing: bool,
}

/// How often something happened in each minute of an hour.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Counted {
    pub metric: Metric,
    pub dimensions: Dimensions,
    pub minutes: BTreeMap<u8, u64>,
}

/// An hour of a workspace in which something happened.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Hour {
    pub counts: Vec<Counted>,
    /// How the nodes stood before the first change of this hour; none while nothing changed.
    pub opening: Option<Level>,
    /// Milliseconds into the hour, and how it stood from then on.
    pub changes: Vec<(i64, Level)>,
}

impl Record for Hour {
    const TABLE: &'static str = "platform-metric-hour";
}

impl Hour {
    pub(super) fn count(&mut self, at: Timestamp, metric: Metric, dimensions: &Dimensions) {
        let minute = u8::try_from(at.0.rem_euclid(HOUR) / MINUTE).unwrap_or_default();
        let found = self.counts.iter_mut().find(|it| it.metric == metric && it.dimensions == *dimensions);
        let minutes = match found {
            Some(counted) => &mut counted.minutes,
            None => {
                let minutes = BTreeMap::from([(minute, 1)]);
                self.counts.push(Counted { metric, dimensions: dimensions.clone(), minutes });
                return;
            }
        };
        let count = minutes.entry(minute).or_default();
        *count = count.saturating_add(1);
    }

    pub(super) fn change(&mut self, at: Timestamp, before: Level, after: Level) {
        self.opening.get_or_insert(before);
        self.changes.push((at.0.rem_euclid(HOUR), after));
    }
}

/// How often something has happened since the log began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Total {
    pub metric: Metric,
    pub dimensions: Dimensions,
    pub count: u64,
}

/// Where a workspace stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Standing {
    /// The workspace.
    pub workspace: ResourceId,
    pub totals: Vec<Total>,
    /// The runs and replicas whose agents are at work.
    pub at_work: BTreeSet<String>,
    pub is_refusing: bool,
}

impl Record for Standing {
    const TABLE: &'static str = "platform-metric-standing";
}

impl Standing {
    pub(super) fn new(workspace: ResourceId) -> Self {
        Self { workspace, totals: Vec::new(), at_work: BTreeSet::new(), is_refusing: false }
    }

    pub(super) fn level(&self) -> Level {
        let agents = u64::try_from(self.at_work.len()).unwrap_or(u64::MAX);
        Level { agents, is_refusing: self.is_refusing }
    }

    /// An agent came, was not started, or went. A node that did not start one is unusable until it starts one.
    pub(super) fn follow(&mut self, happening: Happening, who: String) {
        match happening {
            Happening::NodeTaken => {
                self.is_refusing = false;
                self.at_work.insert(who);
            }
            Happening::NodeRefused => {
                self.is_refusing = true;
                self.at_work.remove(&who);
            }
            _ => {
                self.at_work.remove(&who);
            }
        }
    }

    pub(super) fn count(&mut self, metric: Metric, dimensions: &Dimensions) {
        let found = self.totals.iter_mut().find(|it| it.metric == metric && it.dimensions == *dimensions);
        match found {
            Some(total) => total.count = total.count.saturating_add(1),
            None => self.totals.push(Total { metric, dimensions: dimensions.clone(), count: 1 }),
        }
    }
}

/// The record of the activity log that is counted next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Position {
    pub next: u64,
}

impl Record for Position {
    const TABLE: &'static str = "platform-metric-position";
}

/// The row of a workspace.
pub(super) fn workspace_id(system: &Shelf, workspace: &ResourceId) -> Vec<u8> {
    system.name_id::<Standing>(workspace.folded())
}

/// The row of a workspace's hour: they sort by time.
pub(super) fn hour_id(workspace: &[u8], at: Timestamp) -> Vec<u8> {
    let hour = u64::try_from(at.0.div_euclid(HOUR)).unwrap_or_default();
    [workspace, &hour.to_be_bytes()].concat()
}

/// When the hour of a row began.
pub(super) fn hour_of(id: &[u8]) -> Timestamp {
    let hour = id.last_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    Timestamp(i64::try_from(hour).unwrap_or_default().saturating_mul(HOUR))
}
