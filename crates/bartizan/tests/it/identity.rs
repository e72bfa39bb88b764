//! Sign-in: tokens, their lifetimes, their keys.

use std::time::Duration;

use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

async fn status(test: &TestHouse, token: &kernel::Secret<String>) -> u16 {
    test.ask(Some(token), Method::GET, &test.workspace(), None).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_works_for_its_hour_and_not_longer() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner).unwrap();
    test.clock.advance(Duration::from_secs(59 * 60));
    assert_eq!(status(&test, owner).await, 200);
    test.clock.advance(Duration::from_secs(2 * 60));
    let (status, body) = test.ask(Some(owner), Method::GET, &test.workspace(), None).await;
    assert_eq!(status, 401);
    assert_eq!(body["error"]["code"], "InvalidAuthenticationToken");
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotating_the_signing_key_keeps_old_tokens_until_they_expire() {
    let (test, callers) = TestHouse::new().await;
    let old = callers.token(Who::Owner).unwrap().clone();
    let keys = format!("/{}/discovery/v2.0/keys", test.founded.tenant);
    let rotated = test.ask(Some(&old), Method::POST, "/graph/v1.0/signingKeys/rotate", Some(&json!({}))).await;
    assert_eq!(rotated.0, 200, "{}", rotated.1);
    assert_eq!(status(&test, &old).await, 200);
    assert_eq!(test.ask(None, Method::GET, &keys, None).await.1["keys"].as_array().unwrap().len(), 2);
    let new = test.token(&test.founded.app.to_string(), test.founded.client_secret.expose()).await.unwrap();
    assert_eq!(status(&test, &new).await, 200);

    test.clock.advance(Duration::from_secs(61 * 60 + 61));
    let newest = test.token(&test.founded.app.to_string(), test.founded.client_secret.expose()).await.unwrap();
    let again = test.ask(Some(&newest), Method::POST, "/graph/v1.0/signingKeys/rotate", Some(&json!({}))).await;
    assert_eq!(again.0, 200);
    // The first key is gone, since every token under it has expired.
    assert_eq!(test.ask(None, Method::GET, &keys, None).await.1["keys"].as_array().unwrap().len(), 2);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_once_and_a_role_takes_an_object_id() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let all = "/graph/v1.0/servicePrincipals";
    let (_, made) = test.ask(owner, Method::POST, all, Some(&json!({"displayName": "robot"}))).await;
    let secret = made["passwordCredentials"][0]["secretText"].as_str().unwrap().to_owned();
    let (_, listed) = test.ask(owner, Method::GET, all, None).await;
    assert!(!listed.to_string().contains(&secret) && !listed.to_string().contains("secretText"));

    let place = |id: &str| format!("{}/providers/Microsoft.Authorization/roleAssignments/{id}", test.group());
    let body = |principal: &Value| {
        json!({"properties": {
            "roleDefinitionId": format!("/providers/Microsoft.Authorization/roleDefinitions/{}", domain::access::READER),
            "principalId": principal,
        }})
    };
    let name = "11111111-2222-3333-4444-555555555555";
    assert_eq!(test.ask(owner, Method::PUT, &place(name), Some(&body(&made["appId"]))).await.0, 400);
    assert_eq!(test.ask(owner, Method::PUT, &place(name), Some(&body(&made["id"]))).await.0, 201);
    let twin = "11111111-2222-3333-4444-666666666666";
    assert_eq!(test.ask(owner, Method::PUT, &place(twin), Some(&body(&made["id"]))).await.0, 409);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_secret_works_beside_the_first() {
    let (test, callers) = TestHouse::new().await;
    let place = format!("/graph/v1.0/servicePrincipals/{}/addPassword", test.founded.principal);
    let (status, made) = test.ask(callers.token(Who::Owner), Method::POST, &place, Some(&json!({}))).await;
    assert_eq!(status, 200, "{made}");
    let fresh = made["secretText"].as_str().unwrap();
    let app = test.founded.app.to_string();
    assert!(test.token(&app, fresh).await.is_ok());
    assert!(test.token(&app, test.founded.client_secret.expose()).await.is_ok());
    test.end().await;
}

/// Wrong secret, unknown client, foreign scope, other grants, doubled parameters: each in OAuth's form.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_come_in_oauth_s_form() {
    let (test, _) = TestHouse::new().await;
    let place = format!("/{}/oauth2/v2.0/token", test.founded.tenant);
    let app = test.founded.app.to_string();
    let good = test.founded.client_secret.expose().clone();
    let url = format!("{}/.default", test.house.settings().url);
    let grant = "client_credentials";
    let cases = [
        (
            401,
            "invalid_client",
            vec![("grant_type", grant), ("client_id", &app), ("client_secret", "x"), ("scope", &url)],
        ),
        (
            400,
            "unauthorized_client",
            vec![("grant_type", grant), ("client_id", "x"), ("client_secret", "x"), ("scope", &url)],
        ),
        (
            400,
            "invalid_scope",
            vec![
                ("grant_type", grant),
                ("client_id", &app),
                ("client_secret", &good),
                ("scope", "https://evil/.default"),
            ],
        ),
        (
            400,
            "unsupported_grant_type",
            vec![("grant_type", "password"), ("client_id", &app), ("client_secret", &good), ("scope", &url)],
        ),
        (
            400,
            "invalid_request",
            vec![("grant_type", grant), ("grant_type", grant), ("client_id", &app), ("client_secret", &good)],
        ),
    ];
    for (status, code, form) in cases {
        let answer = test.client().post(&place).form(&form).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{code}");
        let body: Value = serde_json::from_slice(&answer.bytes(65536).await.unwrap()).unwrap();
        assert_eq!(body["error"], code);
        assert!(body["error_description"].as_str().unwrap().starts_with("AADSTS"));
    }
    let elsewhere = "/6f9619ff-8b86-d011-b42d-00c04fc964ff/v2.0/.well-known/openid-configuration";
    let (status, body) = test.ask(None, Method::GET, elsewhere, None).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_tenant")));
    test.end().await;
}

/// A token for a data plane does not open the control plane, nor does one of another installation.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_another_audience_is_refused() {
    let (test, _) = TestHouse::new().await;
    let (other, strangers) = TestHouse::new().await;
    let place = format!("/{}/oauth2/v2.0/token", test.founded.tenant);
    let app = test.founded.app.to_string();
    let scope = "https://storage.azure.com/.default";
    let secret = test.founded.client_secret.expose();
    let form = [("grant_type", "client_credentials"), ("client_id", &app), ("client_secret", secret), ("scope", scope)];
    let answer: Value = test.client().post(&place).form(&form).send_for_json().await.unwrap();
    let token = kernel::Secret::new(answer["access_token"].as_str().unwrap().to_owned());
    assert_eq!(status(&test, &token).await, 401);
    assert_eq!(status(&test, strangers.token(Who::Owner).unwrap()).await, 401);
    test.end().await;
    other.end().await;
}
