//! What time does: keys that take over, grants that end.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Proof, ResourceId, Result, Secret};

use super::stand::{Stand, public, refusal};
use crate::{
    gate::{Changes, Cx, Op, Row, enter},
    identity::{
        FindStale, ListSigningKeys, RefreshTokens, RemoveStale, TokenRefusal, look_after_tokens,
        oauth::{assertion::UsedAssertion, grant::OpenGrant},
        service_token,
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

/// Assertions that were used, as many requests leave them behind.
struct Used(usize);

#[async_trait]
impl Op for Used {
    const ACTION: Action = Action::new("Test/write", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut changes = Changes::new();
        for at in 0..self.0 {
            let used = UsedAssertion { address: None, uses: Vec::new(), expires_at: cx.now().plus(HOUR) };
            changes.put(cx.system(), &Row::new(at.to_be_bytes().as_slice(), used))?;
        }
        cx.commit(changes).await
    }
}

#[tokio::test]
async fn one_look_removes_all_that_is_stale_however_much_there_is() {
    let stand = Stand::new().await;
    let _tokens = stand.tokens().await;
    enter(&stand.house, &Caller::house(), Used(1700)).await.unwrap();
    stand.pass(26 * HOUR);
    look_after_tokens(&stand.house).await.unwrap();
    let system = stand.house.system();
    assert_eq!(stand.house.all::<UsedAssertion>(system, b"").await.unwrap().len(), 0);
    assert_eq!(stand.house.all::<OpenGrant>(system, b"").await.unwrap().len(), 0);
    assert!(!enter(&stand.house, &Caller::house(), FindStale).await.unwrap().rows);
}

/// Whoever uses many assertions keeps no grant alive.
#[tokio::test]
async fn each_kind_of_row_has_a_share_of_its_own() {
    let stand = Stand::new().await;
    let _tokens = stand.tokens().await;
    enter(&stand.house, &Caller::house(), Used(600)).await.unwrap();
    stand.pass(26 * HOUR);
    assert_eq!(
        enter(&stand.house, &Caller::house(), RemoveStale).await.unwrap(),
        502,
        "a grant with its one token, too"
    );
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
