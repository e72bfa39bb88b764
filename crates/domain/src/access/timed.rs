//! What the snapshot knows of time: assignments that begin and end, and who may activate what. A snapshot is for one moment; before
//! it is used at a later one at which something has begun or ended, it is moved on (`Access::moved_to`), so that nothing is
//! honoured a moment longer than it was given for, whether or not anybody looks.

use std::collections::HashMap;

use kernel::{Action, PrincipalId, ResourceId, Timestamp};
use uuid::Uuid;

use super::{Access, Eligibility, RoleAssignment, Rows, approvals::Demand, elevation};

/// What has a beginning or an end.
#[derive(Clone, Default)]
pub(super) struct Timed {
    /// The moment the snapshot is for.
    at: Timestamp,
    /// The next moment at which something begins or ends.
    next: Option<Timestamp>,
    assignments: Vec<(Uuid, RoleAssignment)>,
    eligibilities: HashMap<Uuid, Eligibility>,
}

impl Timed {
    pub(super) fn new(rows: &Rows) -> Self {
        let bounded = rows.assignments.iter().filter(|(_, assignment)| assignment.bounds.is_some());
        let mut timed = Self {
            at: rows.at,
            next: None,
            assignments: bounded.cloned().collect(),
            eligibilities: rows.eligibilities.iter().cloned().collect(),
        };
        timed.next = timed.edge_after(rows.at);
        timed
    }

    /// Where a role can be activated, or will be held.
    pub(super) fn scopes_of_role(&self, role: Uuid) -> Vec<ResourceId> {
        let eligible = self.eligibilities.values().filter(|held| held.role == role).map(|held| held.scope.clone());
        let assigned = self.assignments.iter().filter(|(_, row)| row.role == role).map(|(_, row)| row.scope.clone());
        eligible.chain(assigned).collect()
    }

    fn edge_after(&self, at: Timestamp) -> Option<Timestamp> {
        let windows = self.assignments.iter().filter_map(|(_, row)| Some(row.bounds.as_ref()?.window));
        let windows = windows.chain(self.eligibilities.values().map(|eligibility| eligibility.window));
        let edges = windows.flat_map(|window| [Some(window.from), window.until]).flatten();
        edges.filter(|edge| *edge > at).min()
    }
}

impl Access {
    /// The snapshot as it is at a later moment; none when it is the same.
    pub(crate) fn moved_to(&self, now: Timestamp) -> Option<Self> {
        if !self.is_over(now) {
            return None;
        }
        let mut moved = self.clone();
        for (name, row) in &self.timed.assignments {
            moved.revoke(*name, row);
        }
        moved.timed.at = now;
        moved.timed.next = moved.timed.edge_after(now);
        moved.grant_timed();
        Some(moved)
    }

    /// Whether something has begun or ended since the moment that the snapshot is for.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.timed.next.is_some_and(|next| next <= now)
    }

    /// Whether nothing in it depends on the time, so that nobody has to ask for it.
    pub(crate) fn is_timeless(&self) -> bool {
        self.timed.next.is_none()
    }

    /// Grants what is in force of what has bounds.
    pub(super) fn grant_timed(&mut self) {
        let in_force: Vec<_> = self
            .timed
            .assignments
            .iter()
            .filter_map(|(name, row)| Some((*name, row.clone(), self.force_of(row)?)))
            .collect();
        for (name, row, until) in in_force {
            self.grant(name, &row, until);
        }
    }

    /// Until when an assignment with bounds is in force; none when it is not. What was activated is so no longer than whoever
    /// activated it may: the eligibility, and the way to it through groups, must still be there.
    fn force_of(&self, row: &RoleAssignment) -> Option<Option<Timestamp>> {
        let bounds = row.bounds.as_ref().filter(|bounds| bounds.window.holds(self.timed.at))?;
        let Some(name) = bounds.eligibility else { return Some(bounds.window.until) };
        let eligibility = self.eligibility_behind(name, row)?;
        let in_force = eligibility.window.holds(self.timed.at);
        let ends = [bounds.window.until, eligibility.window.until];
        in_force.then(|| ends.into_iter().flatten().min())
    }

    /// The eligibility that an activation came from, as long as it is one of whoever activated it.
    fn eligibility_behind(&self, name: Uuid, row: &RoleAssignment) -> Option<&Eligibility> {
        let is_behind = |eligibility: &&Eligibility| {
            eligibility.role == row.role
                && eligibility.scope == row.scope
                && (eligibility.principal == row.principal
                    || self.above(row.principal).contains(&eligibility.principal))
        };
        self.timed.eligibilities.get(&name).filter(is_behind)
    }

    /// Assignments with bounds that are in force no more, and never will be.
    pub(super) fn ended(&self, now: Timestamp) -> Vec<(Uuid, RoleAssignment)> {
        let is_over = |row: &RoleAssignment| {
            let Some(bounds) = &row.bounds else { return false };
            let is_orphaned = bounds.eligibility.is_some_and(|name| {
                self.eligibility_behind(name, row).is_none_or(|eligibility| eligibility.window.is_over(now))
            });
            bounds.window.is_over(now) || is_orphaned
        };
        self.timed.assignments.iter().filter(|(_, row)| is_over(row)).cloned().collect()
    }

    /// Eligibilities that are over.
    pub(super) fn lapsed(&self, now: Timestamp) -> Vec<(Uuid, Eligibility)> {
        let over = self.timed.eligibilities.iter().filter(|(_, eligibility)| eligibility.window.is_over(now));
        over.map(|(name, eligibility)| (*name, eligibility.clone())).collect()
    }

    /// What the principal may activate now or later, by itself and through groups.
    pub(super) fn eligibilities_of(&self, principal: PrincipalId) -> Vec<(Uuid, &Eligibility)> {
        if self.timed.eligibilities.is_empty() {
            return Vec::new();
        }
        let selves = self.selves(principal);
        let all = self.timed.eligibilities.iter().map(|(name, eligibility)| (*name, eligibility));
        all.filter(|(_, eligibility)| {
            selves.contains(&eligibility.principal) && !eligibility.window.is_over(self.timed.at)
        })
        .collect()
    }

    /// Roles that are to come, or to come back: assignments with bounds that are not in force now.
    pub(super) fn coming_to(&self, principal: PrincipalId) -> Vec<&RoleAssignment> {
        let selves = self.selves(principal);
        let is_to_come = |row: &&RoleAssignment| {
            let window = row.bounds.as_ref().map(|bounds| bounds.window);
            selves.contains(&row.principal) && window.is_some_and(|window| window.from > self.timed.at)
        };
        self.timed.assignments.iter().map(|(_, row)| row).filter(is_to_come).collect()
    }

    /// Whether some eligibility demands approvals.
    pub(super) fn has_guarded_eligibilities(&self) -> bool {
        self.timed.eligibilities.values().any(|eligibility| eligibility.terms.approval.is_some())
    }

    /// The approvals that an eligibility demands.
    pub(super) fn demand_of_eligibility(&self, name: Uuid) -> Option<Demand> {
        self.timed.eligibilities.get(&name).and_then(|eligibility| demand(name, eligibility))
    }

    /// The approvals that eligibilities demand.
    pub(super) fn eligible_demands(&self) -> Vec<Demand> {
        self.timed.eligibilities.iter().filter_map(|(name, eligibility)| demand(*name, eligibility)).collect()
    }

    /// Whether the principal is let in, without a role, for what whoever may activate a role must be able to do there: ask for it,
    /// and see what can be asked for. What else it sees and does with that, the operations decide.
    pub(crate) fn is_invited(&self, principal: PrincipalId, action: &Action, scope: &ResourceId) -> bool {
        let is_asking = action.name() == elevation::ACTIVATE.name();
        if !is_asking && !elevation::ELIGIBLE_MAY.contains(&action.name()) {
            return false;
        }
        let is_near = |eligibility: &Eligibility| match is_asking {
            true => eligibility.scope == *scope,
            false => eligibility.scope.is_within(scope) || scope.is_within(&eligibility.scope),
        };
        self.eligibilities_of(principal).iter().any(|(_, eligibility)| is_near(eligibility)) && {
            let selves = self.selves(principal);
            self.denials_of(&selves, action, scope).next().is_none()
        }
    }
}

/// How long a request to activate a role counts, in milliseconds: a day.
const LIFETIME: u64 = 24 * 60 * 60 * 1000;

fn demand(name: Uuid, eligibility: &Eligibility) -> Option<Demand> {
    let approval = eligibility.terms.approval.as_ref()?;
    Some(Demand {
        source: name,
        approvals: approval.approvals,
        approvers: approval.approvers.clone(),
        at: eligibility.scope.clone(),
        lifetime_ms: LIFETIME,
    })
}
