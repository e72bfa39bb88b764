//! Refresh tokens.

use std::time::Duration;

use domain::identity::{AZURE_DEVELOPER_CLIENT, Member, Session};
use uuid::Uuid;

use super::stage::{Stage, claims_of, end, with};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_gives_the_next_one_and_other_resources() {
    let stage = Stage::new().await;
    let first = stage.tokens().await;
    let second = stage.token(&stage.refreshing(&first.text("refresh_token"))).await;
    assert_eq!(second.status, 200, "{}", second.body);
    assert_ne!(first.text("refresh_token"), second.text("refresh_token"));
    assert_eq!((first.text("scope"), first.text("client_info")), (second.text("scope"), second.text("client_info")));
    assert!(claims_of(&second.text("id_token")).get("nonce").is_none());
    let token = second.text("refresh_token");
    let third =
        stage.token(&with(&stage.refreshing(&token), &[("scope", "https://storage.azure.com/.default openid")])).await;
    assert_eq!(claims_of(&third.text("access_token"))["aud"], "https://storage.azure.com");
    let token = third.text("refresh_token");
    stage
        .token(&with(&stage.refreshing(&token), &[("scope", "https://evil.example/.default")]))
        .await
        .refuses("invalid_scope", 70_011);
    // A refusal used nothing up.
    assert_eq!(stage.token(&stage.refreshing(&token)).await.status, 200);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_is_used_twice_ends_the_grant() {
    let stage = Stage::new().await;
    let first = stage.tokens().await;
    let second = stage.token(&stage.refreshing(&first.text("refresh_token"))).await;
    assert_eq!(stage.status(&second.bearer()).await, 200);
    // Whoever comes second, thief or owner, both are out.
    stage.token(&stage.refreshing(&first.text("refresh_token"))).await.refuses("invalid_grant", 50_173);
    stage.token(&stage.refreshing(&second.text("refresh_token"))).await.refuses("invalid_grant", 50_173);
    assert_eq!((stage.status(&first.bearer()).await, stage.status(&second.bearer()).await), (401, 401));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_bound_to_its_client_and_ends_after_a_day() {
    let stage = Stage::new().await;
    let mut token = stage.tokens().await.text("refresh_token");
    let azure = AZURE_DEVELOPER_CLIENT.to_string();
    stage.token(&with(&stage.refreshing(&token), &[("client_id", &azure)])).await.refuses("invalid_grant", 70_000);
    let confidential = stage.register(|_| {}).await;
    let form = with(&stage.refreshing(&token), &[("client_id", &confidential), ("client_secret", stage.secret())]);
    stage.token(&form).await.refuses("invalid_grant", 70_000);
    for wrong in ["x", "bzt_x.y", &format!("{token}x"), &token.replace("bzt_", "bzo_")] {
        stage.token(&stage.refreshing(wrong)).await.refuses("invalid_grant", 70_000);
    }
    stage.token(&stage.refreshing("")).await.refuses("invalid_request", 900_144);
    for hour in 1..24 {
        stage.test.clock.advance(HOUR);
        let told = stage.token(&stage.refreshing(&token)).await;
        assert_eq!(told.status, 200, "hour {hour}: {}", told.body);
        token = told.text("refresh_token");
    }
    stage.test.clock.advance(HOUR);
    stage.token(&stage.refreshing(&token)).await.refuses("invalid_grant", 700_082);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_ends_with_its_person_and_its_session() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let told = stage.tokens().await;
    let set = async |is_disabled: bool| {
        stage.write::<Member>(admin.as_bytes(), |found| Member { is_disabled, ..found.unwrap() }).await;
    };
    set(true).await;
    assert_eq!(stage.status(&told.bearer()).await, 401, "cut off at once");
    stage.token(&stage.refreshing(&told.text("refresh_token"))).await.refuses("invalid_grant", 50_057);
    set(false).await;
    let told = stage.token(&stage.refreshing(&told.text("refresh_token"))).await;
    assert_eq!(told.status, 200, "{}", told.body);

    stage.test.clock.advance(Duration::from_secs(2));
    let now = stage.test.house.now();
    stage.write::<Member>(admin.as_bytes(), |found| Member { valid_from: now, ..found.unwrap() }).await;
    assert_eq!(stage.status(&told.bearer()).await, 401);
    stage.token(&stage.refreshing(&told.text("refresh_token"))).await.refuses("invalid_grant", 50_173);

    let newer = super::stage::sign_in(&stage.test).await;
    let stage = Stage { cookie: newer, ..stage };
    let told = stage.tokens().await;
    let session: Uuid = claims_of(&told.text("access_token"))["sid"].as_str().unwrap().parse().unwrap();
    let now = stage.test.house.now();
    stage.write::<Session>(session.as_bytes(), |found| end(found, now)).await;
    assert_eq!(stage.status(&told.bearer()).await, 401);
    stage.token(&stage.refreshing(&told.text("refresh_token"))).await.refuses("invalid_grant", 50_173);
    stage.end().await;
}

/// A person of whom a second factor is demanded from now on does not go on with one.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_is_held_to_what_is_demanded_now() {
    let stage = Stage::new().await;
    let told = stage.tokens().await;
    stage.demand_second_factor().await;
    let refused = stage.token(&stage.refreshing(&told.text("refresh_token"))).await;
    refused.refuses("interaction_required", 50_079);
    assert!(refused.text("claims").contains("c1"));
    stage.end().await;
}
