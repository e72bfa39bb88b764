//! Signing in with a password, and changing it.

use kernel::{Secret, Source};

use super::stand::{PASSWORD, Stand, with_password};
use crate::{
    gate::{Actor, Outcome},
    identity::{ChangePassword, Method, NextStep, PasswordFault, SignInRefusal, identify},
};

fn change(session: &Secret<String>, old: &str, new: &str) -> ChangePassword {
    ChangePassword { session: session.clone(), old: Secret::new(old.to_owned()), new: Secret::new(new.to_owned()) }
}

#[tokio::test]
async fn the_right_password_begins_a_session_and_leaves_one_record() {
    let stand = Stand::new().await;
    let ada = stand.person("ada", |_, _| {}).await;
    let before = stand.log().await.len();
    let signed_in = stand.sign_in(" ADA").await;
    assert_eq!(signed_in.next, NextStep::Done);
    let view = stand.view(&signed_in.cookie).await.unwrap();
    assert_eq!((view.user_name.as_str(), view.display_name.as_str()), ("ada", "Ada Lovelace"));
    assert_eq!((view.methods, view.next), (vec![Method::Password], NextStep::Done));
    let records = stand.log_since(before).await;
    assert_eq!(records.len(), 1, "{records:?}");
    assert!(matches!(records[0].actor, Actor::Principal { id, .. } if id == ada));
    assert_eq!(records[0].outcome, Outcome::Succeeded);
    assert_eq!(records[0].address.unwrap().to_string(), "192.0.2.1");
    assert_eq!(records[0].detail["method"], "password");
    assert_eq!(records[0].detail["result"], "signed in");
    assert_eq!(records[0].detail["session"], view.id.to_string());
}

#[tokio::test]
async fn a_wrong_one_leaves_one_record_that_names_the_account_and_not_the_guess() {
    let stand = Stand::new().await;
    let ada = stand.person("ada", |_, _| {}).await;
    let before = stand.log().await.len();
    assert!(stand.guess("ada", "a wrong guess").await.is_err());
    let records = stand.log_since(before).await;
    assert_eq!(records.len(), 1);
    assert!(matches!(records[0].actor, Actor::Principal { id, .. } if id == ada));
    assert_eq!(records[0].outcome, Outcome::Failed(String::from("Unauthenticated")));
    assert_eq!(records[0].detail["reason"], "wrong password");
    assert!(!format!("{records:?}").contains("a wrong guess"));
}

#[tokio::test]
async fn a_password_is_compared_exactly_and_has_an_end() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    for wrong in ["plum cairn obelisk ", " plum cairn obelisk", "Plum cairn obelisk", "plum cairn obelis", ""] {
        assert!(stand.guess("ada", wrong).await.is_err(), "{wrong:?}");
        stand.pass(700);
    }
    let answer = stand.guess("ada", &PASSWORD.repeat(1000)).await;
    assert_eq!(answer.unwrap_err(), SignInRefusal::BadCredentials);
}

#[tokio::test]
async fn a_password_set_by_somebody_else_has_to_be_changed() {
    let stand = Stand::new().await;
    stand.person("ada", |_, person| person.must_change = true).await;
    let signed_in = stand.sign_in("ada").await;
    assert_eq!(signed_in.next, NextStep::ChangePassword);
    let changed = stand.ask(change(&signed_in.cookie, PASSWORD, "smelter gauze pivot nine")).await.unwrap();
    assert_eq!(changed.next, NextStep::Done);
    stand.pass(1);
    assert!(stand.guess("ada", PASSWORD).await.is_err());
    let again = stand.ask(with_password("ada", "smelter gauze pivot nine")).await.unwrap();
    assert_eq!(again.next, NextStep::Done);
}

#[tokio::test]
async fn changing_it_ends_every_other_session_and_goes_on_with_a_new_one() {
    let stand = Stand::new().await;
    let ada = stand.person("ada", |_, _| {}).await;
    let (other, own) = (stand.sign_in("ada").await, stand.sign_in("ada").await);
    let before = stand.log().await.len();
    let changed = stand.ask(change(&own.cookie, PASSWORD, "smelter gauze pivot nine")).await.unwrap();
    assert!(stand.view(&other.cookie).await.is_none(), "another browser");
    assert!(stand.view(&own.cookie).await.is_none(), "the cookie of before");
    let view = stand.view(&changed.cookie).await.unwrap();
    assert_eq!((view.methods, view.next), (vec![Method::Password], NextStep::Done));
    assert!(stand.house.identity.member(ada).unwrap().valid_from >= stand.house.now(), "tokens of before are refused");
    let records = stand.log_since(before).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].action, "Microsoft.Directory/users/changePassword");
    assert!(matches!(records[0].actor, Actor::Principal { id, .. } if id == ada));
}

#[tokio::test]
async fn a_weak_new_password_is_refused_and_changes_nothing() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let session = stand.sign_in("ada").await.cookie;
    for (new, why) in [
        ("short", PasswordFault::TooShort { least: 12 }),
        ("passwordpassword", PasswordFault::Guessable),
        ("Ada Lovelace 1815", PasswordFault::Guessable),
        (PASSWORD, PasswordFault::Unchanged),
    ] {
        let refusal = stand.ask(change(&session, PASSWORD, new)).await.unwrap_err();
        assert_eq!(refusal, SignInRefusal::WeakPassword { why }, "{new}");
    }
    assert!(stand.view(&session).await.is_some());
    assert!(stand.guess("ada", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn nobody_without_a_session_or_a_password_changes_one() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let gone = Secret::new(String::from("no session"));
    let refusal = stand.ask(change(&gone, PASSWORD, "smelter gauze pivot nine")).await.unwrap_err();
    assert_eq!(refusal, SignInRefusal::Expired);
    let eve = stand.person("eve", |_, person| person.password = None).await;
    let session = stand.start(eve, Method::Federated).await.cookie;
    let refusal = stand.ask(change(&session, PASSWORD, "smelter gauze pivot nine")).await.unwrap_err();
    assert_eq!(refusal, SignInRefusal::NotPossible);
}

#[tokio::test]
async fn a_cookie_is_no_bearer_token() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let session = stand.sign_in("ada").await.cookie;
    assert!(identify(&stand.house, session.expose(), Source::internal()).await.is_err());
}
