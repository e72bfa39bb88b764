//! Why somebody may do something, or may not: by which assignment, through which group, what takes it away, and what would change
//! it.

use async_trait::async_trait;
use kernel::{Action, Class, Error, PrincipalId, ResourceId, Result};
use uuid::Uuid;

use super::{Access, assignments::READ, snapshot::Grant, what_if::LIST_MEMBERS};
use crate::gate::{Cx, Op};

/// Roles that an explanation offers at most.
const MOST_OFFERS: usize = 5;

/// Asks why.
#[derive(Debug)]
pub struct ExplainAccess {
    /// Where.
    pub scope: ResourceId,
    /// Who.
    pub principal: PrincipalId,
    /// What; case does not count.
    pub action: String,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Whether it is allowed.
    pub is_allowed: bool,
    /// Whether the principal is disabled, so that whatever it holds it is not let in.
    pub is_disabled: bool,
    /// The action as it is spelled where it is checked.
    pub action: &'static str,
    /// Assignments that allow it, as far as nothing denies it.
    pub allowed_by: Vec<Because>,
    /// Deny assignments that take it away.
    pub denied_by: Vec<DeniedBy>,
    /// Assignments at the scope or above whose role names the action, and takes it back itself.
    pub taken_back_by: Vec<Because>,
    /// Assignments that would allow it, but lie elsewhere.
    pub held_elsewhere: Vec<Because>,
    /// Roles that would allow it here, the least powerful first; none when it is allowed, or denied.
    pub would_allow: Vec<Offer>,
}

/// An assignment in an explanation.
#[derive(Clone, Debug)]
pub struct Because {
    /// The assignment's name.
    pub assignment: Uuid,
    /// Its scope.
    pub scope: ResourceId,
    /// Its role.
    pub role: Uuid,
    /// The role's name.
    pub role_name: String,
    /// The groups that lead from the principal to the assignment's holder, nearest first; none when it is its own.
    pub through: Vec<PrincipalId>,
    /// The pattern that decides.
    pub pattern: String,
}

/// A deny assignment in an explanation.
#[derive(Clone, Debug)]
pub struct DeniedBy {
    /// Its name.
    pub assignment: Uuid,
    /// For people.
    pub deny_name: String,
    /// Its scope.
    pub scope: ResourceId,
}

/// A role that would allow it.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The role.
    pub role: Uuid,
    /// Its name.
    pub role_name: String,
    /// How many actions of the catalogue it allows in all.
    pub actions: usize,
}

#[async_trait]
impl Op for ExplainAccess {
    /// It tells no more than the assignments and roles there do: what lies elsewhere, and who is in which group, is told to those
    /// alone who may read that.
    const ACTION: Action = Action::new(READ, Class::Read);
    type Output = Explanation;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Explanation> {
        if cx.house().identity.kind_of(self.principal).is_none() {
            return Err(Error::invalid("principalId", format_args!("no principal has object id `{}`", self.principal)));
        }
        let access = cx.house().access();
        let entry = access.catalogue().find(&self.action).ok_or_else(|| {
            let why = format!("`{}` is no operation; `bartizan provider operation list` shows them", self.action);
            Error::invalid("action", why)
        })?;
        let mut said = access.explain(self.principal, &entry.action, &self.scope);
        said.is_disabled = cx.house().identity.is_disabled(self.principal);
        said.is_allowed &= !said.is_disabled;
        said.held_elsewhere.retain(|because| cx.may(&Self::ACTION, &because.scope));
        let is_own = cx.caller().principal().is_some_and(|caller| caller.id == self.principal);
        if !is_own && !cx.may(&LIST_MEMBERS, &ResourceId::root()) {
            let lists = [&mut said.allowed_by, &mut said.taken_back_by, &mut said.held_elsewhere];
            lists.into_iter().flatten().for_each(|because| because.through.clear());
        }
        Ok(said)
    }
}

impl Access {
    /// Why the principal may do this there, or may not.
    pub(super) fn explain(&self, principal: PrincipalId, action: &Action, scope: &ResourceId) -> Explanation {
        let is_allowed = self.allows(principal, action, scope);
        let mut explanation = Explanation {
            is_allowed,
            is_disabled: false,
            action: action.name(),
            allowed_by: Vec::new(),
            denied_by: Vec::new(),
            taken_back_by: Vec::new(),
            held_elsewhere: Vec::new(),
            would_allow: Vec::new(),
        };
        for (held, grant) in self.grants_of(principal) {
            let Ok(at) = held.parse::<ResourceId>() else { continue };
            let applies = scope.is_within(&at);
            let (allow, take_back) = grant.role.deciding(action);
            let list = match (applies, allow, take_back) {
                (true, Some(pattern), None) => Some((&mut explanation.allowed_by, pattern)),
                (true, Some(_), Some(pattern)) => Some((&mut explanation.taken_back_by, pattern)),
                (false, Some(pattern), None) => Some((&mut explanation.held_elsewhere, pattern)),
                _ => None,
            };
            if let Some((list, pattern)) = list {
                list.push(self.because(principal, at, grant, pattern.to_owned()));
            }
        }
        for list in [&mut explanation.allowed_by, &mut explanation.taken_back_by, &mut explanation.held_elsewhere] {
            list.sort_by(|a, b| (&a.scope, a.assignment).cmp(&(&b.scope, b.assignment)));
        }
        let selves = self.selves(principal);
        let denials = self.denials_of(&selves, action, scope);
        explanation.denied_by = denials
            .map(|denial| DeniedBy {
                assignment: denial.name,
                deny_name: denial.assignment.deny_name.clone(),
                scope: denial.assignment.scope.clone(),
            })
            .collect();
        // Against a denial, no role helps.
        if !is_allowed && explanation.denied_by.is_empty() {
            explanation.would_allow = self.offers(action, scope);
        }
        explanation
    }

    fn because(&self, principal: PrincipalId, scope: ResourceId, grant: &Grant, pattern: String) -> Because {
        let role = &grant.role.definition;
        Because {
            assignment: grant.assignment,
            scope,
            role: role.id,
            role_name: role.role_name.clone(),
            through: self.path(principal, grant.holder),
            pattern,
        }
    }

    /// The shortest way through groups from a principal to the group that holds something.
    fn path(&self, from: PrincipalId, to: PrincipalId) -> Vec<PrincipalId> {
        let mut ways: Vec<Vec<PrincipalId>> = vec![Vec::new()];
        let mut seen = std::collections::HashSet::from([from]);
        while !ways.is_empty() && from != to {
            let mut longer = Vec::new();
            for way in ways {
                let at = way.last().copied().unwrap_or(from);
                for group in self.groups_of(at) {
                    let mut way = way.clone();
                    way.push(*group);
                    if *group == to {
                        return way;
                    }
                    if seen.insert(*group) {
                        longer.push(way);
                    }
                }
            }
            ways = longer;
        }
        Vec::new()
    }

    /// Roles that can be assigned at the scope and allow the action, the least powerful first.
    fn offers(&self, action: &Action, scope: &ResourceId) -> Vec<Offer> {
        let place = self.catalogue().place(action);
        let allows = |id: Uuid, action: &Action| self.compiled(id).is_some_and(|role| role.allows(action, place));
        let offered = self.roles().into_iter().filter(|role| role.is_assignable_at(scope) && allows(role.id, action));
        let mut offers: Vec<Offer> = offered
            .map(|role| Offer { role: role.id, role_name: role.role_name.clone(), actions: self.breadth(role.id) })
            .collect();
        offers.sort_by(|a, b| (a.actions, &a.role_name).cmp(&(b.actions, &b.role_name)));
        offers.truncate(MOST_OFFERS);
        offers
    }

    /// How many actions of the catalogue a role allows.
    fn breadth(&self, role: Uuid) -> usize {
        let Some(role) = self.compiled(role) else { return 0 };
        let entries = self.catalogue().entries().iter().enumerate();
        entries.filter(|(place, entry)| role.allows(&entry.action, Some(*place))).count()
    }
}
