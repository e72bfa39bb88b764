//! How long a session lasts.

use std::{collections::BTreeSet, time::Duration};

use kernel::{Caller, Secret, Timestamp};

use super::stand::Stand;
use crate::{
    gate::enter,
    identity::{
        EndOwnSession, ListOwnSessions, ListUserSessions, Method, NextStep, Session, SignOut, sign_in::SweepSignIns,
    },
};

async fn row(stand: &Stand, session: &Secret<String>) -> (u64, Session) {
    let id = stand.view(session).await.unwrap().id;
    let row = stand.house.peek::<Session>(stand.house.system(), id.as_bytes()).await.unwrap().unwrap();
    (row.version, row.value)
}

#[tokio::test]
async fn a_session_ends_after_an_hour_of_silence_or_half_a_day_of_use() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let session = stand.sign_in("ada").await.cookie;
    stand.pass(3599);
    assert!(stand.view(&session).await.is_some(), "used within the hour");
    for _ in 0..22 {
        stand.pass(1800);
        assert!(stand.view(&session).await.is_some());
    }
    stand.pass(1);
    assert!(stand.view(&session).await.is_none(), "half a day is over");
    let session = stand.sign_in("ada").await.cookie;
    stand.pass(3600);
    assert!(stand.view(&session).await.is_none(), "an hour of silence");
}

#[tokio::test]
async fn that_a_browser_was_heard_is_written_once_a_minute() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let session = stand.sign_in("ada").await.cookie;
    let before = stand.log().await.len();
    let mut versions = Vec::new();
    for _ in 0..121 {
        versions.push(row(&stand, &session).await.0);
        stand.pass(1);
    }
    versions.dedup();
    assert_eq!(versions, [1, 2, 3]);
    assert_eq!(stand.log().await.len(), before, "and leaves no record");
}

#[tokio::test]
async fn signing_out_disabling_and_revoking_end_it_at_once() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let session = stand.sign_in("ada").await.cookie;
    let id = stand.view(&session).await.unwrap().id;
    stand.ask(SignOut { session: session.clone() }).await;
    assert!(stand.view(&session).await.is_none());
    let kept = stand.house.peek::<Session>(stand.house.system(), id.as_bytes()).await.unwrap().unwrap();
    assert!(kept.value.ended_at.is_some(), "tokens of it are refused from now on");
    let log = stand.log().await;
    stand.ask(SignOut { session }).await;
    assert_eq!(stand.log().await.len(), log.len(), "ending it twice is nothing");

    let session = stand.sign_in("ada").await.cookie;
    stand.change("ada", |member, _| member.is_disabled = true).await;
    assert!(stand.view(&session).await.is_none());
    stand.change("ada", |member, _| member.is_disabled = false).await;
    assert!(stand.view(&session).await.is_some());
    stand.pass(1);
    let now = stand.house.now();
    stand.change("ada", |member, _| member.valid_from = now).await;
    assert!(stand.view(&session).await.is_none());
}

/// Applications may still hold tokens that came from it.
#[tokio::test]
async fn a_silent_session_is_seen_and_ended_though_it_opens_nothing() {
    let stand = Stand::new().await;
    let ada = stand.person("ada", |_, _| {}).await;
    let [silent, other] = [stand.sign_in("ada").await.cookie, stand.sign_in("ada").await.cookie];
    let [first, second] = [row(&stand, &silent).await.1.id, row(&stand, &other).await.1.id];
    let ended = async |id: uuid::Uuid| {
        let kept = stand.house.peek::<Session>(stand.house.system(), id.as_bytes()).await.unwrap().unwrap();
        kept.value.ended_at.is_some()
    };
    stand.pass(13 * 3600);
    assert!(stand.view(&silent).await.is_none());
    let listed = enter(&stand.house, &Caller::house(), ListUserSessions { principal: ada }).await.unwrap();
    assert_eq!(listed.iter().map(|session| session.id).collect::<BTreeSet<_>>(), BTreeSet::from([first, second]));
    stand.ask(SignOut { session: silent }).await;
    assert!(ended(first).await && !ended(second).await);
    let here = stand.sign_in("ada").await.cookie;
    assert_eq!(stand.ask(ListOwnSessions { session: here.clone() }).await.unwrap().len(), 2);
    assert!(stand.ask(EndOwnSession { session: here, id: second }).await && ended(second).await);
}

#[tokio::test]
async fn a_key_that_is_not_the_sessions_opens_nothing() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let session = stand.sign_in("ada").await.cookie;
    let (id, _) = session.expose().split_once('.').unwrap();
    for key in ["", ".", "x.y", id, &format!("{id}."), &format!("{id}.AAAA"), &format!("{}x", session.expose())] {
        assert!(stand.view(&Secret::new(key.to_owned())).await.is_none(), "{key}");
    }
}

#[tokio::test]
async fn a_clock_turned_back_makes_no_session_older_than_it_may_become() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let start = stand.house.now();
    let session = stand.sign_in("ada").await.cookie;
    for back in [3600, 24 * 3600, 365 * 24 * 3600] {
        stand.clock.set(Timestamp(start.0 - back * 1000));
        assert!(stand.view(&session).await.is_none(), "{back} s back");
    }
    stand.clock.set(start);
    assert!(stand.view(&session).await.is_some());
}

#[tokio::test]
async fn another_houses_word_begins_one_and_is_one_factor_unless_it_says_two() {
    let stand = Stand::new().await;
    let ada = stand.person("ada", |_, person| person.needs_mfa = true).await;
    let one = stand.start(ada, Method::Federated).await;
    assert_eq!(one.next, NextStep::EnrolSecondFactor);
    let two = stand.start(ada, Method::FederatedMultiFactor).await;
    assert_eq!(two.next, NextStep::Done);
}

#[tokio::test]
async fn sessions_that_nothing_can_come_from_are_swept() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let sweep = || async { enter(&stand.house, &Caller::house(), SweepSignIns).await.unwrap() };
    let ended = stand.sign_in("ada").await.cookie;
    let _left = stand.sign_in("ada").await;
    stand.ask(SignOut { session: ended }).await;
    assert_eq!(sweep().await, 0);
    stand.clock.advance(Duration::from_secs(24 * 3600 + 1));
    assert_eq!(sweep().await, 1, "the one that was ended");
    stand.clock.advance(Duration::from_secs(2 * 24 * 3600));
    assert_eq!(sweep().await, 1, "the one that ran out, once what was granted in it has ended, too");
    assert_eq!(sweep().await, 0);
}
