//! What the rules demand of an operation, and whether that is there.

use std::collections::BTreeSet;

use kernel::{Action, PrincipalId, PrincipalKind, ResourceId};
use uuid::Uuid;

use super::{ApprovalRequest, ApprovalRule, Approvers, DECIDE, READ};
use crate::{
    access::Access,
    gate::{Guard, House, Places},
};

/// Approvals that are demanded, by one rule or by the terms of an eligibility.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    /// The rule, or the eligibility.
    pub source: Uuid,
    /// How many.
    pub approvals: u8,
    /// Whose.
    pub approvers: Approvers,
    /// Where roles of approvers are looked up.
    pub at: ResourceId,
    /// How long a request counts, in milliseconds.
    pub lifetime_ms: u64,
}

impl Access {
    /// Whether anything demands approvals anywhere.
    pub(crate) fn demands_approvals(&self) -> bool {
        !self.rules.is_empty() || self.has_guarded_eligibilities()
    }

    /// What is demanded of this requester, and the rules that they need not keep.
    pub(crate) fn demands(&self, requester: PrincipalId, what: &Places) -> (Vec<Demand>, Vec<Uuid>) {
        let selves = self.selves(requester);
        let (mut demands, mut bypassed) = (Vec::new(), Vec::new());
        for (name, rule) in &self.rules {
            let Some(at) = place_of(*name, rule, what) else { continue };
            if rule.bypass.iter().any(|id| selves.contains(id)) {
                bypassed.push(*name);
                continue;
            }
            demands.push(Demand {
                source: *name,
                approvals: rule.approvals,
                approvers: rule.approvers.clone(),
                at: at.clone(),
                lifetime_ms: rule.lifetime_ms,
            });
        }
        demands.extend(what.eligibility.and_then(|name| self.demand_of_eligibility(name)));
        (demands, bypassed)
    }

    /// What somebody gains with membership of a group: its roles and those it can activate, and what rules say of it.
    pub(crate) fn places_of_group(&self, group: PrincipalId) -> Places {
        let selves = self.selves(group);
        let held = self.grants_of(group).into_iter().filter_map(|(scope, _)| scope.parse::<ResourceId>().ok());
        let eligible = self.eligibilities_of(group).into_iter().map(|(_, held)| held.scope.clone());
        let coming = self.coming_to(group).into_iter().map(|held| held.scope.clone());
        let terms = self.terms_naming(&selves);
        let scopes: BTreeSet<ResourceId> = held.chain(eligible).chain(coming).chain(terms).collect();
        let rules = self.rules_naming(&selves).into_iter().map(|(name, _)| name).collect();
        let places = scopes.into_iter().map(|scope| (Guard::RoleGrant, scope)).collect();
        Places { places, rules, eligibility: None }
    }

    /// Where a change of a role changes what somebody may do.
    pub(crate) fn places_of_role(&self, role: Uuid) -> Places {
        let places = self.scopes_of_role(role).into_iter().map(|scope| (Guard::RoleGrant, scope)).collect();
        Places { places, ..Places::default() }
    }

    /// Everywhere that giving roles takes approvals, and every rule that names somebody: for what decides on groups without saying
    /// whose.
    pub(crate) fn places_of_any_grant(&self) -> Places {
        let grants = self.rules.iter().filter(|(_, rule)| rule.operation == Guard::RoleGrant);
        let places = grants.map(|(_, rule)| (Guard::RoleGrant, rule.scope.clone())).collect();
        let names = |rule: &ApprovalRule| !rule.approvers.principals.is_empty() || !rule.bypass.is_empty();
        let rules = self.rules.iter().filter(|(_, rule)| names(rule)).map(|(name, _)| *name).collect();
        Places { places, rules, eligibility: None }
    }

    /// A role as approvers read it: what a custom one allows is part of what is approved.
    pub(crate) fn role_in_words(&self, id: Uuid) -> serde_json::Value {
        match self.role(id) {
            Some(role) if role.is_custom() => {
                serde_json::json!({"id": id, "name": role.role_name, "permissions": role.permissions})
            }
            Some(role) => serde_json::json!({"id": id, "name": role.role_name}),
            None => serde_json::json!({"id": id}),
        }
    }

    /// The rules that go with a scope when it is removed: that takes approval by their own terms.
    pub(crate) fn rules_within(&self, scope: &ResourceId) -> Vec<Uuid> {
        self.rules.iter().filter(|(_, rule)| rule.scope.is_within(scope)).map(|(name, _)| *name).collect()
    }

    /// Where terms of eligibilities name one of these as an approver.
    pub(crate) fn terms_naming(&self, ids: &[PrincipalId]) -> Vec<ResourceId> {
        let is_named = |demand: &Demand| demand.approvers.principals.iter().any(|named| ids.contains(named));
        self.eligible_demands().into_iter().filter(is_named).map(|demand| demand.at).collect()
    }

    /// The rules that name one of these, as approvers or as whoever needs no approval.
    pub(crate) fn rules_naming(&self, ids: &[PrincipalId]) -> Vec<(Uuid, &ApprovalRule)> {
        let is_named =
            |rule: &ApprovalRule| rule.approvers.principals.iter().chain(&rule.bypass).any(|named| ids.contains(named));
        self.rules.iter().filter(|(_, rule)| is_named(rule)).map(|(name, rule)| (*name, rule)).collect()
    }
}

/// Where a rule meets what an operation does: the place that the operation is about, or the rule's own when it changes the rule.
fn place_of<'a>(name: Uuid, rule: &'a ApprovalRule, what: &'a Places) -> Option<&'a ResourceId> {
    if what.rules.contains(&name) {
        return Some(&rule.scope);
    }
    let met = what.places.iter().find(|(guard, place)| *guard == rule.operation && place.is_within(&rule.scope));
    met.map(|(_, place)| place)
}

/// Whether this principal's word counts as an approver's: a person who is there and not disabled, or a service principal that is
/// named itself. What code acts as has no word.
pub(super) fn may_approve(house: &House, approvers: &Approvers, principal: PrincipalId, at: &ResourceId) -> bool {
    if house.identity.is_disabled(principal) || house.identity.is_managed(principal) {
        return false;
    }
    let access = house.access();
    match house.identity.kind_of(principal) {
        Some(PrincipalKind::User) => {
            let selves = access.selves(principal);
            let holds = |role: &Uuid| access.holds_at(principal, *role, at);
            approvers.principals.iter().any(|id| selves.contains(id)) || approvers.roles.iter().any(holds)
        }
        Some(PrincipalKind::ServicePrincipal) => approvers.principals.contains(&principal),
        Some(PrincipalKind::Group) | None => false,
    }
}

/// Who has approved a request and counts for this demand: each once, and never whoever asked.
pub(super) fn counted(house: &House, demand: &Demand, request: &ApprovalRequest) -> BTreeSet<PrincipalId> {
    let approved = request.decisions.iter().filter(|decision| decision.approves).map(|decision| decision.by);
    let counts = |by: &PrincipalId| *by != request.requester && may_approve(house, &demand.approvers, *by, &demand.at);
    approved.filter(counts).collect()
}

/// Whether as many have approved as the demand asks for, by what the rules and groups are now.
pub(super) fn is_met(house: &House, demand: &Demand, request: &ApprovalRequest) -> bool {
    counted(house, demand, request).len() >= usize::from(demand.approvals)
}

/// Whether the principal is let in, without a role, for what approvers do: read requests around what they approve, and say yes or
/// no. Which requests those are, the operations decide.
pub(crate) fn is_invited_to_approve(
    house: &House,
    principal: PrincipalId,
    action: &Action,
    scope: &ResourceId,
) -> bool {
    if ![READ.name(), DECIDE.name()].contains(&action.name()) {
        return false;
    }
    let access = house.access();
    let is_near = |at: &ResourceId| at.is_within(scope) || scope.is_within(at);
    let approves = |approvers: &Approvers, at: &ResourceId| {
        let deepest = if scope.is_within(at) { scope } else { at };
        is_near(at) && may_approve(house, approvers, principal, deepest)
    };
    // Requests of the directory lie at the root, whatever the rule's scope.
    let is_called = access.rules.iter().any(|(_, rule)| approves(&rule.approvers, &rule.scope))
        || access.eligible_demands().iter().any(|demand| approves(&demand.approvers, &demand.at));
    is_called && {
        let selves = access.selves(principal);
        access.denials_of(&selves, action, scope).next().is_none()
    }
}

/// Whether a guard can be what a rule is about.
pub(super) fn is_subject(guard: Guard) -> bool {
    guard != Guard::Rule
}
