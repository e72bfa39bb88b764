//! The rules of the directory, on a house over memory.

mod applications;
mod groups;
mod managed;
mod owners;
mod users;

use async_trait::async_trait;
use kernel::{
    Action, Caller, Class, Kind, Principal, PrincipalId, PrincipalKind, Proof, ResourceId, Result, Secret, Source, Who,
};
use uuid::Uuid;

use super::*;
use crate::{
    access::{APPLICATION_ADMINISTRATOR, OWNER, PutRoleAssignment, READER, USER_ADMINISTRATOR},
    gate::{Changes, Cx, Op, Row, enter},
    identity::sign_in::tests::stand::Stand,
    resources::Subscription,
};

/// A password that nobody guesses.
const PASSWORD: &str = "gravel teapot misnomer";

/// A founded house with its admin, who holds everything, and an administrator of users who holds that alone.
struct Office {
    stand: Stand,
    admin: Caller,
    clerk: Caller,
}

impl Office {
    async fn new() -> Self {
        let stand = Stand::new().await;
        enter(&stand.house, &Caller::house(), MakeSomewhere).await.unwrap();
        let people = enter(&stand.house, &Caller::house(), ListUsers { listing: Listing::default() }).await.unwrap();
        let admin = caller(&stand, people.entries[0].id);
        let clerk = enter(&stand.house, &admin, new_user("clerk")).await.unwrap().user.id;
        let office = Self { clerk: caller(&stand, clerk), stand, admin };
        office.grant(clerk, USER_ADMINISTRATOR, &ResourceId::root()).await.unwrap();
        office
    }

    async fn ask<O: Op>(&self, caller: &Caller, op: O) -> Result<O::Output> {
        enter(&self.stand.house, caller, op).await
    }

    async fn do_it<O: Op>(&self, op: O) -> O::Output {
        self.ask(&self.admin, op).await.unwrap()
    }

    /// Asks as the administrator of users; gives how it was refused.
    async fn refused<O: Op>(&self, op: O) -> Kind {
        self.ask(&self.clerk, op).await.err().map(|fault| fault.kind()).expect("must be refused")
    }

    async fn user(&self, name: &str) -> PrincipalId {
        self.do_it(new_user(name)).await.user.id
    }

    async fn group(&self, name: &str) -> PrincipalId {
        let form = GroupForm { name: Some(name.to_owned()), ..GroupForm::default() };
        self.do_it(CreateGroup { form }).await.id
    }

    async fn grant(&self, principal: PrincipalId, role: Uuid, scope: &ResourceId) -> Result<()> {
        let op = PutRoleAssignment { name: Uuid::new_v4(), scope: scope.clone(), role, principal };
        self.ask(&self.admin, op).await.map(drop)
    }

    fn may_read(&self, principal: PrincipalId) -> bool {
        let read = Action::new("Microsoft.MachineLearningServices/workspaces/read", Class::Read);
        self.stand.house.access().allows(principal, &read, &somewhere())
    }
}

/// Makes the subscription `somewhere`, in which nobody holds anything yet.
struct MakeSomewhere;

#[async_trait]
impl Op for MakeSomewhere {
    const ACTION: Action = Action::new("Test/write", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        somewhere()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let id = somewhere().subscription_id().unwrap();
        let subscription = Subscription { id, name: String::from("somewhere"), created_at: cx.now() };
        let mut changes = Changes::new();
        changes.put(cx.system(), &Row::new(id.as_bytes().as_slice(), subscription))?;
        cx.commit(changes).await
    }
}

fn somewhere() -> ResourceId {
    "/subscriptions/6f9619ff-8b86-d011-b42d-00c04fc964ff".parse().unwrap()
}

fn caller(stand: &Stand, id: PrincipalId) -> Caller {
    let state = stand.house.identity.state();
    let member = &state.members[&id];
    let principal = Principal {
        id,
        tenant: stand.house.tenant().unwrap(),
        kind: member.kind,
        app: member.app,
        name: member.name.clone(),
        proof: Proof::default(),
    };
    Caller { who: Who::Principal(principal), source: Source::internal() }
}

fn chosen(password: &str) -> NewPassword {
    NewPassword { password: Some(Secret::new(password.to_owned())), must_change: false }
}

fn new_user(name: &str) -> CreateUser {
    CreateUser {
        user_name: name.to_owned(),
        display_name: format!("{name} the tested"),
        is_enabled: true,
        password: chosen(PASSWORD),
    }
}

fn id(user: PrincipalId) -> UserKey {
    UserKey::Id(user)
}

fn update(user: PrincipalId, form: UserForm) -> UpdateUser {
    UpdateUser { user: id(user), form }
}

fn enable(is_enabled: bool) -> UserForm {
    UserForm { is_enabled: Some(is_enabled), ..UserForm::default() }
}
