//! The least role that what somebody did would have needed, read from the activity log.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, PrincipalId, ResourceId, Result, Timestamp};

use super::{Permissions, RoleForm};
use crate::{
    audit::{Span, scan},
    gate::{ALSO_NEEDED, Actor, Cx, Op},
};

/// Pages of the log that are looked at for one suggestion at most.
const MOST_SCANNED: u32 = 10;
/// Deeds wanted from one page.
const MOST_FOUND: usize = 5000;

/// Asks for the least role.
#[derive(Debug)]
pub struct SuggestRole {
    /// At and below which scope.
    pub scope: ResourceId,
    /// Whose deeds.
    pub principal: PrincipalId,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Suggestion {
    /// A role that allows what was done, and nothing more.
    pub form: RoleForm,
    /// How often each action was taken.
    pub counts: BTreeMap<String, u64>,
    /// Whether every record of the time was looked at; a busy log is read back to a bound.
    pub is_complete: bool,
}

#[async_trait]
impl Op for SuggestRole {
    /// It tells what the activity log does.
    const ACTION: Action = Action::new("Microsoft.Insights/eventtypes/values/Read", Class::Read);
    type Output = Suggestion;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Suggestion> {
        let is_theirs = |actor: &Actor| matches!(actor, Actor::Principal { id, .. } if *id == self.principal);
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut before = None;
        let mut is_complete = false;
        for _ in 0..MOST_SCANNED {
            let page = scan(cx, Span { from: self.from, until: self.until, before }, MOST_FOUND, |activity| {
                is_theirs(&activity.actor)
                    && activity.outcome.word() == "Succeeded"
                    && activity.scope.is_within(&self.scope)
                    && self.from.is_none_or(|from| activity.at >= from)
                    && self.until.is_none_or(|until| activity.at <= until)
            })
            .await?;
            for listed in &page.found {
                let activity = &listed.activity;
                let needed = activity.detail.get(ALSO_NEEDED).map(String::as_str).unwrap_or_default();
                for action in std::iter::once(activity.action.as_str()).chain(needed.split_ascii_whitespace()) {
                    let count = counts.entry(action.to_owned()).or_default();
                    *count = count.saturating_add(1);
                }
            }
            before = page.before;
            if before.is_none() {
                is_complete = true;
                break;
            }
        }
        let access = cx.house().access();
        let mut permissions = Permissions::default();
        // What needs no role needs no line in one: public operations are not in the catalogue.
        let entries: BTreeSet<_> = counts
            .keys()
            .filter_map(|name| access.catalogue().find(name))
            .map(|entry| (entry.action.name(), entry.action.is_data()))
            .collect();
        counts.retain(|name, _| access.catalogue().find(name).is_some());
        for (name, is_data) in entries {
            let list = if is_data { &mut permissions.data_actions } else { &mut permissions.actions };
            list.push(name.to_owned());
        }
        if counts.is_empty() && cx.house().identity.kind_of(self.principal).is_none() {
            return Err(Error::invalid("principalId", format_args!("no principal has object id `{}`", self.principal)));
        }
        if counts.is_empty() {
            let why = "the log holds nothing of theirs at or below this scope that a role could allow";
            return Err(Error::new(Kind::NotFound, why));
        }
        let form = RoleForm {
            role_name: format!("Least of {}", self.principal),
            description: String::from("What was done, as the activity log has it, and nothing more"),
            permissions,
            assignable_scopes: vec![self.scope],
        };
        Ok(Suggestion { form, counts, is_complete })
    }
}
