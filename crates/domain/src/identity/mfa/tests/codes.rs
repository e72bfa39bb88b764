//! Authenticator codes and recovery codes.

use std::sync::Arc;

use kernel::Secret;

use super::{prove, with_totp};
use crate::{
    gate::{Actor, Outcome},
    identity::{
        Method, NextStep, ProveRecoveryCode, SecondFactor, SignInRefusal, SignedIn, Step,
        sign_in::tests::stand::{Stand, throttled},
    },
};

async fn recover(stand: &Stand, session: &Secret<String>, code: &str) -> Step<SignedIn> {
    stand.ask(ProveRecoveryCode { session: session.clone(), code: code.to_owned() }).await
}

#[tokio::test]
async fn an_enrolled_authenticator_is_always_asked_for() {
    let stand = Stand::new().await;
    let (app, _) = with_totp(&stand).await;
    let first = stand.sign_in("ada").await;
    let methods = vec![SecondFactor::Totp, SecondFactor::RecoveryCode];
    assert_eq!(first.next, NextStep::ProveSecondFactor { methods });
    let before = stand.log().await.len();
    let second = prove(&stand, &first.cookie, &app.code(&stand)).await.unwrap();
    assert_eq!(second.next, NextStep::Done);
    assert!(stand.view(&first.cookie).await.is_none(), "the key of before is worth nothing");
    let view = stand.view(&second.cookie).await.unwrap();
    assert_eq!(view.methods, [Method::Password, Method::Totp]);
    let records = stand.log_since(before).await;
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].actor.label().as_str(), &records[0].outcome), ("ada", &Outcome::Succeeded));
    assert_eq!(records[0].detail["method"], "authenticator code");
    assert_eq!(records[0].detail["session"], view.id.to_string());
}

#[tokio::test]
async fn a_code_counts_once_whatever_is_put_between_its_digits() {
    let stand = Stand::new().await;
    let (app, _) = with_totp(&stand).await;
    let code = app.code(&stand);
    let (front, back) = code.split_at(3);
    let spaced = format!(" {front} {back}");
    let first = stand.sign_in("ada").await.cookie;
    prove(&stand, &first, &spaced).await.unwrap();
    let second = stand.sign_in("ada").await.cookie;
    for again in [&code, &spaced, &format!("{code}\n"), &format!("\u{3000}{code}")] {
        assert_eq!(prove(&stand, &second, again).await.unwrap_err(), SignInRefusal::BadCode, "{again:?}");
    }
    stand.pass(30);
    let second = prove(&stand, &second, &app.code(&stand)).await.unwrap();
    assert_eq!(second.next, NextStep::Done);
}

#[tokio::test]
async fn the_code_of_the_enrolment_is_used_up() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let session = stand.sign_in("ada").await.cookie;
    let (app, _, _) = super::enrol_totp(&stand, &session).await;
    let other = stand.sign_in("ada").await.cookie;
    assert_eq!(prove(&stand, &other, &app.code(&stand)).await.unwrap_err(), SignInRefusal::BadCode);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_show_the_same_code_at_once_one_is_refused() {
    let stand = Arc::new(Stand::new().await);
    let (app, codes) = with_totp(&stand).await;
    let mut sessions = Vec::new();
    for _ in 0..6 {
        sessions.push(stand.sign_in("ada").await.cookie);
    }
    let code = app.code(&stand);
    let proving = sessions.iter().cloned().map(|session| {
        let (stand, code) = (Arc::clone(&stand), code.clone());
        tokio::spawn(async move { prove(&stand, &session, &code).await.is_ok() })
    });
    let mut proved = 0;
    for done in proving.collect::<Vec<_>>() {
        proved += usize::from(done.await.unwrap());
    }
    assert_eq!(proved, 1, "the authenticator's");
    stand.pass(3600);
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(stand.sign_in("ada").await.cookie);
    }
    let proving = sessions.into_iter().map(|session| {
        let (stand, code) = (Arc::clone(&stand), codes[0].clone());
        tokio::spawn(async move { recover(&stand, &session, code.expose()).await.is_ok() })
    });
    let mut proved = 0;
    for done in proving.collect::<Vec<_>>() {
        proved += usize::from(done.await.unwrap());
    }
    assert_eq!(proved, 1, "the recovery code's");
}

#[tokio::test]
async fn guessing_codes_is_throttled_whatever_session_it_is_done_in() {
    let stand = Stand::new().await;
    let (app, codes) = with_totp(&stand).await;
    let mut answered = 0;
    for number in 0..16 {
        let session = stand.sign_in("ada").await.cookie;
        let guess = match number % 2 {
            0 => prove(&stand, &session, &format!("{number:06}")).await,
            _ => recover(&stand, &session, &format!("0000-0000-{number:04}")).await,
        };
        answered += usize::from(guess.unwrap_err() == SignInRefusal::BadCode);
    }
    assert_eq!(answered, 5, "the right password does not forgive them");
    let session = stand.sign_in("ada").await.cookie;
    assert_eq!(
        throttled(&prove(&stand, &session, &app.code(&stand)).await),
        Some(5),
        "nor is the right code looked at"
    );
    assert_eq!(throttled(&recover(&stand, &session, codes[0].expose()).await), Some(5));
    stand.pass(5);
    assert!(prove(&stand, &session, &app.code(&stand)).await.is_ok());
    let session = stand.sign_in("ada").await.cookie;
    assert_eq!(prove(&stand, &session, "000000").await.unwrap_err(), SignInRefusal::BadCode, "all is forgiven");
}

#[tokio::test]
async fn ten_recovery_codes_count_once_each() {
    let stand = Stand::new().await;
    let (_, codes) = with_totp(&stand).await;
    assert_eq!(codes.len(), 10);
    for (number, code) in codes.iter().enumerate() {
        let session = stand.sign_in("ada").await.cookie;
        let typed = code.expose().to_lowercase().replace('-', " ");
        let signed_in = recover(&stand, &session, &typed).await.unwrap();
        assert_eq!(signed_in.next, NextStep::Done);
        let view = stand.view(&signed_in.cookie).await.unwrap();
        assert_eq!(view.methods, [Method::Password, Method::RecoveryCode]);
        assert_eq!(view.recovery_codes_left, 9 - number);
        let session = stand.sign_in("ada").await.cookie;
        let again = recover(&stand, &session, code.expose()).await.unwrap_err();
        let none_left = number == 9;
        assert_eq!(again, if none_left { SignInRefusal::NotPossible } else { SignInRefusal::BadCode });
        stand.pass(1000);
    }
    let log = stand.log().await;
    let used: Vec<_> = log.iter().filter(|record| record.detail.contains_key("codesLeft")).collect();
    assert_eq!(used.len(), 10);
    assert!(matches!(used[0].actor, Actor::Principal { .. }));
    let text = format!("{log:?}");
    assert!(codes.iter().all(|code| !text.contains(code.expose())), "no code is in the log");
}

#[tokio::test]
async fn who_has_no_such_factor_cannot_show_one() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let session = stand.sign_in("ada").await.cookie;
    assert_eq!(prove(&stand, &session, "000000").await.unwrap_err(), SignInRefusal::NotPossible);
    assert_eq!(recover(&stand, &session, "0000").await.unwrap_err(), SignInRefusal::NotPossible);
    let gone = Secret::new(String::from("gone"));
    assert_eq!(prove(&stand, &gone, "000000").await.unwrap_err(), SignInRefusal::Expired);
}
