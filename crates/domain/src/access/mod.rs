//! The access room: who may do what. Role assignments at management scopes, inherited downwards; a decision is a pure
//! function over a compiled snapshot.

mod assignments;
mod pattern;
mod role;

pub(crate) use assignments::remove_within;
pub use assignments::{
    DeleteRoleAssignment, GetRoleAssignment, GetRoleDefinition, ListRoleAssignments, ListRoleDefinitions,
    PutRoleAssignment, RoleAssignment,
};
pub use role::{APPLICATION_ADMINISTRATOR, CONTRIBUTOR, OWNER, READER, RoleDefinition};

use std::collections::HashMap;

use kernel::{Action, Class, PrincipalId, ResourceId, Result};

use crate::gate::{House, Record};

/// A commit that touches one of these tables recompiles the snapshot.
pub(crate) const TABLES: &[&str] = &[RoleAssignment::TABLE];

/// Reading a workspace: what tells whether a caller may know of things around a scope in one.
const READ_WORKSPACE: Action = Action::new("Microsoft.MachineLearningServices/workspaces/read", Class::Read);
const READ_GROUP: Action = Action::new("Microsoft.Resources/subscriptions/resourceGroups/read", Class::Read);

/// The compiled snapshot: every principal's grants.
#[derive(Default)]
pub struct Access {
    grants: HashMap<PrincipalId, Vec<Grant>>,
}

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
        Ok(access)
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

    /// The scopes at which the principal holds a role of the resource manager. (Directory roles are granted by their own
    /// holders.)
    pub(crate) fn scopes_of(&self, principal: PrincipalId) -> Vec<ResourceId> {
        let grants = self.grants.get(&principal).map_or(&[][..], Vec::as_slice);
        let of_resources = grants.iter().filter(|grant| grant.role.id != APPLICATION_ADMINISTRATOR);
        of_resources.map(|grant| grant.scope.clone()).collect()
    }

    /// Whether the principal holds anything at or below the scope: whether it shows up in that principal's lists.
    pub fn touches(&self, principal: PrincipalId, scope: &ResourceId) -> bool {
        self.grants.get(&principal).is_some_and(|grants| {
            grants.iter().any(|grant| grant.scope.is_within(scope) || scope.is_within(&grant.scope))
        })
    }
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
