//! The compiled snapshot: who may do what, decided without reading anything.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use kernel::{Action, PrincipalId, ResourceId, Timestamp};
use uuid::Uuid;

use super::{
    ApprovalRule, Catalogue, DenyAssignment, Eligibility, OWNER, READ_GROUP, READ_IN_VAULT, READ_WORKSPACE,
    RoleAssignment, RoleDefinition, USER_ACCESS_ADMINISTRATOR, built_in,
    lasting::Lasting,
    role::{Role, Rules, bit, bits},
    timed::Timed,
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
    /// Who may activate which role where.
    pub eligibilities: Vec<(Uuid, Eligibility)>,
    /// What takes approvals where.
    pub rules: Vec<(Uuid, ApprovalRule)>,
    /// The moment the snapshot is for.
    pub at: Timestamp,
}

/// The compiled snapshot: every principal's grants, what is denied, and who belongs to which group.
#[derive(Clone, Default)]
pub struct Access {
    catalogue: Arc<Catalogue>,
    roles: HashMap<Uuid, Arc<Role>>,
    /// By scope in lower case, then by whom the assignment names.
    grants: HashMap<Arc<str>, HashMap<PrincipalId, Vec<Grant>>>,
    /// By whom the assignment names, with the scope in lower case.
    held: HashMap<PrincipalId, Vec<(Arc<str>, Grant)>>,
    /// By scope in lower case.
    denials: HashMap<Arc<str>, Vec<Arc<Denial>>>,
    /// The groups that a principal belongs to by itself.
    groups: HashMap<PrincipalId, Vec<PrincipalId>>,
    /// The reverse.
    members: HashMap<PrincipalId, Vec<PrincipalId>>,
    /// What takes approvals where.
    pub(super) rules: Vec<(Uuid, ApprovalRule)>,
    /// What has a beginning or an end (`timed.rs`).
    pub(super) timed: Timed,
}

/// A role held at a scope.
#[derive(Clone)]
pub(super) struct Grant {
    /// The assignment's name.
    pub assignment: Uuid,
    /// Whom it names: the principal itself or a group above it.
    pub holder: PrincipalId,
    pub role: Arc<Role>,
    /// When it ends; none when it does not by itself.
    pub until: Option<Timestamp>,
}

/// Actions denied at a scope.
pub(super) struct Denial {
    /// The deny assignment's name.
    pub name: Uuid,
    pub assignment: DenyAssignment,
    rules: Rules,
    known: Vec<u64>,
}

impl Denial {
    fn denies(&self, action: &Action, place: Option<usize>) -> bool {
        match place {
            Some(place) => bit(&self.known, place),
            None => is_deniable(action) && self.rules.allow(action),
        }
    }
}

/// What no denial reaches: itself, so that whoever may otherwise lift it can, and the directory, whose administrators are others.
fn is_deniable(action: &Action) -> bool {
    const WAY_BACK: [&str; 2] =
        ["Microsoft.Authorization/denyAssignments/read", "Microsoft.Authorization/denyAssignments/delete"];
    !WAY_BACK.contains(&action.name()) && !action.name().starts_with("Microsoft.Directory/")
}

impl Access {
    /// Compiles a snapshot. A role that nobody knows grants nothing. Roles and denials of the snapshot before are used again
    /// where they are the same: reading patterns is most of the work.
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
        access.rules.clone_from(&rows.rules);
        access.timed = Timed::new(rows);
        for (name, assignment) in rows.assignments.iter().filter(|(_, assignment)| assignment.bounds.is_none()) {
            access.grant(*name, assignment, None);
        }
        access.grant_timed();
        let known = before.denials.values().flatten().filter(|_| is_same_catalogue);
        let known: HashMap<Uuid, &Arc<Denial>> = known.map(|denial| (denial.name, denial)).collect();
        for (name, assignment) in &rows.denials {
            let denial = known.get(name).filter(|denial| denial.assignment == *assignment);
            let denial =
                denial.map_or_else(|| Arc::new(access.read_denial(*name, assignment)), |denial| Arc::clone(denial));
            access.denials.entry(assignment.scope.folded().into()).or_default().push(denial);
        }
        access
    }

    pub(super) fn grant(&mut self, assignment: Uuid, row: &RoleAssignment, until: Option<Timestamp>) {
        let Some(role) = self.roles.get(&row.role).map(Arc::clone) else { return };
        let grant = Grant { assignment, holder: row.principal, role, until };
        let scope: Arc<str> = row.scope.folded().into();
        self.held.entry(row.principal).or_default().push((Arc::clone(&scope), grant.clone()));
        self.grants.entry(scope).or_default().entry(row.principal).or_default().push(grant);
    }

    /// Takes an assignment's grant out again.
    pub(super) fn revoke(&mut self, assignment: Uuid, row: &RoleAssignment) {
        if let Some(held) = self.held.get_mut(&row.principal) {
            held.retain(|(_, grant)| grant.assignment != assignment);
        }
        let here = self.grants.get_mut(row.scope.folded()).and_then(|here| here.get_mut(&row.principal));
        if let Some(grants) = here {
            grants.retain(|grant| grant.assignment != assignment);
        }
    }

    fn read_denial(&self, name: Uuid, assignment: &DenyAssignment) -> Denial {
        let rules = Rules::new(&assignment.permissions);
        let known = bits(&self.catalogue, |action| is_deniable(action) && rules.allow(action));
        Denial { name, known, rules, assignment: assignment.clone() }
    }

    /// Whom an assignment may name to be about this principal: itself, and every group above it.
    pub(super) fn selves(&self, principal: PrincipalId) -> Vec<PrincipalId> {
        let mut selves = vec![principal];
        if self.groups.contains_key(&principal) {
            selves.extend(self.above(principal));
        }
        selves
    }

    /// Whether the principal may do this there: some role assigned at the scope or above allows it, and nothing denies it.
    pub fn allows(&self, principal: PrincipalId, action: &Action, scope: &ResourceId) -> bool {
        self.allows_lasting(principal, action, scope, Lasting::Now)
    }

    /// Whether the principal may do this there, and for that long, as far as the ends of its roles are known.
    pub(super) fn allows_lasting(
        &self,
        principal: PrincipalId,
        action: &Action,
        scope: &ResourceId,
        lasting: Lasting,
    ) -> bool {
        let place = self.catalogue.place(action);
        let selves = self.selves(principal);
        let allow = |grants: &Vec<Grant>| {
            grants.iter().any(|grant| grant.role.allows(action, place) && lasting.holds(grant.until))
        };
        let is_granted = scope
            .enclosing()
            .filter_map(|here| self.grants.get(here))
            .any(|held| selves.iter().any(|id| held.get(id).is_some_and(allow)));
        is_granted && (self.denials.is_empty() || self.denials_of(&selves, action, scope).next().is_none())
    }

    /// What denies it.
    pub(super) fn denials_of<'a>(
        &'a self,
        selves: &'a [PrincipalId],
        action: &'a Action,
        scope: &'a ResourceId,
    ) -> impl Iterator<Item = &'a Arc<Denial>> {
        let place = self.catalogue.place(action);
        let at = move |here: &'a str| {
            let inherited = here != scope.folded();
            self.denials.get(here).into_iter().flatten().filter(move |denial| {
                !(inherited && denial.assignment.is_for_scope_alone)
                    && denial.assignment.binds(selves)
                    && denial.denies(action, place)
            })
        };
        scope.enclosing().flat_map(at)
    }

    /// The denials that name one of these, as whom they are for or as whom not.
    pub(super) fn denials_naming<'a>(&'a self, ids: &'a [PrincipalId]) -> impl Iterator<Item = &'a DenyAssignment> {
        let all = self.denials.values().flatten().map(|denial| &denial.assignment);
        all.filter(|denial| ids.iter().any(|id| denial.principals.contains(id) || denial.except.contains(id)))
    }

    /// The grants of a principal, those of its groups included, each with its scope in lower case.
    pub(super) fn grants_of(&self, principal: PrincipalId) -> Vec<(&str, &Grant)> {
        let held = self.selves(principal).into_iter().filter_map(|id| self.held.get(&id)).flatten();
        held.map(|(scope, grant)| (scope.as_ref(), grant)).collect()
    }

    /// Whether the principal holds this role at just this scope.
    pub(crate) fn holds_just_at(&self, principal: PrincipalId, role: Uuid, scope: &ResourceId) -> bool {
        self.grants_of(principal).iter().any(|(at, grant)| *at == scope.folded() && grant.role.definition.id == role)
    }

    /// Whether the principal may hand out anything at the scope: owners and user access administrators may.
    pub(super) fn may_grant_all(&self, principal: PrincipalId, scope: &ResourceId, lasting: Lasting) -> bool {
        let may = |grant: &Grant| {
            [OWNER, USER_ACCESS_ADMINISTRATOR].contains(&grant.role.definition.id) && lasting.holds(grant.until)
        };
        let selves = self.selves(principal);
        scope
            .enclosing()
            .filter_map(|here| self.grants.get(here))
            .any(|held| selves.iter().any(|id| held.get(id).is_some_and(|grants| grants.iter().any(may))))
    }

    /// The first of these actions that the principal may not do at the scope: whoever hands them out gives more than they hold.
    pub(super) fn lacks(
        &self,
        principal: PrincipalId,
        actions: &[Action],
        scope: &ResourceId,
        lasting: Lasting,
    ) -> Option<Action> {
        if self.may_grant_all(principal, scope, lasting) {
            return None;
        }
        actions.iter().find(|action| !self.allows_lasting(principal, action, scope, lasting)).copied()
    }

    /// The actions of the catalogue that these rules allow.
    pub(super) fn allowed_by(&self, rules: &Rules) -> Vec<Action> {
        self.catalogue.entries().iter().map(|entry| entry.action).filter(|action| rules.allow(action)).collect()
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

    /// Everybody who holds a role, by itself or through groups.
    pub(super) fn holders(&self) -> HashSet<PrincipalId> {
        self.held.keys().flat_map(|id| std::iter::once(*id).chain(self.below(*id))).collect()
    }

    /// Whether the principal may read the scope's parent (or the scope itself), and so may know what is there.
    pub fn reads_around(&self, principal: PrincipalId, scope: &ResourceId) -> bool {
        // Whoever holds anything in a subscription finds it in the list of theirs.
        if scope.subscription_id().map(ResourceId::subscription).as_ref() == Some(scope) {
            return self.touches(principal, scope);
        }
        if let Some(vault) = scope.vault()
            && (self.holds_within(principal, &vault)
                || READ_IN_VAULT.iter().any(|may| self.allows(principal, may, scope)))
        {
            return true;
        }
        let probe = if scope.workspace().is_some() { READ_WORKSPACE } else { READ_GROUP };
        self.allows(principal, &probe, scope) || self.allows(principal, &probe, &scope.parent())
    }

    /// Whether the principal holds anything at the scope itself or below.
    fn holds_within(&self, principal: PrincipalId, scope: &ResourceId) -> bool {
        let is_within =
            |held: &str| held.strip_prefix(scope.folded()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.grants_of(principal).iter().any(|(held, _)| is_within(held))
    }

    /// Whether the principal holds this role anywhere, by itself or through groups.
    pub(crate) fn holds(&self, principal: PrincipalId, role: Uuid) -> bool {
        self.grants_of(principal).iter().any(|(_, grant)| grant.role.definition.id == role)
    }

    /// The scopes at which a role is held or can be activated.
    pub(super) fn scopes_of_role(&self, role: Uuid) -> BTreeSet<ResourceId> {
        let held = self.held.values().flatten().filter(|(_, grant)| grant.role.definition.id == role);
        let held = held.filter_map(|(scope, _)| scope.parse().ok());
        held.chain(self.timed.scopes_of_role(role)).collect()
    }

    /// Whether there is a denial of this name.
    pub(super) fn has_denial(&self, name: Uuid) -> bool {
        self.denials.values().flatten().any(|denial| denial.name == name)
    }

    /// Whether the principal holds this role at the scope or above, by itself or through groups.
    pub(crate) fn holds_at(&self, principal: PrincipalId, role: Uuid, scope: &ResourceId) -> bool {
        let is_here = |held: &str| scope.enclosing().any(|here| here == held);
        self.grants_of(principal).iter().any(|(held, grant)| grant.role.definition.id == role && is_here(held))
    }

    /// Whether the principal holds anything at or below the scope: whether it shows up in that principal's lists.
    pub fn touches(&self, principal: PrincipalId, scope: &ResourceId) -> bool {
        let here = scope.folded();
        let is_below =
            |held: &str| scope.is_root() || held.strip_prefix(here).is_some_and(|rest| rest.starts_with('/'));
        let applies = |held: &str| is_below(held) || scope.enclosing().any(|above| above == held);
        self.grants_of(principal).iter().any(|(held, _)| applies(held))
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
