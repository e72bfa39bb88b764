//! An application that is disabled or deleted: what it holds for people ends with it.

use kernel::Caller;

use super::stand::{Stand, refusal};
use crate::{
    gate::{Op, enter},
    identity::{
        ClientClaim, ClientProof, DeleteApplication, RedeemCode, RefreshTokens, TokenRefusal, TokenSet,
        UpdateServicePrincipal,
    },
};

/// The application of the house, as one that people use.
async fn stand() -> (Stand, ClientClaim) {
    let stand = Stand::new().await;
    stand
        .change_application(|application| {
            application.is_public = true;
            application.redirect_uris = vec![String::from("http://localhost")];
        })
        .await;
    let (tenant, id) = (String::from("common"), stand.founded.app.to_string());
    (stand, ClientClaim { tenant, id, proof: ClientProof::None })
}

/// The admin's tokens for the application.
async fn tokens(stand: &Stand, client: &ClientClaim) -> TokenSet {
    let code = stand.code_for(&client.id).await;
    stand.ask(RedeemCode { client: client.clone(), ..stand.redeem(&code) }).await.unwrap().unwrap()
}

fn refresh(tokens: &TokenSet, client: &ClientClaim) -> RefreshTokens {
    let token = tokens.refresh_token.clone().unwrap();
    RefreshTokens { client: client.clone(), token, scope: String::new(), claims: None }
}

async fn administer<O: Op>(stand: &Stand, op: O) {
    enter(&stand.house, &Caller::house(), op).await.unwrap();
}

#[tokio::test]
async fn an_application_that_is_disabled_holds_nothing_for_people_any_more() {
    let (stand, client) = stand().await;
    let (others, held) = (stand.tokens().await, tokens(&stand, &client).await);
    assert!(stand.is_known(&held.access.token).await);
    let enable = |is_enabled| UpdateServicePrincipal {
        principal: stand.founded.principal,
        name: None,
        is_enabled: Some(is_enabled),
    };
    administer(&stand, enable(false)).await;
    assert!(!stand.is_known(&held.access.token).await);
    assert_eq!(refusal(stand.ask(refresh(&held, &client)).await), TokenRefusal::Disabled);
    // What it held before does not come back with it, and what it gets from then on counts at once.
    administer(&stand, enable(true)).await;
    assert!(!stand.is_known(&held.access.token).await);
    assert_eq!(refusal(stand.ask(refresh(&held, &client)).await), TokenRefusal::GrantRevoked);
    assert!(stand.is_known(&tokens(&stand, &client).await.access.token).await);
    assert!(stand.is_known(&others.access.token).await, "other applications are not touched");
}

#[tokio::test]
async fn an_application_that_is_deleted_holds_nothing_for_people_any_more() {
    let (stand, client) = stand().await;
    let (others, held) = (stand.tokens().await, tokens(&stand, &client).await);
    administer(&stand, DeleteApplication { app: stand.founded.app }).await;
    assert!(!stand.is_known(&held.access.token).await);
    assert_eq!(refusal(stand.ask(refresh(&held, &client)).await), TokenRefusal::UnknownClient);
    assert!(stand.is_known(&others.access.token).await);
}
