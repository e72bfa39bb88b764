//! What is kept of rules at work: where each stands at each workspace, and the alerts that it raised.

use kernel::{PrincipalId, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Conditions, Span};
use crate::gate::{Record, Shelf};

/// Evaluations in a row that must find nothing before an alert is resolved, as with Azure.
const CALM: u8 = 3;

/// Where a rule stands at one of its workspaces.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Watch {
    /// The rule.
    pub rule: ResourceId,
    /// Which one of that name.
    pub rule_guid: Uuid,
    /// The workspace.
    pub scope: ResourceId,
    /// When it was evaluated last.
    pub evaluated_at: Option<Timestamp>,
    /// The alert that stands.
    pub alert: Option<Uuid>,
    /// When it was raised.
    pub fired_at: Option<Timestamp>,
    /// Evaluations since then, in a row, that found nothing.
    pub calm: u8,
    /// Why the rule is without effect here.
    pub fault: Option<String>,
}

impl Record for Watch {
    const TABLE: &'static str = "alert-watch";
}

/// The watches of a rule begin with this.
pub(super) fn rule_id(shelf: &Shelf, rule: Uuid) -> Vec<u8> {
    shelf.name_id::<Watch>(&rule.to_string())
}

pub(super) fn watch_id(shelf: &Shelf, rule: Uuid, scope: &ResourceId) -> Vec<u8> {
    [rule_id(shelf, rule), shelf.name_id::<Watch>(&format!("{rule}|{}", scope.folded()))].concat()
}

/// An alert: a rule's conditions held at a workspace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Alert {
    /// Its id.
    pub id: Uuid,
    /// The rule.
    pub rule: ResourceId,
    /// The workspace.
    pub scope: ResourceId,
    /// As the rule had them when it was raised.
    pub severity: u8,
    /// For people.
    pub description: String,
    /// What held.
    pub conditions: Conditions,
    /// Over which span.
    pub window: Span,
    /// The action groups that are told.
    pub groups: Vec<ResourceId>,
    /// Whose rule it was.
    pub owner: PrincipalId,
    /// When it was raised, and by which values.
    pub fired: Moment,
    /// When it was resolved, and by which values.
    pub resolved: Option<Moment>,
}

impl Record for Alert {
    const TABLE: &'static str = "alert";
}

/// An evaluation that changed an alert.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// The window's beginning.
    pub from: Timestamp,
    /// Its end, not included.
    pub until: Timestamp,
    /// The value of each condition; none when nothing could be measured any more.
    pub values: Vec<f64>,
    /// Why, when it was not for the values.
    pub reason: Option<String>,
}

/// The id of an alert raised now: they sort by time (RFC 9562, version 7).
pub(super) fn fresh_id(now: Timestamp) -> Result<Uuid> {
    let millis = u64::try_from(now.0).unwrap_or_default();
    Ok(uuid::Builder::from_unix_timestamp_millis(millis, &seal::random::<10>()?).into_uuid())
}

/// The least id of an alert raised at this time or later.
pub(super) fn first_id(at: Timestamp) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(at.0).unwrap_or_default(), &[0; 10]).into_uuid()
}

/// What an evaluation changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// An alert is raised.
    Fire,
    /// The one that stands is resolved.
    Resolve,
}

/// Between two alerts of a rule that does not resolve them.
const AGAIN: i64 = 5 * 60_000;

impl Watch {
    pub(super) fn new(rule: ResourceId, rule_guid: Uuid, scope: ResourceId) -> Self {
        Self { rule, rule_guid, scope, evaluated_at: None, alert: None, fired_at: None, calm: 0, fault: None }
    }

    /// Takes what an evaluation found: whether the conditions hold, or nothing when nobody may look any more.
    pub(super) fn take(&mut self, holds: Option<bool>, resolves: bool, now: Timestamp) -> Option<Turn> {
        let stands = self.alert.is_some();
        self.calm = if holds == Some(false) && stands { self.calm.saturating_add(1) } else { 0 };
        match holds {
            Some(true) if !stands => Some(Turn::Fire),
            Some(true) if !resolves => {
                let since = self.fired_at.map_or(i64::MAX, |at| now.0.saturating_sub(at.0));
                (since >= AGAIN).then_some(Turn::Fire)
            }
            Some(false) if stands && resolves && self.calm >= CALM => Some(Turn::Resolve),
            None if stands => Some(Turn::Resolve),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Watch {
        let id = |text: &str| text.parse::<ResourceId>().unwrap();
        Watch::new(id("/subscriptions/s/rule"), Uuid::nil(), id("/subscriptions/s/ws"))
    }

    fn run(watch: &mut Watch, resolves: bool, found: &[Option<bool>]) -> Vec<Option<Turn>> {
        let mut turns = Vec::new();
        for (minute, holds) in (0..).zip(found) {
            let now = Timestamp(minute * 60_000);
            let turn = watch.take(*holds, resolves, now);
            match turn {
                Some(Turn::Fire) => (watch.alert, watch.fired_at) = (Some(Uuid::nil()), Some(now)),
                Some(Turn::Resolve) => watch.alert = None,
                None => {}
            }
            turns.push(turn);
        }
        turns
    }

    #[test]
    fn each_alert_fires_once_and_is_resolved_after_three_quiet_evaluations() {
        let (hot, calm) = (Some(true), Some(false));
        let turns = run(&mut watch(), true, &[calm, hot, hot, calm, calm, hot, calm, calm, calm, calm, hot]);
        let changes: Vec<_> = turns.iter().enumerate().filter_map(|(at, turn)| turn.map(|turn| (at, turn))).collect();
        assert_eq!(changes, [(1, Turn::Fire), (8, Turn::Resolve), (10, Turn::Fire)]);
    }

    #[test]
    fn what_nobody_may_look_at_any_more_is_resolved() {
        assert_eq!(run(&mut watch(), true, &[Some(true), None, None]), [Some(Turn::Fire), Some(Turn::Resolve), None]);
    }

    #[test]
    fn without_mitigation_it_fires_again_and_again_but_seldom() {
        let turns = run(&mut watch(), false, &[Some(true); 11]);
        let fired: Vec<_> = turns.iter().enumerate().filter(|(_, turn)| turn.is_some()).map(|(at, _)| at).collect();
        assert_eq!(fired, [0, 5, 10]);
        assert!(
            run(&mut watch(), false, &[Some(true), Some(false), Some(false), Some(false)])[1..]
                .iter()
                .all(Option::is_none)
        );
    }

    #[test]
    fn ids_sort_by_time() {
        let early = fresh_id(Timestamp(1_000)).unwrap();
        assert!(first_id(Timestamp(1_000)) <= early && early < first_id(Timestamp(1_001)));
    }
}
