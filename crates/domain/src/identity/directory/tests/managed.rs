//! Managed identities are principals like others: counted, and ended whole.

use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::{
    identity::{Member, State, records::Tombstone},
    resources::{DeleteUserAssignedIdentity, ListSubscriptions, PutResourceGroup, PutUserAssignedIdentity},
};

impl Office {
    /// Where a managed identity may be made.
    async fn place(&self) -> ResourceId {
        let subscription = self.do_it(ListSubscriptions).await[0].id;
        let group = ResourceId::subscription(subscription).child(["resourceGroups", "g"]).unwrap();
        self.do_it(PutResourceGroup { id: group.clone(), location: String::from("local"), tags: BTreeMap::new() })
            .await;
        group.child(["providers", "Microsoft.ManagedIdentity", "userAssignedIdentities", "trainer"]).unwrap()
    }
}

fn put(id: &ResourceId) -> PutUserAssignedIdentity {
    PutUserAssignedIdentity { id: id.clone(), location: String::from("local"), tags: BTreeMap::new() }
}

#[tokio::test]
async fn a_managed_identity_that_ends_leaves_its_tombstone_and_no_memberships() {
    let office = Office::new().await;
    let (id, group) = (office.place().await, office.group("trainers").await);
    let made = office.do_it(put(&id)).await.row.value.properties.principal;
    office.do_it(AddGroupMember { group, member: made }).await;
    office.do_it(DeleteUserAssignedIdentity { id }).await;
    let house = &office.stand.house;
    assert_eq!(house.access().memberships(), 0);
    let tombstone = house.peek::<Tombstone>(house.system(), made.as_bytes()).await.unwrap();
    assert_eq!(tombstone.unwrap().value.name, "trainer");
}

#[tokio::test]
async fn a_full_directory_takes_no_managed_identity() {
    let office = Office::new().await;
    let id = office.place().await;
    let held = office.stand.house.identity.state();
    let one = held.members.values().next().unwrap();
    let crowd = (0..MOST_PRINCIPALS).map(|_| Member { id: PrincipalId::random(), ..one.clone() });
    let members = crowd.map(|member| (member.id, member)).collect();
    office.stand.house.identity.state.store(Arc::new(State { tenant: held.tenant, members, ..State::default() }));
    assert_eq!(office.ask(&office.admin, put(&id)).await.unwrap_err().kind(), Kind::TooLarge);
}
