//! The access room: who may do what. Role assignments at management scopes, inherited downwards; a decision is a pure
//! function over a compiled snapshot.

mod assignments;
mod pattern;
mod role;

pub use assignments::{
    DeleteRoleAssignment, GetRoleAssignment, GetRoleDefinition, ListRoleAssignments, ListRoleDefinitions,
    PutRoleAssignment, RoleAssignment,
};
pub(crate) use assignments::{remove_of, remove_within, require_other_holders};
pub use role::{
    APPLICATION_ADMINISTRATOR, CONTRIBUTOR, DIRECTORY_READER, OWNER, READER, RoleDefinition, USER_ADMINISTRATOR,
};

use std::collections::{HashMap, HashSet};

use kernel::{Action, Class, PrincipalId, ResourceId, Result};

use crate::{
    gate::{House, Op, Record},
    identity::Membership,
};

/// A commit that touches one of these tables recompiles the snapshot.
pub(crate) const TABLES: &[&str] = &[RoleAssignment::TABLE, Membership::TABLE];

/// Reading a workspace: what tells whether a caller may know of things around a scope in one.
const READ_WORKSPACE: Action = Action::new("Microsoft.MachineLearningServices/workspaces/read", Class::Read);
const READ_GROUP: Action = Action::new("Microsoft.Resources/subscriptions/resourceGroups/read", Class::Read);

/// Giving or taking a role of the directory: only its full administrators may, so that no lesser one makes itself more.
pub(crate) const GRANT_DIRECTORY: Action = Action::new("Microsoft.Directory/roleAssignments/write", Class::Control);

/// The compiled snapshot: every principal's grants, and who belongs to which group.
#[derive(Default)]
pub struct Access {
    grants: HashMap<PrincipalId, Vec<Grant>>,
    /// The groups that a principal belongs to by itself.
    groups: HashMap<PrincipalId, Vec<PrincipalId>>,
    /// The reverse.
    members: HashMap<PrincipalId, Vec<PrincipalId>>,
}

#[derive(Clone)]
struct Grant {
    scope: ResourceId,
    role: &'static RoleDefinition,
}

impl Access {
    pub(crate) async fn compile(house: &House) -> Result<Self> {
        let mut access = Self::default();
        for row in house.all::<RoleAssignment>(house.system(), b"").await? {
            access.add(&row.value);
        }
        for row in house.all::<Membership>(house.system(), b"").await? {
            access.join(&row.value);
        }
        access.give_to_members();
        Ok(access)
    }

    fn join(&mut self, membership: &Membership) {
        self.groups.entry(membership.member).or_default().push(membership.group);
        self.members.entry(membership.group).or_default().push(membership.member);
    }

    /// Gives the roles of groups to whoever belongs to them, through any number of groups. It starts from the groups that hold
    /// roles: however groups that hold none are nested, they cost nothing.
    fn give_to_members(&mut self) {
        let is_group = |(principal, _): &(&PrincipalId, &Vec<Grant>)| self.members.contains_key(principal);
        let held: Vec<_> = self.grants.iter().filter(is_group).map(|(group, held)| (*group, held.clone())).collect();
        for (group, held) in held {
            for member in self.below(group) {
                self.grants.entry(member).or_default().extend(held.iter().cloned());
            }
        }
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

    fn add(&mut self, assignment: &RoleAssignment) {
        // A role that this release does not know grants nothing.
        if let Some(role) = RoleDefinition::by_id(assignment.role) {
            let grant = Grant { scope: assignment.scope.clone(), role };
            self.grants.entry(assignment.principal).or_default().push(grant);
        }
    }

    /// Whether the principal may do this there: some role assigned at the scope or above grants it.
    pub fn allows(&self, principal: PrincipalId, action: &Action, scope: &ResourceId) -> bool {
        self.grants
            .get(&principal)
            .is_some_and(|grants| grants.iter().any(|grant| scope.is_within(&grant.scope) && grant.role.grants(action)))
    }

    /// Whether the principal may read the scope's parent (or the scope itself), and so may know what is there.
    pub fn reads_around(&self, principal: PrincipalId, scope: &ResourceId) -> bool {
        let probe = if scope.workspace().is_some() { READ_WORKSPACE } else { READ_GROUP };
        self.allows(principal, &probe, scope) || self.allows(principal, &probe, &scope.parent())
    }

    /// Whether the principal holds this role anywhere, by itself or through groups.
    pub(crate) fn holds(&self, principal: PrincipalId, role: uuid::Uuid) -> bool {
        self.grants.get(&principal).is_some_and(|grants| grants.iter().any(|grant| grant.role.id == role))
    }

    /// What whoever acts as this principal has to be allowed: to grant all that it holds, by itself and through groups.
    pub(crate) fn needed_to_act_as(&self, principal: PrincipalId) -> Vec<(Action, ResourceId)> {
        let held = self.grants.get(&principal).map_or(&[][..], Vec::as_slice);
        let mut needed: Vec<(Action, ResourceId)> = Vec::new();
        for grant in held {
            let (action, scope) = match grant.role.is_of_directory() {
                true => (GRANT_DIRECTORY, ResourceId::root()),
                false => (PutRoleAssignment::ACTION, grant.scope.clone()),
            };
            if !needed.iter().any(|known| known.0 == action && known.1 == scope) {
                needed.push((action, scope));
            }
        }
        needed
    }

    /// Whether the principal holds anything at or below the scope: whether it shows up in that principal's lists.
    pub fn touches(&self, principal: PrincipalId, scope: &ResourceId) -> bool {
        self.grants.get(&principal).is_some_and(|grants| {
            grants.iter().any(|grant| grant.scope.is_within(scope) || scope.is_within(&grant.scope))
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Timestamp;

    fn id(text: &str) -> ResourceId {
        text.parse().unwrap()
    }

    fn access(grants: &[(PrincipalId, uuid::Uuid, &str)]) -> Access {
        let mut access = Access::default();
        for (principal, role, scope) in grants {
            access.add(&RoleAssignment {
                scope: id(scope),
                role: *role,
                principal: *principal,
                kind: kernel::PrincipalKind::User,
                created_by: *principal,
                created_at: Timestamp(0),
            });
        }
        access
    }

    #[test]
    fn roles_inherit_downwards_and_never_sideways() {
        let ann = PrincipalId::random();
        let access = access(&[(ann, READER, "/subscriptions/s/resourceGroups/a")]);
        let read = Action::new("Microsoft.MachineLearningServices/workspaces/read", Class::Read);
        let write = Action::new("Microsoft.MachineLearningServices/workspaces/write", Class::Control);
        let ws = "/subscriptions/s/resourceGroups/A/providers/Microsoft.MachineLearningServices/workspaces/w";
        assert!(access.allows(ann, &read, &id(ws)));
        assert!(!access.allows(ann, &write, &id(ws)));
        assert!(!access.allows(ann, &read, &id(&ws.replace("/A/", "/ab/"))));
        assert!(!access.allows(PrincipalId::random(), &read, &id(ws)));
    }

    #[test]
    fn a_group_s_roles_reach_its_members_through_other_groups() {
        let [ann, inner, outer, other] = std::array::from_fn(|_| PrincipalId::random());
        let mut access = access(&[(outer, READER, "/subscriptions/s"), (other, OWNER, "/subscriptions/s")]);
        // The last two contain each other.
        for (member, group) in [(ann, inner), (inner, outer), (outer, inner)] {
            access.join(&Membership { group, member });
        }
        access.give_to_members();
        let read = Action::new("Microsoft.MachineLearningServices/workspaces/read", Class::Read);
        let write = Action::new("Microsoft.MachineLearningServices/workspaces/write", Class::Control);
        let scope = id("/subscriptions/s");
        assert!(access.allows(ann, &read, &scope));
        assert!(!access.allows(ann, &write, &scope));
        assert!(!access.allows(PrincipalId::random(), &read, &scope));
        // Whoever acts as Ann has what the group has.
        assert_eq!(access.needed_to_act_as(ann), [(PutRoleAssignment::ACTION, scope)]);
        assert_eq!((access.above(ann).len(), access.below(inner).len(), access.memberships()), (2, 2, 3));
    }

    #[test]
    fn directory_roles_split_the_directory() {
        let root = ResourceId::root();
        let people = [APPLICATION_ADMINISTRATOR, USER_ADMINISTRATOR, DIRECTORY_READER]
            .map(|role| (PrincipalId::random(), role, "/"));
        let access = access(&people);
        let row = |action: &'static str| {
            people.map(|(who, _, _)| access.allows(who, &Action::new(action, Class::Control), &root))
        };
        assert_eq!(row("Microsoft.Directory/users/read"), [true, true, true]);
        assert_eq!(row("Microsoft.Directory/users/write"), [true, true, false]);
        assert_eq!(row("Microsoft.Directory/users/password/update"), [true, true, false]);
        assert_eq!(row("Microsoft.Directory/groups/members/update"), [true, true, false]);
        assert_eq!(row("Microsoft.Directory/servicePrincipals/read"), [true, true, true]);
        assert_eq!(row("Microsoft.Directory/servicePrincipals/write"), [true, false, false]);
        assert_eq!(row("Microsoft.Directory/applications/write"), [true, false, false]);
        assert_eq!(row("Microsoft.Directory/roleAssignments/write"), [true, false, false]);
        assert_eq!(row("Microsoft.Directory/signingKeys/rotate/action"), [true, false, false]);
        assert_eq!(row("Microsoft.MachineLearningServices/workspaces/read"), [false, false, false]);
        for (who, _, _) in people {
            assert_eq!(access.needed_to_act_as(who), [(GRANT_DIRECTORY, ResourceId::root())]);
        }
    }

    #[test]
    fn the_three_roles_split_the_article_s_matrix() {
        let scope = id("/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w");
        let people = [OWNER, CONTRIBUTOR, READER].map(|role| (PrincipalId::random(), role, "/subscriptions/s"));
        let access = access(&people);
        let row = |action: &'static str| {
            people.map(|(who, _, _)| access.allows(who, &Action::new(action, Class::Control), &scope))
        };
        let ml = "Microsoft.MachineLearningServices/workspaces/write";
        assert_eq!(row(ml), [true, true, false]);
        assert_eq!(row("Microsoft.Authorization/roleAssignments/write"), [true, false, false]);
        assert_eq!(row("Microsoft.Authorization/workspaceEditions/write"), [true, false, false]);
        assert_eq!(row("Microsoft.Authorization/roleAssignments/read"), [true, true, true]);
        assert_eq!(row("Microsoft.MachineLearningServices/workspaces/experiments/runs/read"), [true, true, true]);
        assert_eq!(
            row("Microsoft.MachineLearningServices/workspaces/services/aks/listkeys/action"),
            [true, true, false]
        );
        assert_eq!(row("Microsoft.Directory/servicePrincipals/write"), [false, false, false]);
    }
}
