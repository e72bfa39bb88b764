//! The compiled snapshot: who may do what, decided without reading anything.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use kernel::{Action, PrincipalId, ResourceId};
use uuid::Uuid;

use super::{
    Catalogue, DenyAssignment, OWNER, READ_GROUP, READ_WORKSPACE, RoleAssignment, RoleDefinition,
    USER_ACCESS_ADMINISTRATOR, built_in,
    role::{Role, Rules, bit, bits},
};
use crate::identity::Membership;

/// What a snapshot is compiled from.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Roles that somebody made.
    pub definitions: Vec<RoleDefinition>,
    /// Who holds which role where.
    pub assignments: Vec<(Uuid, RoleAssignment)>,
    /// Who is denied what where.
    pub denials: Vec<(Uuid, DenyAssignment)>,
    /// Who belongs to which group.
    pub memberships: Vec<Membership>,
}

/// The compiled snapshot: every principal's grants, what is denied, and who belongs to which group.
#[derive(Default)]
pub struct Access {
    catalogue: Arc<Catalogue>,
    roles: HashMap<Uuid, Arc<Role>>,
    /// By principal, then by scope in lower case; what a group holds is there for each of its members.
    grants: HashMap<PrincipalId, HashMap<Arc<str>, Vec<Grant>>>,
    /// By scope in lower case.
    denials: HashMap<Arc<str>, Vec<Denial>>,
    /// The groups that a principal belongs to by itself.
    groups: HashMap<PrincipalId, Vec<PrincipalId>>,
    /// The reverse.
    members: HashMap<PrincipalId, Vec<PrincipalId>>,
}

/// A role held at a scope.
#[derive(Clone)]
pub(super) struct Grant {
    /// The assignment's name.
    pub assignment: Uuid,
    /// Whom it names: the principal itself or a group above it.
    pub holder: PrincipalId,
    pub role: Arc<Role>,
}

/// Actions denied at a scope.
pub(super) struct Denial {
    /// The deny assignment's name.
    pub name: Uuid,
    pub assignment: DenyAssignment,
    rules: Rules,
    known: Vec<u64>,
    /// Whom it is for, members of groups included.
    whom: HashSet<PrincipalId>,
    except: HashSet<PrincipalId>,
}

impl Denial {
    fn is_about(&self, principal: PrincipalId) -> bool {
        (self.assignment.is_for_everyone() || self.whom.contains(&principal)) && !self.except.contains(&principal)
    }

    fn denies(&self, action: &Action, place: Option<usize>) -> bool {
        place.map_or_else(|| self.rules.allow(action), |place| bit(&self.known, place))
    }
}

impl Access {
    /// Compiles a snapshot. A role that nobody knows grants nothing. Roles of the snapshot before are used again where they are
    /// the same: reading patterns is most of the work.
    pub fn compile(catalogue: &Arc<Catalogue>, rows: &Rows, before: &Self) -> Self {
        let mut access = Self { catalogue: Arc::clone(catalogue), ..Self::default() };
        let is_same_catalogue = Arc::ptr_eq(catalogue, &before.catalogue);
        for definition in built_in::all().iter().chain(&rows.definitions) {
            let known =
                before.roles.get(&definition.id).filter(|known| is_same_catalogue && known.definition == *definition);
            let role = known.map_or_else(|| Arc::new(Role::compile(definition.clone(), catalogue)), Arc::clone);
            access.roles.insert(definition.id, role);
        }
        for membership in &rows.memberships {
            access.groups.entry(membership.member).or_default().push(membership.group);
            access.members.entry(membership.group).or_default().push(membership.member);
        }
        for (name, assignment) in &rows.assignments {
            access.grant(*name, assignment);
        }
        for (name, denial) in &rows.denials {
            access.deny(*name, denial);
        }
        access
    }

    /// Gives a role to its holder and, through any number of groups, to whoever belongs to that.
    fn grant(&mut self, assignment: Uuid, row: &RoleAssignment) {
        let Some(role) = self.roles.get(&row.role).map(Arc::clone) else { return };
        let grant = Grant { assignment, holder: row.principal, role };
        let scope: Arc<str> = row.scope.folded().into();
        for principal in std::iter::once(row.principal).chain(self.below(row.principal)) {
            self.grants.entry(principal).or_default().entry(Arc::clone(&scope)).or_default().push(grant.clone());
        }
    }

    fn deny(&mut self, name: Uuid, assignment: &DenyAssignment) {
        let rules = Rules::new(&assignment.permissions);
        let spread = |principals: &[PrincipalId]| -> HashSet<PrincipalId> {
            principals.iter().flat_map(|id| std::iter::once(*id).chain(self.below(*id))).collect()
        };
        let denial = Denial {
            name,
            known: bits(&self.catalogue, |action| rules.allow(action)),
            rules,
            whom: spread(&assignment.principals),
            except: spread(&assignment.except),
            assignment: assignment.clone(),
        };
        self.denials.entry(assignment.scope.folded().into()).or_default().push(denial);
    }

    /// Whether the principal may do this there: some role assigned at the scope or above allows it, and nothing denies it.
    pub fn allows(&self, principal: PrincipalId, action: &Action, scope: &ResourceId) -> bool {
        let Some(held) = self.grants.get(&principal) else { return false };
        let place = self.catalogue.place(action);
        let grants = |grants: &Vec<Grant>| grants.iter().any(|grant| grant.role.allows(action, place));
        scope.enclosing().any(|scope| held.get(scope).is_some_and(grants))
            && (self.denials.is_empty() || self.denials_of(principal, action, scope).next().is_none())
    }

    /// What denies it.
    pub(super) fn denials_of<'a>(
        &'a self,
        principal: PrincipalId,
        action: &'a Action,
        scope: &'a ResourceId,
    ) -> impl Iterator<Item = &'a Denial> {
        let place = self.catalogue.place(action);
        let at = move |here: &'a str| {
            let inherited = here != scope.folded();
            self.denials.get(here).into_iter().flatten().filter(move |denial| {
                !(inherited && denial.assignment.is_for_scope_alone)
                    && denial.is_about(principal)
                    && denial.denies(action, place)
            })
        };
        scope.enclosing().flat_map(at)
    }

    /// The grants of a principal, each with its scope in lower case.
    pub(super) fn grants_of(&self, principal: PrincipalId) -> impl Iterator<Item = (&str, &Grant)> {
        let held = self.grants.get(&principal).into_iter().flatten();
        held.flat_map(|(scope, grants)| grants.iter().map(move |grant| (scope.as_ref(), grant)))
    }

    /// Those that apply at a scope: made there or above.
    pub(super) fn grants_at<'a>(
        &'a self,
        principal: PrincipalId,
        scope: &'a ResourceId,
    ) -> impl Iterator<Item = (&'a str, &'a Grant)> {
        let held = self.grants.get(&principal);
        scope.enclosing().flat_map(move |here| {
            held.and_then(|held| held.get(here)).into_iter().flatten().map(move |grant| (here, grant))
        })
    }

    /// The first action that the role allows and the principal may not do at the scope: whoever grants the role grants more than
    /// they hold. Owners and user access administrators may grant all there is.
    pub(super) fn lacks(&self, principal: PrincipalId, role: &Rules, scope: &ResourceId) -> Option<Action> {
        let may_grant_all = |id: Uuid| id == OWNER || id == USER_ACCESS_ADMINISTRATOR;
        if self.grants_at(principal, scope).any(|(_, grant)| may_grant_all(grant.role.definition.id)) {
            return None;
        }
        let all = self.catalogue.entries().iter().map(|entry| entry.action);
        all.into_iter().find(|action| role.allow(action) && !self.allows(principal, action, scope))
    }

    /// The operation catalogue.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The role with this id.
    pub fn role(&self, id: Uuid) -> Option<&RoleDefinition> {
        self.roles.get(&id).map(|role| &role.definition)
    }

    /// All roles, by name.
    pub fn roles(&self) -> Vec<&RoleDefinition> {
        let mut all: Vec<_> = self.roles.values().map(|role| &role.definition).collect();
        all.sort_by(|a, b| (a.is_custom(), &a.role_name).cmp(&(b.is_custom(), &b.role_name)));
        all
    }

    pub(super) fn compiled(&self, id: Uuid) -> Option<&Role> {
        self.roles.get(&id).map(AsRef::as_ref)
    }

    /// Everybody who holds a role or is named in a denial.
    pub(super) fn holders(&self) -> impl Iterator<Item = PrincipalId> {
        self.grants.keys().copied()
    }

    /// Whether the principal may read the scope's parent (or the scope itself), and so may know what is there.
    pub fn reads_around(&self, principal: PrincipalId, scope: &ResourceId) -> bool {
        let probe = if scope.workspace().is_some() { READ_WORKSPACE } else { READ_GROUP };
        self.allows(principal, &probe, scope) || self.allows(principal, &probe, &scope.parent())
    }

    /// Whether the principal holds this role anywhere, by itself or through groups.
    pub(crate) fn holds(&self, principal: PrincipalId, role: Uuid) -> bool {
        self.grants_of(principal).any(|(_, grant)| grant.role.definition.id == role)
    }

    /// Whether the principal holds anything at or below the scope: whether it shows up in that principal's lists.
    pub fn touches(&self, principal: PrincipalId, scope: &ResourceId) -> bool {
        let here = scope.folded();
        let is_below =
            |held: &str| scope.is_root() || held.strip_prefix(here).is_some_and(|rest| rest.starts_with('/'));
        self.grants.get(&principal).is_some_and(|held| {
            scope.enclosing().any(|scope| held.contains_key(scope)) || held.keys().any(|held| is_below(held))
        })
    }

    /// The groups that a principal belongs to by itself.
    pub(crate) fn groups_of(&self, principal: PrincipalId) -> &[PrincipalId] {
        self.groups.get(&principal).map_or(&[], Vec::as_slice)
    }

    /// Who belongs to a group by itself.
    pub(crate) fn members_of(&self, group: PrincipalId) -> &[PrincipalId] {
        self.members.get(&group).map_or(&[], Vec::as_slice)
    }

    /// Everybody below a group, through any number of groups, the groups among them included, but not itself.
    pub(crate) fn below(&self, group: PrincipalId) -> Vec<PrincipalId> {
        walk(&self.members, group)
    }

    /// Every group above a principal, through any number of groups, but not itself.
    pub(crate) fn above(&self, principal: PrincipalId) -> Vec<PrincipalId> {
        walk(&self.groups, principal)
    }

    /// How many memberships there are.
    pub(crate) fn memberships(&self) -> usize {
        self.groups.values().map(Vec::len).sum()
    }
}

/// Everything that can be reached from a principal, but itself; what contains each other is walked once.
fn walk(next: &HashMap<PrincipalId, Vec<PrincipalId>>, from: PrincipalId) -> Vec<PrincipalId> {
    let mut seen = HashSet::from([from]);
    let mut found = Vec::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for principal in next.get(&at).into_iter().flatten() {
            if seen.insert(*principal) {
                found.push(*principal);
                open.push(*principal);
            }
        }
    }
    found
}
