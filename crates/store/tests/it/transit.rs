//! The transit engine against the contract, with a real OpenBao; and what is said when it does not want, or is not there.

use std::{path::PathBuf, sync::Arc};

use kernel::{KeyProvider, Secret, StoreError};
use serde_json::json;
use store::key::{Transit, TransitAuth, TransitConfig};
use testkit::{
    ToySealing,
    conformance::{self, Persistence},
};

use crate::bao::Bao;

fn config(bao: &Bao, key: &str, token_file: PathBuf) -> TransitConfig {
    TransitConfig {
        address: bao.address.clone(),
        mount: String::from("transit"),
        key: key.to_owned(),
        namespace: None,
        ca: Some(bao.ca()),
        networks: Vec::new(),
        associated_data: true,
        auth: TransitAuth::TokenFile(token_file),
    }
}

fn provider(config: TransitConfig) -> Transit {
    Transit::new(config, Arc::new(ToySealing)).unwrap()
}

fn refusal<T: std::fmt::Debug>(end: Result<T, StoreError>) -> String {
    match end {
        Err(StoreError::Key(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transit_conforms() {
    let Some(bao) = Bao::start().await else { return };
    for (name, kind, binds) in [("gcm", "aes256-gcm96", true), ("rsa", "rsa-2048", false)] {
        let open = async |place: usize| {
            let key = format!("{name}-{place}");
            bao.post(&format!("transit/keys/{key}"), &json!({"type": kind})).await;
            let token = bao.token_for(&key).await;
            let config = config(&bao, &key, bao.secret(&key, &token));
            provider(TransitConfig { associated_data: binds, ..config })
        };
        conformance::dear_key(Persistence::Kept, open).await;
        conformance::rotating_key(open).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_takes_away_is_said() {
    let Some(bao) = Bao::start().await else { return };
    bao.post("transit/keys/k", &json!({})).await;
    let token = bao.token_for("k").await;
    let file = bao.secret("token", &token);
    let one = provider(config(&bao, "k", file.clone()));
    assert!(!one.describe().contains(&token));
    let key = Secret::new(vec![7; 32]);
    let wrapped = one.wrap(b"p", &key).await.unwrap();
    assert_eq!(one.version(&wrapped).as_deref(), Some("v1"));

    // The engine itself binds the purpose: the same ciphertext for another purpose does not even decrypt there.
    let why = refusal(one.unwrap(b"q", &wrapped).await);
    assert!(why.contains("refused") && !why.contains(&token), "{why}");

    // An old version that its operator disallowed.
    one.rotate().await.unwrap();
    assert_eq!(one.version(&one.wrap(b"p", &key).await.unwrap()).as_deref(), Some("v2"));
    bao.post("transit/keys/k/config", &json!({"min_decryption_version": 2})).await;
    assert!(refusal(one.unwrap(b"p", &wrapped).await).contains("refused"));
    bao.post("transit/keys/k/config", &json!({"min_decryption_version": 1})).await;
    one.unwrap(b"p", &wrapped).await.unwrap();

    // Another's token may not use this key, and a revoked one nothing.
    bao.secret("token", &bao.token_for("other").await);
    assert!(refusal(one.unwrap(b"p", &wrapped).await).contains("denied"));
    bao.secret("token", &token);
    one.unwrap(b"p", &wrapped).await.unwrap();
    bao.post("auth/token/revoke", &json!({"token": token})).await;
    let why = refusal(one.unwrap(b"p", &wrapped).await);
    assert!(why.contains("revoked") && !why.contains(&token), "{why}");

    // A sealed engine may be unsealed again.
    bao.post("sys/seal", &json!({})).await;
    conformance::away(&one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_role_s_token_is_drawn_anew_when_it_was_revoked_or_has_ended() {
    let Some(bao) = Bao::start().await else { return };
    bao.post("transit/keys/k", &json!({})).await;
    bao.token_for("k").await;
    bao.post("sys/auth/approle", &json!({"type": "approle"})).await;
    bao.post("auth/approle/role/house", &json!({"token_policies": ["k"], "token_ttl": "1h"})).await;
    let id = bao.post("auth/approle/role/house/role-id", &json!({"role_id": "the-house"})).await;
    assert!(id.is_null());
    let made = bao.post("auth/approle/role/house/secret-id", &json!({})).await;
    let auth = TransitAuth::AppRole {
        role_id_file: bao.secret("role", "the-house\n"),
        secret_id_file: bao.secret("secret", made["data"]["secret_id"].as_str().unwrap()),
        mount: String::from("approle"),
    };
    let one = provider(TransitConfig { auth, ..config(&bao, "k", PathBuf::new()) });
    let key = Secret::new(vec![7; 32]);
    let wrapped = one.wrap(b"p", &key).await.unwrap();
    // All of its tokens are gone; the role is not.
    bao.post("sys/leases/revoke-prefix/auth/approle/login", &json!({})).await;
    one.unwrap(b"p", &wrapped).await.unwrap();
    // Tokens that end at once are renewed or drawn anew, as it comes.
    bao.post("auth/approle/role/house", &json!({"token_policies": ["k"], "token_ttl": "1s"})).await;
    bao.post("sys/leases/revoke-prefix/auth/approle/login", &json!({})).await;
    for _ in 0..3 {
        one.unwrap(b"p", &wrapped).await.unwrap();
    }
    // The role is gone too.
    bao.post("auth/approle/role/house/secret-id/destroy", &json!({"secret_id": made["data"]["secret_id"]})).await;
    bao.post("sys/leases/revoke-prefix/auth/approle/login", &json!({})).await;
    assert!(one.unwrap(b"p", &wrapped).await.is_err());
}

#[tokio::test]
async fn one_that_is_not_there_or_not_trusted_is_away_in_time() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://127.0.0.1:{}", taken.local_addr().unwrap().port());
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "t").unwrap();
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let config = |address: &str| TransitConfig {
        address: address.to_owned(),
        mount: String::from("transit"),
        key: String::from("k"),
        namespace: None,
        ca: None,
        networks: Vec::new(),
        associated_data: true,
        auth: TransitAuth::TokenFile(token.clone()),
    };
    // It takes the connection and never says a word.
    conformance::away(&provider(config(&address))).await;
    drop(taken);
    conformance::away(&provider(config(&address))).await;
    for bad in ["http://vault.example.org:8200", "https://u:p@localhost:1", "vault", "https://localhost:1/x"] {
        let refused = Transit::new(config(bad), Arc::new(ToySealing)).map(drop);
        assert!(matches!(refused, Err(StoreError::Key(_))), "{bad}");
    }
    for (mount, key) in [("a/../b", "k"), ("transit", "a/b"), ("transit", ""), ("trans it", "k")] {
        let bad = TransitConfig { mount: mount.to_owned(), key: key.to_owned(), ..config("https://localhost:1") };
        assert!(Transit::new(bad, Arc::new(ToySealing)).is_err(), "{mount} {key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_pinned_authority_vouches_for_it() {
    let (Some(bao), Some(other)) = (Bao::start().await, Bao::start().await) else { return };
    bao.post("transit/keys/k", &json!({})).await;
    let token = bao.secret("token", &bao.token_for("k").await);
    let wrong = TransitConfig { ca: Some(other.ca()), ..config(&bao, "k", token) };
    conformance::away(&provider(wrong)).await;
}
