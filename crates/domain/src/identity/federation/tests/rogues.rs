//! What a rogue provider, a rogue network and a rogue browser try.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::stand::{Answer, Stand, fresh_keys, jwk};
use crate::{
    gate::Outcome,
    identity::{BeginFederatedSignIn, FederationRefusal, ProviderForm},
};

type Spoil = Box<dyn FnOnce(&mut Answer) + Send>;

fn spoil(change: impl FnOnce(&mut Answer) + Send + 'static) -> Spoil {
    Box::new(change)
}

/// The token with another header.
fn with_header(header: Value) -> Spoil {
    spoil(move |answer| {
        answer.forge = Box::new(move |token| {
            let rest = token.split_once('.').unwrap().1;
            format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
        });
    })
}

#[tokio::test]
async fn no_forged_token_signs_anybody_in() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let (now, kid) = (stand.house.now().seconds(), idp.keys.public()[0].kid.clone());
    let cases: Vec<(&str, Spoil)> = vec![
        ("another issuer", spoil(|answer| answer.set("iss", json!("https://evil.example")))),
        ("the issuer with a slash", spoil(|answer| answer.set("iss", json!("https://idp.example/")))),
        ("no issuer", spoil(|answer| answer.remove("iss"))),
        ("another audience", spoil(|answer| answer.set("aud", json!("somebody-else")))),
        ("no audience", spoil(|answer| answer.remove("aud"))),
        ("several audiences, no party", spoil(|answer| answer.set("aud", json!(["bartizan", "somebody-else"])))),
        ("another party", spoil(|answer| answer.set("azp", json!("somebody-else")))),
        ("a party that is no text", spoil(|answer| answer.set("azp", json!(["bartizan"])))),
        ("expired", spoil(move |answer| answer.set("exp", json!(now - 60)))),
        ("without end", spoil(|answer| answer.remove("exp"))),
        ("an end that is a text", spoil(|answer| answer.set("exp", json!("tomorrow")))),
        ("issued later", spoil(move |answer| answer.set("iat", json!(now + 61)))),
        ("not yet", spoil(move |answer| answer.set("nbf", json!(now + 61)))),
        ("issued never", spoil(|answer| answer.remove("iat"))),
        ("another nonce", spoil(|answer| answer.set("nonce", json!("another")))),
        ("no nonce", spoil(|answer| answer.remove("nonce"))),
        ("no subject", spoil(|answer| answer.remove("sub"))),
        ("an empty subject", spoil(|answer| answer.set("sub", json!("")))),
        ("a subject that is a number", spoil(|answer| answer.set("sub", json!(1)))),
        ("another access token", spoil(|answer| answer.set("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")))),
        ("an access token", spoil(|answer| answer.kind = String::from("at+jwt"))),
        ("a logout token", spoil(|answer| answer.kind = String::from("logout+jwt"))),
        ("alg none", with_header(json!({"typ": "JWT", "alg": "none", "kid": kid}))),
        ("alg none in capitals", with_header(json!({"typ": "JWT", "alg": "NONE", "kid": kid}))),
        ("a keyed hash", with_header(json!({"typ": "JWT", "alg": "HS256", "kid": kid}))),
        ("RSA over a curve's key", with_header(json!({"typ": "JWT", "alg": "RS256", "kid": kid}))),
        ("something critical", with_header(json!({"typ": "JWT", "alg": "ES256", "kid": kid, "crit": ["exp"]}))),
        (
            "no signature",
            spoil(|answer| answer.forge = Box::new(|token| token.rsplit_once('.').unwrap().0.to_owned() + ".")),
        ),
        (
            "a stripped signature",
            spoil(|answer| answer.forge = Box::new(|token| token.rsplit_once('.').unwrap().0.to_owned())),
        ),
        ("somebody else's key", spoil(|answer| answer.keys = Some(fresh_keys()))),
        (
            "a key that is brought along",
            spoil(|answer| {
                let keys = fresh_keys();
                let header = json!({"typ": "JWT", "alg": "ES256", "jwk": jwk(keys.public().remove(0))});
                answer.keys = Some(keys);
                with_header(header)(answer);
            }),
        ),
        ("no token", spoil(|answer| answer.forge = Box::new(|_| String::from("token")))),
    ];
    for (name, change) in cases {
        let refused = stand.sign_in(&idp, provider.id, change).await.unwrap_err();
        assert_eq!(refused, FederationRefusal::Unbelievable, "{name}");
        let record = stand.log().await.pop().unwrap();
        assert_eq!(record.detail["result"], "refused", "{name}");
        assert_eq!(record.outcome, Outcome::Failed(String::from("Unauthenticated")), "{name}");
    }
    // What is right within the skew, and an `at_hash` that fits, are fine.
    let digest = seal::Sha256::of(b"at");
    let hash = URL_SAFE_NO_PAD.encode(&digest[..16]);
    let right = spoil(move |answer| {
        answer.set("exp", json!(now - 59));
        answer.set("nbf", json!(now + 60));
        answer.set("aud", json!(["bartizan", "somebody-else"]));
        answer.set("azp", json!("bartizan"));
        answer.set("at_hash", json!(hash));
    });
    stand.sign_in(&idp, provider.id, right).await.unwrap();
}

#[tokio::test]
async fn an_answer_works_once_in_the_browser_that_asked() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let (outcome, again) = stand.sign_in_for(&idp, provider.id, |_| {}).await;
    outcome.unwrap();
    let codes = stand.elsewhere.times(&idp.place("token"));
    assert_eq!(stand.browse(again).await.unwrap_err(), FederationRefusal::Expired, "replayed");

    let (_, other) = stand.begin(provider.id).await;
    let form = ProviderForm { creates_users: Some(true), ..ProviderForm::default() };
    let (_, second) = stand.known("https://other.example", form).await;
    let second = second.id;
    let cases: Vec<(&str, Spoil)> = vec![
        ("another browser", spoil(move |answer| answer.cookie = Some(other))),
        ("a browser without a cookie", spoil(|answer| answer.cookie = None)),
        ("another state", spoil(|answer| answer.state = String::from("made-up"))),
        ("another provider's address", spoil(move |answer| answer.provider = second)),
    ];
    for (name, change) in cases {
        let refused = stand.sign_in(&idp, provider.id, change).await.unwrap_err();
        assert_eq!(refused, FederationRefusal::Expired, "{name}");
    }
    assert_eq!(stand.elsewhere.times(&idp.place("token")), codes, "no code was redeemed");

    // A refused answer is used up too: the same state does not get a second code.
    let (outcome, again) = stand.sign_in_for(&idp, provider.id, |answer| answer.set("nonce", json!("x"))).await;
    assert_eq!(outcome.unwrap_err(), FederationRefusal::Unbelievable);
    assert_eq!(stand.browse(again).await.unwrap_err(), FederationRefusal::Expired);
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_nobody_s() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let clock = stand.clock.clone();
    let late = spoil(move |_| clock.advance(std::time::Duration::from_secs(600)));
    assert_eq!(stand.sign_in(&idp, provider.id, late).await.unwrap_err(), FederationRefusal::Expired);
}

#[tokio::test]
async fn answers_are_not_mixed_up() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    for issuer in [None, Some(String::from("https://evil.example"))] {
        let mixed = spoil(move |answer| answer.issuer = issuer);
        assert_eq!(stand.sign_in(&idp, provider.id, mixed).await.unwrap_err(), FederationRefusal::Unbelievable);
    }
    let declined = spoil(|answer| answer.error = Some(String::from("access_denied")));
    assert_eq!(stand.sign_in(&idp, provider.id, declined).await.unwrap_err(), FederationRefusal::Declined);
    // An error of another issuer is another issuer's.
    let mixed = spoil(|answer| {
        answer.error = Some(String::from("access_denied"));
        answer.issuer = Some(String::from("https://evil.example"));
    });
    assert_eq!(stand.sign_in(&idp, provider.id, mixed).await.unwrap_err(), FederationRefusal::Unbelievable);
}

#[tokio::test]
async fn a_replayed_code_is_for_the_provider_to_refuse_and_a_silent_one_is_away() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let (place, elsewhere) = (idp.place("token"), stand.elsewhere.clone());
    for (status, body, refusal) in [
        (400, json!({"error": "invalid_grant"}), FederationRefusal::Unbelievable),
        (401, json!({"error": "invalid_client"}), FederationRefusal::Unbelievable),
        (200, json!({"access_token": "at"}), FederationRefusal::Unbelievable),
        (302, json!({"id_token": "x"}), FederationRefusal::Unbelievable),
        (503, json!({}), FederationRefusal::Away),
        (429, json!({}), FederationRefusal::Away),
    ] {
        let (said, cookie) = stand.begin(provider.id).await;
        elsewhere.answer(&place, status, body);
        let finish = crate::identity::FinishFederatedSignIn {
            provider: provider.id.to_string(),
            cookie: Some(cookie),
            state: Some(said["state"].clone()),
            code: Some(kernel::Secret::new(String::from("code"))),
            issuer: Some(idp.issuer.clone()),
            error: None,
            agent: String::new(),
        };
        assert_eq!(stand.browse(finish).await.unwrap_err(), refusal, "{status}");
    }
}

#[tokio::test]
async fn keys_are_asked_for_anew_but_not_at_a_stranger_s_pace() {
    let stand = Stand::new().await;
    let (mut idp, provider) = stand.open_provider().await;
    let times = || stand.elsewhere.times("https://idp.example/keys");
    stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
    stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
    assert_eq!(times(), 1, "kept");
    // A key that nobody knows is asked for once in a minute, however often it is named.
    stand.pass(61);
    for _ in 0..5 {
        let unknown = spoil(|answer| answer.keys = Some(fresh_keys()));
        assert_eq!(stand.sign_in(&idp, provider.id, unknown).await.unwrap_err(), FederationRefusal::Unbelievable);
    }
    assert_eq!(times(), 2);
    // The provider takes another key: found at the next question.
    idp.keys = fresh_keys();
    idp.publish_keys(&stand.elsewhere);
    assert!(stand.sign_in(&idp, provider.id, |_| {}).await.is_err());
    stand.pass(61);
    stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
    assert_eq!(times(), 3);
    // A key that was taken back is refused within the hour.
    stand.pass(3600);
    stand.elsewhere.documents.lock().unwrap().remove("https://idp.example/keys");
    assert!(stand.sign_in(&idp, provider.id, |_| {}).await.is_err(), "keys are not kept beyond an hour");
    assert!(stand.sign_in(&idp, provider.id, |_| {}).await.is_err());
    assert_eq!(times(), 4, "a failure is not repeated at once");
}

#[tokio::test]
async fn a_network_can_begin_so_many_and_writes_nothing() {
    let stand = Stand::new().await;
    let (_, provider) = stand.open_provider().await;
    let before = stand.log().await.len();
    let begin = || BeginFederatedSignIn { provider: provider.id.to_string(), return_to: None, again: false };
    for _ in 0..200 {
        stand.browse(begin()).await.unwrap();
    }
    assert_eq!(stand.browse(begin()).await.unwrap_err(), FederationRefusal::TooMany);
    for odd in ["", "x", "00000000-0000-0000-0000-000000000000"] {
        let op = BeginFederatedSignIn { provider: odd.to_owned(), return_to: None, again: false };
        assert_eq!(stand.browse(op).await.unwrap_err(), FederationRefusal::NoProvider);
    }
    assert_eq!(stand.log().await.len(), before);
}
