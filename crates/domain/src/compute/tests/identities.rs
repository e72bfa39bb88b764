//! Which managed identities a job's code may act as, and how long what it holds lives.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Kind, ResourceId, Result, Source};

use super::stand::{Agent, Stand};
use crate::{
    compute::{GetRunIdentityToken, Heartbeat, RunState},
    gate::{Changes, Cx, Op, enter},
    identity::{ExchangeRunToken, IdentityChoice, identify, service_token},
    resources::{
        DeleteUserAssignedIdentity, HandedIdentity, PutUserAssignedIdentity, Resource, Target, TargetIdentities,
        UpdateTarget, find,
    },
};

/// Keeps of what was handed to a target no more than the first release did.
struct KeepNamesAlone(ResourceId);

#[async_trait]
impl Op for KeepNamesAlone {
    const ACTION: Action = Action::new("Test/write", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, mut row) = find::<Target>(cx, &self.0).await?;
        for handed in &mut row.value.properties.identities.user_assigned {
            handed.principal = None;
        }
        let mut changes = Changes::new();
        changes.put::<Resource<Target>>(&shelf, &row)?;
        cx.commit(changes).await
    }
}

impl Stand {
    fn identity(&self) -> ResourceId {
        let group = self.workspace.parent();
        group.child(["providers", "Microsoft.ManagedIdentity", "userAssignedIdentities", "reader"]).unwrap()
    }

    async fn make_identity(&self) {
        let (id, tags) = (self.identity(), BTreeMap::new());
        self.ask(PutUserAssignedIdentity { id, location: String::from("local"), tags }).await.unwrap();
    }

    async fn hand_over(&self) -> Result<()> {
        let (id, user_assigned) = (self.child(&["computes", "local"]), vec![self.identity()]);
        self.ask(UpdateTarget { id, system_assigned: false, user_assigned }).await.map(drop)
    }
}

impl Agent {
    async fn has_identity(&self, stand: &Stand) -> bool {
        let resource = String::from("https://management.azure.com");
        let op = GetRunIdentityToken { address: self.address.clone(), resource, choice: IdentityChoice::default() };
        match self.tell(stand, op).await {
            Ok(_) => true,
            Err(fault) => {
                assert!(matches!(fault.kind(), Kind::Invalid | Kind::Denied), "{fault}");
                false
            }
        }
    }
}

/// Invariant I8.
#[tokio::test]
async fn an_identity_that_comes_again_under_its_name_is_not_the_one_that_was_handed_over() {
    for is_old_row in [false, true] {
        let stand = Stand::new().await;
        stand.make_identity().await;
        stand.pass(1);
        stand.hand_over().await.unwrap();
        if is_old_row {
            let target = stand.child(&["computes", "local"]);
            enter(&stand.house, &Caller::house(), KeepNamesAlone(target)).await.unwrap();
        }
        let first = stand.running("first").await;
        assert!(first.has_identity(&stand).await, "old row: {is_old_row}");
        stand.pass(1);
        // Changed, it is the same; deleted and made again, it is not.
        stand.make_identity().await;
        let second = stand.running("second").await;
        assert!(second.has_identity(&stand).await, "old row: {is_old_row}");
        stand.ask(DeleteUserAssignedIdentity { id: stand.identity() }).await.unwrap();
        stand.pass(1);
        stand.make_identity().await;
        for agent in [&first, &second] {
            assert!(!agent.has_identity(&stand).await, "old row: {is_old_row}");
            agent.finish(&stand, RunState::Completed, Some(0)).await.unwrap();
        }
        let third = stand.running("third").await;
        assert!(!third.has_identity(&stand).await, "old row: {is_old_row}");
        stand.hand_over().await.unwrap();
        third.finish(&stand, RunState::Completed, Some(0)).await.unwrap();
        assert!(stand.running("fourth").await.has_identity(&stand).await, "old row: {is_old_row}");
    }
}

/// So does a token that the code fetched with it for a scoring service.
#[tokio::test]
async fn a_service_token_of_a_job_s_identity_dies_with_the_run() {
    let stand = Stand::new().await;
    stand.make_identity().await;
    stand.hand_over().await.unwrap();
    let agent = stand.running("job").await;
    let resource = String::from("https://management.azure.com");
    let op = GetRunIdentityToken { address: agent.address.clone(), resource, choice: IdentityChoice::default() };
    let (token, _) = agent.tell(&stand, op).await.unwrap();
    let caller = identify(&stand.house, token.token.expose(), Source::internal()).await.unwrap();
    let who = caller.principal().unwrap();
    let service = service_token::issue(&stand.house, "urn:a:service", who.id, &who.proof).unwrap();
    let holder = async || service_token::holder(&stand.house, "urn:a:service", service.token.expose()).await.unwrap();
    assert!(holder().await.is_some());
    agent.finish(&stand, RunState::Completed, Some(0)).await.unwrap();
    assert!(holder().await.is_none());
}

#[tokio::test]
async fn a_narrowed_run_token_does_not_renew_itself() {
    let stand = Stand::new().await;
    let agent = stand.running("job").await;
    let scope = String::from("Microsoft.MachineLearningServices/workspaces/experiments/runs/read");
    let token = agent.assignment.token.clone();
    let op = ExchangeRunToken { tenant: String::from("common"), token, audience: None, scope };
    let narrowed = enter(&stand.house, &Caller::nobody(Source::internal()), op).await.unwrap().unwrap();
    let held = identify(&stand.house, narrowed.token.expose(), Source::internal()).await.unwrap();
    stand.pass(stand.house.settings().run_token_lifetime.as_secs() * 3 / 4);
    let beat = || Heartbeat { address: agent.address.clone(), wait: Duration::ZERO };
    assert!(enter(&stand.house, &held, beat()).await.unwrap().token.is_none());
    let renewed = enter(&stand.house, &agent.caller, beat()).await.unwrap().token;
    assert!(renewed.is_some(), "the turn is the agent's");
}

#[test]
fn what_the_first_release_kept_of_a_target_s_identities_still_opens() {
    let id = "/subscriptions/6f9619ff-8b86-d011-b42d-00c04fc964ff/resourceGroups/g";
    let old = serde_json::json!({"system": null, "user_assigned": [id]});
    let read: TargetIdentities = serde_json::from_value(old).unwrap();
    assert_eq!(read.user_assigned, [HandedIdentity { id: id.parse().unwrap(), principal: None }]);
    let text = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<TargetIdentities>(&text).unwrap(), read);
}
