//! Delegation keys: what ends them.

use kernel::{Clock, Secret, Timestamp};
use outbound::Method;
use serde_json::json;

use super::stage::{Stage, Told, delegated, grant, leaf, storage_token, told};
use crate::{
    house::{TestHouse, Who},
    oauth::{WithPerson, claims_of, with},
};

async fn key_for(test: &TestHouse, account: &str, token: &Secret<String>, seconds: i64) -> Told {
    let at = |seconds: i64| Timestamp((test.clock.now().seconds() + seconds) * 1000).rfc3339();
    let info = format!("<KeyInfo><Start>{}</Start><Expiry>{}</Expiry></KeyInfo>", at(0), at(seconds));
    let place = format!("/blob/{account}?restype=service&comp=userdelegationkey");
    let call = test.client().call(Method::POST, &place).body("application/xml", info.into_bytes());
    told(call.bearer(token)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_s_key_ends_with_the_sign_in_it_came_from() {
    let stage = WithPerson::new().await;
    let (test, owner) = (&stage.test, stage.callers.token(Who::Owner).unwrap());
    let made = test.ask(Some(owner), Method::GET, &test.workspace(), None).await.1;
    let id = made["properties"]["storageAccount"].as_str().unwrap().to_owned();
    let account = id.rsplit('/').next().unwrap().to_owned();
    let tokens = stage.tokens().await;
    let oid = claims_of(&tokens.text("access_token"))["oid"].as_str().unwrap().to_owned();
    grant(test, owner, &oid, domain::access::BLOB_DATA_OWNER, &id).await;
    let refresh = tokens.text("refresh_token");
    let scope = [("scope", "https://storage.azure.com/.default")];
    let bearer = stage.token(&with(&stage.refreshing(&refresh), &scope)).await.bearer();
    let put = |place: &str, kind: &str| {
        let call = test.client().call(Method::PUT, &format!("/blob/{account}/{place}"));
        call.header("x-ms-blob-type", kind).body("application/octet-stream", b"x".to_vec()).bearer(&bearer)
    };
    told(put("box?restype=container", "BlockBlob")).await.is(201);
    told(put("box/a", "BlockBlob")).await.is(201);
    let key = key_for(test, &account, &bearer, 3 * 86_400).await.is(200).text();
    let end = Timestamp::parse_rfc3339(&leaf(&key, "SignedExpiry")).unwrap();
    assert!(end <= test.clock.now().plus(std::time::Duration::from_secs(86_400)), "no sign-in lasts longer: {key}");
    let se = Timestamp((test.clock.now().seconds() + 600) * 1000).rfc3339();
    let sas = delegated(&key, &account, "box/a", "b", "r", &se);
    let get = async || told(test.client().call(Method::GET, &format!("/blob/{account}/box/a?{sas}"))).await;
    get().await.is(200);
    // What a key signs is never asked for a second factor, so whoever must show one for writing shows it for the key.
    let terms = json!({"displayName": "writers", "state": "enabled",
        "conditions": {"users": {"includeUsers": ["All"]}, "operations": ["dataWrite"]},
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]}});
    let policies = "/graph/v1.0/identity/conditionalAccess/policies";
    let (status, made) = test.ask(Some(owner), Method::POST, policies, Some(&terms)).await;
    assert_eq!(status, 201, "{made}");
    let asked = key_for(test, &account, &bearer, 600).await;
    assert!(asked.status == 401 && asked.headers["www-authenticate"].contains("insufficient_claims"), "{asked:?}");
    let place = format!("{policies}/{}", made["id"].as_str().unwrap());
    test.ask(Some(owner), Method::DELETE, &place, None).await;
    get().await.is(200);
    // A refresh token that comes twice ends the grant, and with it all that came of it.
    stage.token(&stage.refreshing(&refresh)).await.refuses("invalid_grant", 50_173);
    get().await.refuses(403, "AuthenticationFailed");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_revoked_by_the_account_and_with_the_secret_that_got_them() {
    let stage = Stage::new().await;
    stage.put("a", b"x").await.is(201);
    let owner = stage.callers.token(Who::Owner).unwrap();
    let body = json!({"displayName": "robot"});
    let robot = stage.test.ask(Some(owner), Method::POST, "/graph/v1.0/servicePrincipals", Some(&body)).await.1;
    let text = |pointer: &str| robot.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    grant(&stage.test, owner, &text("/id"), domain::access::BLOB_DATA_READER, &stage.id).await;
    let (app, secret) = (text("/appId"), text("/passwordCredentials/0/secretText"));
    let scope = "https://storage.azure.com/.default";
    let token = storage_token(&stage.test, &app, &secret, scope).await;
    let ask = async || key_for(&stage.test, &stage.account, &token, 1200).await.is(200).text();
    let sas = |key: &str| delegated(key, &stage.account, "box/a", "b", "r", &stage.at(600));
    let get = async |sas: &str| stage.bare(Method::GET, &format!("/box/a?{sas}"), &[], b"").await;
    let first = sas(&ask().await);
    get(&first).await.is(200);
    // Another who asks for the same in the same moment has a key of their own.
    let mine = key_for(&stage.test, &stage.account, &stage.token, 1200).await.is(200).text();
    get(&delegated(&mine, &stage.account, "box/a", "b", "r", &stage.at(600))).await.is(200);
    let revoke = format!("{}/revokeUserDelegationKeys", stage.id);
    let reader = stage.callers.token(Who::Reader);
    assert_eq!(stage.test.ask(reader, Method::POST, &revoke, Some(&json!({}))).await.0, 403);
    get(&first).await.is(200);
    assert_eq!(stage.test.ask(Some(owner), Method::POST, &revoke, None).await.0, 200);
    get(&first).await.refuses(403, "AuthenticationFailed");
    let second = sas(&ask().await);
    get(&second).await.is(200);
    // When the secret that it was asked for with is removed, its tokens end, and what they brought.
    stage.test.clock.advance(std::time::Duration::from_secs(2));
    let remove = json!({"keyId": text("/passwordCredentials/0/keyId")});
    let place = format!("/graph/v1.0/applications/{app}/removePassword");
    let (status, said) = stage.test.ask(Some(owner), Method::POST, &place, Some(&remove)).await;
    assert!(status == 200 || status == 204, "{said}");
    get(&second).await.refuses(403, "AuthenticationFailed");
    stage.test.end().await;
}
