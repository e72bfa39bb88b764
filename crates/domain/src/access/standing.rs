//! How access stands at a scope, for reports on it.

use std::collections::BTreeSet;

use kernel::{PrincipalId, ResourceId};
use uuid::Uuid;

use super::Access;
use crate::gate::Guard;

impl Access {
    /// Whoever holds one of these roles (any role, when none is named) at the scope, above it or below it, by itself or through
    /// groups; groups among them.
    pub(crate) fn holders_around(&self, roles: &[Uuid], scope: &ResourceId) -> BTreeSet<PrincipalId> {
        self.holding(|at, role, _| {
            let is_near = scope.is_root() || is_over(at, scope) || is_below(at, scope);
            is_near && (roles.is_empty() || roles.contains(&role))
        })
    }

    /// Whoever holds one of these roles for good at the scope or above it, by itself or through groups.
    pub(crate) fn lasting_holders_over(&self, roles: &[Uuid], scope: &ResourceId) -> BTreeSet<PrincipalId> {
        self.holding(|at, role, is_lasting| is_lasting && is_over(at, scope) && roles.contains(&role))
    }

    /// Everybody with a grant that is one of these: its scope in lower case, its role, and whether it lasts.
    fn holding(&self, is_one: impl Fn(&str, Uuid, bool) -> bool) -> BTreeSet<PrincipalId> {
        let holds = |id: &PrincipalId| {
            let grants = self.grants_of(*id);
            grants.iter().any(|(at, grant)| is_one(at, grant.role.definition.id, grant.until.is_none()))
        };
        self.holders().into_iter().filter(holds).collect()
    }

    /// Whether a rule makes this wait for approval at the whole scope.
    pub(crate) fn takes_approval(&self, guard: Guard, scope: &ResourceId) -> bool {
        self.rules.iter().any(|(_, rule)| rule.operation == guard && scope.is_within(&rule.scope))
    }

    /// How many custom roles allow every action there is.
    pub(crate) fn boundless_roles(&self) -> usize {
        let is_boundless = |actions: &[String]| actions.iter().any(|action| action == "*");
        let custom = self.roles().into_iter().filter(|role| role.is_custom());
        custom.filter(|role| is_boundless(&role.permissions.actions)).count()
    }
}

fn is_over(at: &str, scope: &ResourceId) -> bool {
    scope.enclosing().any(|above| above == at)
}

fn is_below(at: &str, scope: &ResourceId) -> bool {
    at.strip_prefix(scope.folded()).is_some_and(|rest| rest.starts_with('/'))
}
