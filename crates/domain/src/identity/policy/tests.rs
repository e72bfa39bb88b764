//! The rules of sign-in policies, sessions and resets, on a house over memory.

use std::net::IpAddr;

use kernel::{Caller, Kind, Principal, PrincipalId, PrincipalKind, Proof, ResourceId, Source, Who};

use super::*;
use crate::{
    access::{OWNER, PutRoleAssignment, READER},
    gate::enter,
    identity::{
        EndOwnSession, EndUserSession, ListOwnSessions, ListUserSessions, NextStep, ResetSecondFactors,
        sign_in::tests::stand::Stand,
    },
};

fn owner(stand: &Stand, id: PrincipalId, contexts: &[&str]) -> Caller {
    let contexts = contexts.iter().map(|text| (*text).to_owned()).collect();
    let proof = Proof { contexts, ..Proof::default() };
    let (tenant, kind) = (stand.house.tenant().unwrap(), PrincipalKind::User);
    let principal = Principal { id, tenant, kind, app: None, name: String::from("ann"), proof };
    let source = Source { address: Some(IpAddr::from([192, 0, 2, 1])), ..Source::internal() };
    Caller { who: Who::Principal(principal), source }
}

fn terms(change: impl FnOnce(&mut PolicyTerms)) -> PolicyTerms {
    let mut terms = PolicyTerms { name: String::from("p"), is_enabled: true, everyone: true, ..PolicyTerms::default() };
    change(&mut terms);
    terms
}

fn grant(principal: PrincipalId, role: Uuid) -> PutRoleAssignment {
    PutRoleAssignment { scope: ResourceId::root(), name: Uuid::new_v4(), role, principal }
}

async fn create(stand: &Stand, terms: PolicyTerms) -> SignInPolicy {
    enter(&stand.house, &Caller::house(), CreateSignInPolicy { terms }).await.unwrap()
}

#[tokio::test]
async fn a_policy_is_about_whom_it_names_and_from_where() {
    let stand = Stand::new().await;
    let ann = stand.person("ann", |_, _| {}).await;
    let bob = stand.person("bob", |_, _| {}).await;
    let inside: IpAddr = "10.1.2.3".parse().unwrap();
    let outside: IpAddr = "192.0.2.1".parse().unwrap();
    assert!(!demands_mfa(&stand.house, ann, Some(outside)));
    for (case, asked, terms) in [
        ("everybody", [true, true], terms(|_| {})),
        ("not enabled", [false, false], terms(|terms| terms.is_enabled = false)),
        ("one", [true, false], terms(|terms| (terms.everyone, terms.principals) = (false, vec![ann]))),
        ("all but one", [true, false], terms(|terms| terms.except = vec![bob])),
        ("for operations", [false, false], terms(|terms| terms.operations = vec![OperationClass::Control])),
        ("a role nobody holds", [false, false], terms(|terms| (terms.everyone, terms.roles) = (false, vec![READER]))),
    ] {
        let policy = create(&stand, terms).await;
        let found = [ann, bob].map(|who| demands_mfa(&stand.house, who, Some(outside)));
        assert_eq!(found, asked, "{case}");
        enter(&stand.house, &Caller::house(), DeleteSignInPolicy { id: policy.id }).await.unwrap();
    }
    create(&stand, terms(|terms| terms.trusted_networks = vec!["10.0.0.0/8".parse().unwrap()])).await;
    assert!(!demands_mfa(&stand.house, ann, Some(inside)));
    assert!(demands_mfa(&stand.house, ann, Some(outside)));
    assert!(demands_mfa(&stand.house, ann, None), "an unknown address is not trusted");
}

#[tokio::test]
async fn a_person_named_by_a_policy_enrols_a_factor_at_the_next_sign_in() {
    let stand = Stand::new().await;
    stand.person("ann", |_, _| {}).await;
    assert_eq!(stand.sign_in("ann").await.next, NextStep::Done);
    create(&stand, terms(|_| {})).await;
    assert_eq!(stand.sign_in("ann").await.next, NextStep::EnrolSecondFactor);
}

#[tokio::test]
async fn an_operation_of_a_named_class_asks_for_a_second_factor() {
    let stand = Stand::new().await;
    let ann = stand.person("ann", |_, _| {}).await;
    enter(&stand.house, &Caller::house(), grant(ann, OWNER)).await.unwrap();
    create(
        &stand,
        terms(|terms| {
            (terms.everyone, terms.roles, terms.operations) = (false, vec![OWNER], vec![OperationClass::Control])
        }),
    )
    .await;
    let bob = stand.person("bob", |_, _| {}).await;
    let put = || grant(bob, READER);
    let refused = enter(&stand.house, &owner(&stand, ann, &[]), put()).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unauthenticated);
    assert!(refused.challenge().unwrap().contains(r#""value":"c1""#), "{refused:?}");
    // Reading is another class.
    enter(&stand.house, &owner(&stand, ann, &[]), crate::resources::ListTenants).await.unwrap();
    enter(&stand.house, &owner(&stand, ann, &["c1"]), put()).await.unwrap();
    let log = stand.log().await;
    let denied = log.iter().filter(|activity| activity.outcome.word() == "Denied");
    assert_eq!(denied.count(), 1, "the refusal is on record");
}

#[tokio::test]
async fn terms_that_make_no_sense_are_refused() {
    let stand = Stand::new().await;
    for (field, terms) in [
        ("displayName", terms(|terms| terms.name = String::new())),
        ("conditions.users", terms(|terms| terms.everyone = false)),
        ("conditions.users", terms(|terms| terms.except = vec![PrincipalId::random()])),
        ("conditions.users.includeRoles", terms(|terms| terms.roles = vec![Uuid::new_v4()])),
    ] {
        let refused = enter(&stand.house, &Caller::house(), CreateSignInPolicy { terms }).await.unwrap_err();
        assert_eq!((refused.kind(), refused.target()), (Kind::Invalid, Some(field)));
    }
}

#[tokio::test]
async fn people_end_their_own_sessions_and_administrators_anybody_s() {
    let stand = Stand::new().await;
    let ann = stand.person("ann", |_, _| {}).await;
    stand.person("eve", |_, _| {}).await;
    let [first, second] = [stand.sign_in("ann").await, stand.sign_in("ann").await];
    let eve = stand.sign_in("eve").await;
    let own = |session: &kernel::Secret<String>| ListOwnSessions { session: session.clone() };
    let sessions = stand.ask(own(&first.cookie)).await.unwrap();
    assert_eq!(sessions.len(), 2);
    let of_second = stand.view(&second.cookie).await.unwrap().id;

    // Somebody else's session cannot be ended, nor told from one that is not there.
    let theirs = EndOwnSession { session: eve.cookie.clone(), id: of_second };
    assert_eq!(stand.ask_from(1, theirs).await.unwrap_err().kind(), Kind::NotFound);
    assert!(stand.ask(EndOwnSession { session: first.cookie.clone(), id: of_second }).await);
    assert!(stand.view(&second.cookie).await.is_none());
    assert!(stand.ask(own(&second.cookie)).await.is_none());

    let house = Caller::house();
    let left = enter(&stand.house, &house, ListUserSessions { principal: ann }).await.unwrap();
    assert_eq!(left.len(), 1);
    enter(&stand.house, &house, EndUserSession { principal: ann, id: left[0].id }).await.unwrap();
    assert!(stand.view(&first.cookie).await.is_none());
    assert!(stand.view(&eve.cookie).await.is_some());
    let missing = enter(&stand.house, &house, ListUserSessions { principal: PrincipalId::random() }).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_reset_ends_sessions_and_takes_the_right_to_grant_what_the_person_holds() {
    let stand = Stand::new().await;
    let ann = stand.person("ann", |_, _| {}).await;
    let session = stand.sign_in("ann").await;
    stand.pass(1);
    let admin = stand.person("admin-of-people", |_, _| {}).await;
    let house = Caller::house();
    enter(&stand.house, &house, grant(admin, crate::access::USER_ADMINISTRATOR)).await.unwrap();
    let caller = owner(&stand, admin, &["c1"]);
    enter(&stand.house, &caller, ResetSecondFactors { principal: ann }).await.unwrap();
    assert!(stand.view(&session.cookie).await.is_none());
    let session = stand.sign_in("ann").await;
    enter(&stand.house, &caller, ResetSecondFactors { principal: ann }).await.unwrap();
    assert!(stand.view(&session.cookie).await.is_none(), "also what began in the same instant");
    enter(&stand.house, &house, grant(ann, OWNER)).await.unwrap();
    let refused = enter(&stand.house, &caller, ResetSecondFactors { principal: ann }).await.unwrap_err();
    assert!(matches!(refused.kind(), Kind::Denied | Kind::NotFound), "{refused:?}");
}

/// A token that was stolen must not become a way around the second factor.
#[tokio::test]
async fn nobody_resets_their_own_second_factors() {
    let stand = Stand::new().await;
    let admin = stand.person("admin-of-all", |_, _| {}).await;
    enter(&stand.house, &Caller::house(), grant(admin, crate::access::APPLICATION_ADMINISTRATOR)).await.unwrap();
    let caller = owner(&stand, admin, &["c1"]);
    let refused = enter(&stand.house, &caller, ResetSecondFactors { principal: admin }).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict, "{refused}");
}

#[test]
fn each_class_of_operations_is_itself() {
    use kernel::Class;
    let classes = [Class::Control, Class::Vault, Class::DataWrite, Class::Read, Class::Open];
    let named = [OperationClass::Control, OperationClass::Vault, OperationClass::DataWrite, OperationClass::Read];
    for (at, named) in named.into_iter().enumerate() {
        assert_eq!(classes.map(|class| named.is(class)), std::array::from_fn(|other| other == at));
    }
}
