//! Passkeys, with an authenticator in software.

use kernel::Secret;
use serde_json::Value;

use super::{SoftKey, enrol_passkey};
use crate::identity::{
    BeginPasskey, FinishPasskey, Method, NextStep, RemovePasskey, SecondFactor, SignInRefusal, SignedIn, Step,
    sign_in::tests::stand::Stand,
};

/// Shows a passkey as it is meant to be; `change` may spoil the answer.
async fn show(
    stand: &Stand,
    session: Option<&Secret<String>>,
    key: &mut SoftKey,
    change: impl FnOnce(&mut Value),
) -> Step<SignedIn> {
    let asked = stand.ask(BeginPasskey { session: session.cloned() }).await?;
    let mut credential = key.get(&asked.options);
    change(&mut credential);
    let agent = String::from("a test");
    stand.ask(FinishPasskey { session: session.cloned(), ticket: asked.ticket, credential, agent }).await
}

/// A person `ada` with a passkey, who is not signed in.
async fn with_passkey(stand: &Stand) -> SoftKey {
    stand.person("ada", |_, _| {}).await;
    let session = stand.sign_in("ada").await.cookie;
    let mut key = SoftKey::new();
    let (signed_in, codes) = enrol_passkey(stand, &session, &mut key).await.unwrap();
    assert_eq!((signed_in.next, codes.len()), (NextStep::Done, 10));
    let view = stand.view(&signed_in.cookie).await.unwrap();
    assert_eq!(view.methods, [Method::Password, Method::Passkey]);
    assert_eq!(view.passkeys[0].1, "my key");
    key
}

#[tokio::test]
async fn a_passkey_is_a_second_factor() {
    let stand = Stand::new().await;
    let mut key = with_passkey(&stand).await;
    let first = stand.sign_in("ada").await;
    let methods = vec![SecondFactor::Passkey, SecondFactor::RecoveryCode];
    assert_eq!(first.next, NextStep::ProveSecondFactor { methods });
    let before = stand.log().await.len();
    let second = show(&stand, Some(&first.cookie), &mut key, |_| {}).await.unwrap();
    assert_eq!(second.next, NextStep::Done);
    assert!(stand.view(&first.cookie).await.is_none(), "the key of before is worth nothing");
    let records = stand.log_since(before).await;
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].detail["method"].as_str(), records[0].actor.label().as_str()), ("passkey", "ada"));
}

#[tokio::test]
async fn a_passkey_signs_in_by_itself_and_is_two_factors() {
    let stand = Stand::new().await;
    let mut key = with_passkey(&stand).await;
    let signed_in = show(&stand, None, &mut key, |_| {}).await.unwrap();
    assert_eq!(signed_in.next, NextStep::Done);
    let view = stand.view(&signed_in.cookie).await.unwrap();
    assert_eq!((view.user_name.as_str(), view.methods), ("ada", vec![Method::Passkey]));
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_refused() {
    type Spoil = fn(&mut SoftKey);
    let spoilt: [(&str, Spoil); 4] = [
        ("nobody was verified", |key| key.verifies = false),
        ("another page", |key| key.origin = String::from("https://bartizan.test.evil.example")),
        ("another port", |key| key.origin = String::from("https://bartizan.test")),
        ("another site", |key| key.site = Some(String::from("evil.example"))),
    ];
    for (what, spoil) in spoilt {
        let stand = Stand::new().await;
        let mut key = with_passkey(&stand).await;
        spoil(&mut key);
        let session = stand.sign_in("ada").await.cookie;
        for session in [None, Some(&session)] {
            let refusal = show(&stand, session, &mut key, |_| {}).await.unwrap_err();
            assert_eq!(refusal, SignInRefusal::BadPasskey, "{what}");
        }
        stand.person("eve", |_, _| {}).await;
        let session = stand.sign_in("eve").await.cookie;
        let mut new = SoftKey::new();
        spoil(&mut new);
        let refusal = enrol_passkey(&stand, &session, &mut new).await.unwrap_err();
        assert_eq!(refusal, SignInRefusal::BadPasskey, "{what}, when it is enrolled");
    }
}

#[tokio::test]
async fn nobody_elses_key_answers() {
    let stand = Stand::new().await;
    let mut key = with_passkey(&stand).await;
    let eve = stand.person("eve", |_, _| {}).await;
    let session = stand.sign_in("eve").await.cookie;
    let mut eves = SoftKey::new();
    enrol_passkey(&stand, &session, &mut eves).await.unwrap();
    let session = stand.sign_in("ada").await.cookie;
    let refusal = show(&stand, Some(&session), &mut eves, |_| {}).await.unwrap_err();
    assert_eq!(refusal, SignInRefusal::BadPasskey, "eve's, as ada's second factor");
    let mut forged = SoftKey::like(&key);
    assert_eq!(
        show(&stand, None, &mut forged, |_| {}).await.unwrap_err(),
        SignInRefusal::BadPasskey,
        "ada's id, another key"
    );
    key.claims(eve.as_bytes());
    assert_eq!(show(&stand, None, &mut key, |_| {}).await.unwrap_err(), SignInRefusal::BadPasskey, "ada's, for eve");
    key.claims(b"nobody");
    assert_eq!(show(&stand, None, &mut key, |_| {}).await.unwrap_err(), SignInRefusal::BadPasskey);
    let refusal = show(&stand, None, &mut eves, |answer| answer["response"]["signature"] = "AAAA".into()).await;
    assert_eq!(refusal.unwrap_err(), SignInRefusal::BadPasskey);
    for answer in [Value::Null, serde_json::json!({}), serde_json::json!([1, 2])] {
        let refusal = show(&stand, None, &mut eves, |whole| *whole = answer).await.unwrap_err();
        assert_eq!(refusal, SignInRefusal::BadPasskey);
    }
    let session = stand.sign_in("ada").await.cookie;
    let mut like = SoftKey::like(&eves);
    assert_eq!(
        enrol_passkey(&stand, &session, &mut like).await.unwrap_err(),
        SignInRefusal::NotPossible,
        "without a second factor"
    );
}

#[tokio::test]
async fn a_credential_belongs_to_one_person() {
    let stand = Stand::new().await;
    let key = with_passkey(&stand).await;
    stand.person("eve", |_, _| {}).await;
    let session = stand.sign_in("eve").await.cookie;
    let mut same = SoftKey::like(&key);
    assert_eq!(enrol_passkey(&stand, &session, &mut same).await.unwrap_err(), SignInRefusal::BadPasskey);
}

#[tokio::test]
async fn a_count_that_goes_back_is_a_copys() {
    let stand = Stand::new().await;
    let mut key = with_passkey(&stand).await;
    key.counter = 6;
    show(&stand, None, &mut key, |_| {}).await.unwrap();
    assert_eq!(key.counter, 7);
    for back in [3, 6] {
        key.counter = back;
        assert_eq!(show(&stand, None, &mut key, |_| {}).await.unwrap_err(), SignInRefusal::BadPasskey, "after {back}");
    }
    key.counter = 0;
    let refusal = show(&stand, None, &mut key, |_| {}).await.unwrap_err();
    assert_eq!(refusal, SignInRefusal::BadPasskey, "and so does one that stops counting");
    key.counter = 7;
    show(&stand, None, &mut key, |_| {}).await.unwrap();
}

#[tokio::test]
async fn a_challenge_is_answered_once_by_who_was_asked_and_in_time() {
    let stand = Stand::new().await;
    let mut key = with_passkey(&stand).await;
    let finish = |session: Option<&Secret<String>>, ticket: &str, credential: &Value| FinishPasskey {
        session: session.cloned(),
        ticket: ticket.to_owned(),
        credential: credential.clone(),
        agent: String::new(),
    };
    let asked = stand.ask(BeginPasskey { session: None }).await.unwrap();
    let answer = key.get(&asked.options);
    stand.ask(finish(None, &asked.ticket, &answer)).await.unwrap();
    let again = stand.ask(finish(None, &asked.ticket, &answer)).await.unwrap_err();
    assert_eq!(again, SignInRefusal::Expired, "answered before");

    let asked = stand.ask(BeginPasskey { session: None }).await.unwrap();
    let answer = key.get(&asked.options);
    let elsewhere = stand.ask_from(9, finish(None, &asked.ticket, &answer)).await.unwrap();
    assert_eq!(elsewhere.unwrap_err(), SignInRefusal::Expired, "from another address");

    let asked = stand.ask(BeginPasskey { session: None }).await.unwrap();
    let answer = key.get(&asked.options);
    stand.pass(301);
    assert_eq!(stand.ask(finish(None, &asked.ticket, &answer)).await.unwrap_err(), SignInRefusal::Expired, "too late");

    let (one, other) = (stand.sign_in("ada").await.cookie, stand.sign_in("ada").await.cookie);
    let asked = stand.ask(BeginPasskey { session: Some(one) }).await.unwrap();
    let answer = key.get(&asked.options);
    let refusal = stand.ask(finish(Some(&other), &asked.ticket, &answer)).await.unwrap_err();
    assert_eq!(refusal, SignInRefusal::Expired, "in another session");

    let asked = stand.ask(BeginPasskey { session: None }).await.unwrap();
    let old = key.get(&asked.options);
    let asked = stand.ask(BeginPasskey { session: None }).await.unwrap();
    let refusal = stand.ask(finish(None, &asked.ticket, &old)).await.unwrap_err();
    assert_eq!(refusal, SignInRefusal::BadPasskey, "the answer to another challenge");
}

#[tokio::test]
async fn a_disabled_persons_passkey_opens_nothing_and_a_removed_one_neither() {
    let stand = Stand::new().await;
    let mut key = with_passkey(&stand).await;
    stand.change("ada", |member, _| member.is_disabled = true).await;
    assert_eq!(show(&stand, None, &mut key, |_| {}).await.unwrap_err(), SignInRefusal::BadPasskey);
    stand.change("ada", |member, _| member.is_disabled = false).await;
    let session = show(&stand, None, &mut key, |_| {}).await.unwrap().cookie;
    let id = stand.view(&session).await.unwrap().passkeys[0].0;
    stand.ask(RemovePasskey { session: session.clone(), id }).await.unwrap();
    let refusal = stand.ask(RemovePasskey { session: session.clone(), id }).await.unwrap_err();
    assert_eq!(refusal, SignInRefusal::NotPossible);
    assert_eq!(show(&stand, None, &mut key, |_| {}).await.unwrap_err(), SignInRefusal::BadPasskey);
    assert_eq!(show(&stand, Some(&session), &mut key, |_| {}).await.unwrap_err(), SignInRefusal::NotPossible);
    assert_eq!(stand.sign_in("ada").await.next, NextStep::Done, "it was the only factor");
}

#[tokio::test]
async fn ten_passkeys_are_enough() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let mut session = stand.sign_in("ada").await.cookie;
    for _ in 0..10 {
        session = enrol_passkey(&stand, &session, &mut SoftKey::new()).await.unwrap().0.cookie;
    }
    let refusal = enrol_passkey(&stand, &session, &mut SoftKey::new()).await.unwrap_err();
    assert_eq!(refusal, SignInRefusal::NotPossible);
    assert_eq!(stand.view(&session).await.unwrap().passkeys.len(), 10);
}

#[tokio::test]
async fn what_strangers_answer_is_recorded_in_bounds_and_without_a_name() {
    let stand = Stand::new().await;
    let mut key = with_passkey(&stand).await;
    key.verifies = false;
    let before = stand.log().await.len();
    for _ in 0..300 {
        assert!(show(&stand, None, &mut key, |_| {}).await.is_err());
    }
    let records = stand.log_since(before).await;
    assert_eq!(records.len(), 200);
    assert!(records.iter().all(|record| record.actor == crate::gate::Actor::Nobody));
}
