//! What guessing costs, and what it tells.

use std::sync::Arc;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Kind, ResourceId, Result, Secret};

use super::stand::{PASSWORD, Stand, throttled, with_password};
use crate::{
    gate::{Changes, Cx, Op, Outcome, enter},
    identity::{
        ChangePassword, SignInRefusal,
        sign_in::{SweepSignIns, forgive_guesses},
    },
};

/// What a stranger sees of twelve guesses in a row, a few seconds apart: each answer as text.
async fn answers(stand: &Stand, name: &str) -> Vec<String> {
    let mut seen = Vec::new();
    for (number, wait) in [0, 0, 1, 1, 2, 3, 5, 10, 20, 40, 80, 160].into_iter().enumerate() {
        stand.pass(wait);
        let answer = stand.guess(name, &format!("wrong guess {number}")).await;
        seen.push(format!("{answer:?}"));
    }
    seen
}

#[tokio::test]
async fn no_answer_tells_whether_there_is_such_an_account() {
    let mut all = Vec::new();
    for name in ["ada", "nobody", "disabled", "without", "owner-app", "", "ada\0", "ADA "] {
        // A house each, so that the clock stands the same.
        let stand = Stand::new().await;
        stand.person("ada", |_, _| {}).await;
        stand.person("disabled", |member, _| member.is_disabled = true).await;
        stand.person("without", |_, person| person.password = None).await;
        stand.person("owner-app", |member, _| member.kind = kernel::PrincipalKind::ServicePrincipal).await;
        all.push((name, answers(&stand, name).await));
    }
    let (_, first) = &all[0];
    assert!(first[0].contains("BadCredentials") && first[11].contains("Throttled"), "{first:?}");
    for (name, seen) in &all {
        assert_eq!(seen, first, "guesses at {name:?}");
    }
}

#[tokio::test]
async fn the_right_password_of_an_account_that_may_not_sign_in_is_a_wrong_one() {
    let stand = Stand::new().await;
    stand.person("disabled", |member, _| member.is_disabled = true).await;
    stand.person("app", |member, _| member.kind = kernel::PrincipalKind::ServicePrincipal).await;
    for name in ["disabled", "app"] {
        let answer = stand.guess(name, PASSWORD).await;
        assert_eq!(answer.unwrap_err(), SignInRefusal::BadCredentials, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_guesses_made_at_once_no_more_are_answered_than_of_guesses_in_a_row() {
    let stand = Arc::new(Stand::new().await);
    stand.person("ada", |_, _| {}).await;
    let spellings = ["ada", "ADA", " ada ", "Ada", "ａｄａ", "\u{a0}aDa"];
    let mut answered = 0;
    for round in 0..3 {
        let guesses = (0..16).map(|number| {
            let stand = Arc::clone(&stand);
            let name = spellings[number % spellings.len()];
            tokio::spawn(async move { stand.guess(name, &format!("wrong {round} {number}")).await })
        });
        let guesses: Vec<_> = guesses.collect();
        for guess in guesses {
            answered += usize::from(guess.await.unwrap().unwrap_err() == SignInRefusal::BadCredentials);
        }
        stand.pass(60);
    }
    assert!((5..=10).contains(&answered), "{answered} of 48 guesses in three minutes were answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn people_who_sign_in_at_once_do_not_throttle_each_other() {
    let stand = Arc::new(Stand::new().await);
    stand.person("ada", |_, _| {}).await;
    let signing_in = (0..16).map(|_| {
        let stand = Arc::clone(&stand);
        tokio::spawn(async move { stand.ask_from(1, with_password("ada", PASSWORD)).await.unwrap().is_ok() })
    });
    let signing_in: Vec<_> = signing_in.collect();
    for signed_in in signing_in {
        assert!(signed_in.await.unwrap());
    }
}

#[tokio::test]
async fn a_throttled_guess_is_not_even_looked_at_and_the_right_one_neither() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    for _ in 0..5 {
        assert_eq!(stand.guess("ada", "wrong").await.unwrap_err(), SignInRefusal::BadCredentials);
    }
    let mut places = Vec::new();
    for _ in 0..2 {
        places.push(stand.house.identity.hashing.place().await.unwrap());
    }
    assert_eq!(throttled(&stand.guess("ada", PASSWORD).await), Some(5), "no place is free to hash, and none is needed");
    drop(places);
    stand.pass(5);
    assert!(stand.guess("ada", PASSWORD).await.is_ok(), "after the wait it is looked at");
    assert_eq!(stand.guess("ada", "wrong").await.unwrap_err(), SignInRefusal::BadCredentials, "and all is forgiven");
}

#[tokio::test]
async fn a_restart_forgives_nobody() {
    let mut stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    for name in ["ada", "nobody"] {
        for _ in 0..5 {
            let _ = stand.guess(name, "wrong").await;
        }
        stand.restart().await;
        assert_eq!(throttled(&stand.guess(name, PASSWORD).await), Some(5), "{name}");
    }
}

#[tokio::test]
async fn one_address_that_tries_many_accounts_is_slowed_down_and_others_are_not() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    for number in 0..30 {
        let answer = stand.ask_from(7, with_password(&format!("name {number}"), "wrong")).await.unwrap();
        assert_eq!(answer.unwrap_err(), SignInRefusal::BadCredentials, "guess {number}");
    }
    let answer = stand.ask_from(7, with_password("ada", PASSWORD)).await.unwrap();
    assert_eq!(throttled(&answer), Some(1));
    assert!(stand.ask_from(8, with_password("ada", PASSWORD)).await.unwrap().is_ok());
    stand.pass(1);
    assert!(stand.ask_from(7, with_password("ada", PASSWORD)).await.unwrap().is_ok());
    stand.pass(3601);
    let answer = stand.ask_from(7, with_password("name", "wrong")).await.unwrap();
    assert_eq!(answer.unwrap_err(), SignInRefusal::BadCredentials);
}

#[tokio::test]
async fn when_too_many_wait_the_rest_is_told_to_come_back() {
    let stand = Stand::new().await;
    let hashing = &stand.house.identity.hashing;
    let mut places = vec![hashing.place().await.unwrap(), hashing.place().await.unwrap()];
    let waiting: Vec<_> = (2..34).map(|_| Box::pin(hashing.place())).collect();
    let mut waiting: Vec<_> = waiting.into_iter().map(futures::FutureExt::fuse).collect();
    for place in &mut waiting {
        assert!(futures::poll!(place).is_pending());
    }
    let fault = stand.ask_from(1, with_password("ada", PASSWORD)).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Unavailable);
    places.clear();
}

#[tokio::test]
async fn the_old_password_is_guessed_under_the_same_count() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let session = stand.sign_in("ada").await.cookie;
    let change = |old: &str| ChangePassword {
        session: session.clone(),
        old: Secret::new(old.to_owned()),
        new: Secret::new(String::from("smelter gauze pivot nine")),
    };
    for _ in 0..5 {
        assert_eq!(stand.ask(change("wrong")).await.unwrap_err(), SignInRefusal::BadCredentials);
    }
    assert_eq!(throttled(&stand.ask(change(PASSWORD)).await), Some(5));
    assert_eq!(throttled(&stand.guess("ada", PASSWORD).await), Some(5));
}

#[tokio::test]
async fn a_stranger_cannot_fill_the_log() {
    let stand = Stand::new().await;
    let before = stand.log().await.len();
    for _ in 0..5 {
        let _ = stand.guess("nobody", "wrong").await;
    }
    for _ in 0..500 {
        assert!(throttled(&stand.guess("nobody", "wrong").await).is_some());
    }
    let records = stand.log_since(before).await;
    assert_eq!(records.len(), 200);
    assert_eq!(records[0].detail["reason"], "no such account");
    assert_eq!(records[0].outcome, Outcome::Failed(String::from("Unauthenticated")));
    assert_eq!(records[5].detail["reason"], "too many guesses");
    assert!(records.iter().all(|record| record.detail.values().all(|value| !value.contains("nobody"))));
    assert_eq!(stand.house.anonymous_denials(), 305);
    stand.pass(3600);
    let _ = stand.guess("nobody", "wrong").await;
    assert_eq!(stand.log().await.last().unwrap().detail["unrecordedBefore"], "305");
}

#[tokio::test]
async fn guesses_are_forgotten_in_the_end_and_swept() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let _ = stand.guess("ada", "wrong").await;
    let _ = stand.guess("nobody", "wrong").await;
    let sweep = || async { enter(&stand.house, &Caller::house(), SweepSignIns).await.unwrap() };
    assert_eq!(sweep().await, 0);
    stand.pass(3601);
    let addresses = sweep().await;
    assert!((1..=2).contains(&addresses), "{addresses}");
    stand.pass(30 * 24 * 3600);
    assert_eq!(sweep().await, 2);
    assert_eq!(sweep().await, 0);
}

struct Forgive;

#[async_trait]
impl Op for Forgive {
    const ACTION: Action = Action::new("Test/guesses/delete", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut changes = Changes::new();
        forgive_guesses(cx, &mut changes, " ADA").await?;
        cx.commit(changes).await
    }
}

#[tokio::test]
async fn an_administrator_can_forgive() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    for _ in 0..5 {
        let _ = stand.guess("ada", "wrong").await;
    }
    assert!(throttled(&stand.guess("ada", PASSWORD).await).is_some());
    enter(&stand.house, &Caller::house(), Forgive).await.unwrap();
    assert!(stand.guess("ada", PASSWORD).await.is_ok());
}
