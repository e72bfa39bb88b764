//! The identities of targets: whose rights they are, and when they end.

use kernel::{PrincipalId, ResourceId};
use uuid::Uuid;

use super::stand::Stand;
use crate::{
    access::{PutRoleAssignment, READER, RoleAssignment},
    gate::Row,
    resources::{Resource, Target, UpdateTarget},
};

impl Stand {
    fn target_id(&self) -> ResourceId {
        self.child(&["computes", "local"])
    }

    /// Says which identities the local target has.
    async fn hand(&self, system_assigned: bool, user_assigned: &[ResourceId]) -> Row<Resource<Target>> {
        let op = UpdateTarget { id: self.target_id(), system_assigned, user_assigned: user_assigned.to_vec() };
        self.ask(op).await.unwrap()
    }

    async fn grant(&self, principal: PrincipalId, scope: ResourceId) {
        self.ask(PutRoleAssignment { name: Uuid::new_v4(), scope, role: READER, principal }).await.unwrap();
    }

    /// Who holds what these tests grant, at or below a scope. The workspace's own identity holds others.
    async fn holders(&self, scope: &ResourceId) -> Vec<PrincipalId> {
        let rows = self.house.all::<RoleAssignment>(self.house.system(), b"").await.unwrap();
        let is_meant = |held: &RoleAssignment| held.role == READER && held.scope.is_within(scope);
        let within = rows.into_iter().map(|row| row.value).filter(is_meant);
        within.map(|held| held.principal).collect()
    }
}

#[tokio::test]
async fn a_target_that_loses_its_own_identity_keeps_what_others_hold_there() {
    let stand = Stand::new().await;
    let owner = stand.owner.principal().unwrap().id;
    let own = stand.hand(true, &[]).await.value.properties.identities.system.unwrap().principal;
    for (principal, scope) in [(owner, stand.target_id()), (own, stand.target_id()), (own, stand.workspace.clone())] {
        stand.grant(principal, scope).await;
    }
    stand.hand(false, &[]).await;
    assert_eq!(stand.holders(&stand.workspace).await, [owner]);
}
