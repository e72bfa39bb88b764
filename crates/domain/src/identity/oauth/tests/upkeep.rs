//! What time does: keys that take over, grants that end.

use std::time::Duration;

use kernel::{Caller, Proof, Secret};

use super::stand::{Stand, public, refusal};
use crate::{
    gate::enter,
    identity::{
        FindStale, ListSigningKeys, RefreshTokens, RemoveStale, TokenRefusal, look_after_tokens, service_token,
    },
};

const HOUR: Duration = Duration::from_secs(3600);

async fn kids(stand: &Stand) -> Vec<String> {
    let keys = stand.ask(ListSigningKeys { tenant: String::from("common") }).await.unwrap();
    keys.into_iter().map(|key| key.kid).collect()
}

fn refresh(token: &Secret<String>) -> RefreshTokens {
    RefreshTokens { client: public(), token: token.clone(), scope: String::new(), claims: None }
}

#[tokio::test]
async fn a_key_takes_over_when_the_old_one_is_due_and_no_token_notices() {
    let stand = Stand::new().await;
    look_after_tokens(&stand.house).await.unwrap();
    let first = kids(&stand).await;
    stand.pass(30 * 24 * HOUR - Duration::from_secs(1));
    look_after_tokens(&stand.house).await.unwrap();
    assert_eq!(kids(&stand).await, first);
    let service =
        service_token::issue(&stand.house, "urn:a:service", stand.founded.principal, &Proof::default()).unwrap();
    stand.pass(Duration::from_secs(2));
    look_after_tokens(&stand.house).await.unwrap();
    let both = kids(&stand).await;
    assert!(both.len() == 2 && both[1] == first[0], "the newest signs, the old one still verifies");
    stand.pass(HOUR - Duration::from_secs(3));
    let holder = service_token::holder(&stand.house, "urn:a:service", service.token.expose()).await.unwrap();
    assert_eq!(holder.map(|holder| holder.id), Some(stand.founded.principal));
    // Its last token is gone for an hour by then: so is the key.
    stand.pass(HOUR + Duration::from_secs(100));
    look_after_tokens(&stand.house).await.unwrap();
    assert_eq!(kids(&stand).await, both[..1]);
}

#[tokio::test]
async fn a_grant_ends_after_a_day_and_is_forgotten_after_that() {
    let stand = Stand::new().await;
    let mut token = stand.tokens().await.refresh_token.unwrap();
    for _ in 0..23 {
        stand.pass(HOUR);
        let next = stand.ask(refresh(&token)).await.unwrap().unwrap();
        token = next.refresh_token.unwrap();
    }
    stand.pass(HOUR);
    assert_eq!(refusal(stand.ask(refresh(&token)).await), TokenRefusal::GrantExpired);
    let house = Caller::house();
    assert!(!enter(&stand.house, &house, FindStale).await.unwrap().rows, "kept for another hour");
    stand.pass(HOUR);
    assert!(enter(&stand.house, &house, FindStale).await.unwrap().rows);
    // The grant and its 24 refresh tokens.
    assert_eq!(enter(&stand.house, &house, RemoveStale).await.unwrap(), 25);
    assert!(!enter(&stand.house, &house, FindStale).await.unwrap().rows);
    assert_eq!(refusal(stand.ask(refresh(&token)).await), TokenRefusal::BadRefreshToken);
}
