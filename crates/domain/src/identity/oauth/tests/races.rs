//! Two who redeem one credential at once: one gets tokens, and what it gets is worth nothing, since the other shows that the
//! credential was stolen.

use std::{sync::Arc, time::Duration};

use kernel::{Result, Secret};

use super::stand::{SCOPE, Stand, at, public, refusal};
use crate::{
    gate::{Op, enter},
    identity::{
        DecideDevice, RedeemDeviceCode, RefreshTokens, StartDevice, TokenRefusal, TokenSet, oauth::code::LIFETIME,
    },
};

const ROUNDS: usize = 40;

type Answer = Result<std::result::Result<TokenSet, TokenRefusal>>;

/// Both at once, on threads of their own.
async fn both<O: Op<Output = std::result::Result<TokenSet, TokenRefusal>> + 'static>(
    stand: &Arc<Stand>,
    ops: [O; 2],
) -> Vec<Answer> {
    let barrier = Arc::new(tokio::sync::Barrier::new(2));
    let tasks = ops.map(|op| {
        let (house, barrier) = (Arc::clone(&stand.house), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            enter(&house, &at(1), op).await
        })
    });
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

/// One of the two won, and its tokens are dead.
async fn check_one_won(stand: &Stand, answers: Vec<Answer>, round: usize) {
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().map(|answer| answer.unwrap()).partition(|a| a.is_ok());
    assert_eq!((won.len(), lost.len()), (1, 1), "round {round}: {lost:?}");
    let won = won.into_iter().next().unwrap().unwrap();
    assert!(!stand.is_known(&won.access.token).await, "round {round}");
    let next = stand.ask(refresh(won.refresh_token.as_ref().unwrap())).await;
    assert_eq!(refusal(next), TokenRefusal::GrantRevoked, "round {round}");
}

fn refresh(token: &Secret<String>) -> RefreshTokens {
    RefreshTokens { client: public(), token: token.clone(), scope: String::new(), claims: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_code_redeemed_by_two_at_once() {
    let stand = Arc::new(Stand::new().await);
    for round in 0..ROUNDS {
        let code = stand.code().await;
        let answers = both(&stand, [stand.redeem(&code), stand.redeem(&code)]).await;
        check_one_won(&stand, answers, round).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refresh_token_used_by_two_at_once() {
    let stand = Arc::new(Stand::new().await);
    for round in 0..ROUNDS {
        let token = stand.tokens().await.refresh_token.unwrap();
        let answers = both(&stand, [refresh(&token), refresh(&token)]).await;
        check_one_won(&stand, answers, round).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_device_code_redeemed_by_two_at_once() {
    let stand = Arc::new(Stand::new().await);
    for round in 0..ROUNDS {
        let start = StartDevice { client: public(), scope: String::from(SCOPE), claims: None };
        let device = stand.ask(start).await.unwrap().unwrap();
        let decide = DecideDevice { session: stand.cookie.clone(), user_code: device.user_code, approve: true };
        stand.ask(decide).await.unwrap().unwrap();
        let redeem = || RedeemDeviceCode { client: public(), code: device.device_code.clone(), claims: None };
        let answers = both(&stand, [redeem(), redeem()]).await;
        check_one_won(&stand, answers, round).await;
    }
}

/// Later, too: the code is known as long as what came of it.
#[tokio::test]
async fn a_code_that_comes_again_ends_what_came_of_it() {
    let stand = Stand::new().await;
    let code = stand.code().await;
    let tokens = stand.ask(stand.redeem(&code)).await.unwrap().unwrap();
    assert!(stand.is_known(&tokens.access.token).await);
    stand.pass(LIFETIME + Duration::from_secs(1));
    assert_eq!(refusal(stand.ask(stand.redeem(&code)).await), TokenRefusal::BadCode);
    assert!(!stand.is_known(&tokens.access.token).await);
    assert_eq!(refusal(stand.ask(refresh(&tokens.refresh_token.unwrap())).await), TokenRefusal::GrantRevoked);
}

/// A guess at a grant's code does not end it: only the code itself does.
#[tokio::test]
async fn a_made_up_code_ends_nothing() {
    let stand = Stand::new().await;
    let code = stand.code().await;
    let tokens = stand.ask(stand.redeem(&code)).await.unwrap().unwrap();
    let (id, _) = code.expose().split_once('.').unwrap();
    let made_up = Secret::new(format!("{id}.{}", "A".repeat(43)));
    assert_eq!(refusal(stand.ask(stand.redeem(&made_up)).await), TokenRefusal::BadCode);
    let refresh_token = tokens.refresh_token.unwrap();
    let (id, _) = refresh_token.expose().split_once('.').unwrap();
    let made_up = Secret::new(format!("{id}.{}", "A".repeat(43)));
    assert_eq!(refusal(stand.ask(refresh(&made_up)).await), TokenRefusal::BadRefreshToken);
    assert!(stand.is_known(&tokens.access.token).await);
    assert!(stand.ask(refresh(&refresh_token)).await.unwrap().is_ok());
}
