//! Bearer tokens that are not ours, not for here, not for now, or not of that kind (RFC 8725, RFC 9068 §4).

use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::{digest, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::gate::{Cx, Op, Record, enter};
use kernel::{Action, Caller, Class, ResourceId, Secret, Timestamp};
use outbound::Method;
use seal::{TokenKey, TokenKeys};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    behalf::run_token,
    robot::{Robot, part},
    stage::{Stage, claims_of},
};
use crate::house::Who;

fn header_of(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_header_gets_a_token_in() {
    let stage = Stage::new().await;
    let token = stage.callers.token(Who::Owner).unwrap().expose().clone();
    let (header, claims) = (header_of(&token), claims_of(&token));
    let [_, body, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    let keys = format!("/{}/discovery/v2.0/keys", stage.test.founded.tenant);
    let key = stage.test.ask(None, Method::GET, &keys, None).await.1["keys"][0].clone();
    let robot = Robot::curve();
    let with = |more: Value| {
        let mut header = header.clone();
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        header
    };
    let keyed = |secret: &[u8]| {
        let message = format!("{}.{body}", part(&with(json!({"alg": "HS256"}))));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac))
    };
    let point = [
        vec![4],
        URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap(),
        URL_SAFE_NO_PAD.decode(key["y"].as_str().unwrap()).unwrap(),
    ]
    .concat();
    let relabelled = |header: Value| format!("{}.{body}.{signature}", part(&header));
    let mut more = claims.clone();
    more["oid"] = json!(stage.test.founded.principal);
    more["jti"] = json!("00000000-0000-0000-0000-000000000000");
    let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &point));
    let forged = [
        ("none, unsigned", format!("{}.{body}.", part(&with(json!({"alg": "none"}))))),
        ("None, unsigned", format!("{}.{body}.", part(&with(json!({"alg": "None"}))))),
        ("none, with the signature", relabelled(with(json!({"alg": "none"})))),
        ("the signature stripped", format!("{}.{body}.", part(&header))),
        ("the signature and its dot stripped", format!("{}.{body}", part(&header))),
        ("a keyed hash under the public point", keyed(&point)),
        ("a keyed hash under the key set", keyed(key.to_string().as_bytes())),
        ("a keyed hash under the x coordinate", keyed(key["x"].as_str().unwrap().as_bytes())),
        ("another algorithm's name", relabelled(with(json!({"alg": "RS256"})))),
        ("an algorithm in small letters", relabelled(with(json!({"alg": "es256"})))),
        (
            "an embedded key",
            robot.sign(&with(json!({"jwk": {"kty": "EC", "crv": "P-256", "x": key["x"], "y": key["y"]}})), &claims),
        ),
        ("an embedded key, the right signature", relabelled(with(json!({"jwk": {}})))),
        ("keys elsewhere", robot.sign(&with(json!({"jku": "https://evil.example/keys"})), &claims)),
        ("a certificate elsewhere", robot.sign(&with(json!({"x5u": "https://evil.example/c.pem"})), &claims)),
        (
            "an embedded certificate",
            robot.sign(
                &with(json!({"x5c": [base64::engine::general_purpose::STANDARD.encode(robot.certificate.der())]})),
                &claims,
            ),
        ),
        ("a stranger's key under our name for it", robot.sign(&header, &claims)),
        ("a path for a key's name", robot.sign(&with(json!({"kid": "../../../../dev/null"})), &claims)),
        ("a query for a key's name", robot.sign(&with(json!({"kid": "' OR 1=1 --"})), &claims)),
        ("a thumbprint for a key's name", robot.sign(&with(json!({"kid": thumbprint})), &claims)),
        ("no key's name", {
            let mut header = header.clone();
            header.as_object_mut().unwrap().remove("kid");
            relabelled(header)
        }),
        ("a critical extension", relabelled(with(json!({"crit": ["b64"], "b64": false})))),
        ("compression", relabelled(with(json!({"zip": "DEF"})))),
        ("a nested token's type", relabelled(with(json!({"cty": "JWT"})))),
        ("a plain token's type", relabelled(with(json!({"typ": "JWT"})))),
        ("a run token's type", relabelled(with(json!({"typ": "run+jwt"})))),
        ("a signature of zeros", format!("{}.{body}.{}", part(&header), URL_SAFE_NO_PAD.encode([0; 64]))),
        ("a signature cut short", format!("{}.{body}.{}", part(&header), &signature[..80])),
        (
            "a signature in DER",
            format!("{}.{body}.{}", part(&header), URL_SAFE_NO_PAD.encode([0x30, 6, 2, 1, 1, 2, 1, 1])),
        ),
        ("other claims", format!("{}.{}.{signature}", part(&header), part(&more))),
        ("two tokens in one", format!("{token}.{token}")),
        ("an encrypted token's five parts", format!("{token}.x.y")),
    ];
    for (what, token) in forged {
        assert_eq!(stage.status(&Secret::new(token)).await, 401, "{what}");
    }
    assert_eq!(stage.status(&Secret::new(token)).await, 200);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_of_its_time_its_kind_and_its_place() {
    let stage = Stage::new().await;
    let told = stage.tokens().await;
    let bearer = told.bearer();
    let wrong_kinds = [told.text("id_token"), told.text("refresh_token"), stage.cookie.expose().clone()];
    for token in wrong_kinds {
        assert_eq!(stage.status(&Secret::new(token)).await, 401);
    }
    // The ticket that a request carries through the sign-in page is signed with the same key.
    let sent = stage.browse(&stage.asking(&[]), None).await;
    let ticket = super::stage::pairs(sent.goes_on().split_once('?').unwrap().1)["ticket"].clone();
    assert_eq!(stage.status(&Secret::new(ticket)).await, 401);
    // In an address or a form it is nobody's (RFC 9700 §4.3.2).
    let place = format!("{}?access_token={}", stage.test.workspace(), bearer.expose());
    assert_eq!(stage.test.ask(None, Method::GET, &place, None).await.0, 401);
    // For another audience.
    let vault = stage
        .token(
            &[stage.refreshing(&told.text("refresh_token")), vec![("scope", "https://storage.azure.com/.default")]]
                .concat(),
        )
        .await;
    assert_eq!(stage.status(&vault.bearer()).await, 401);

    assert_eq!(stage.status(&bearer).await, 200);
    let issued_at = stage.test.house.now();
    // A clock that was turned back: not valid yet, beyond the leeway.
    stage.test.clock.set(kernel::Timestamp(issued_at.0 - 61_000));
    let fresh = Stage::refused_when_not_cached(&stage, &bearer).await;
    assert!(fresh, "not yet valid");
    stage.test.clock.set(issued_at);
    stage.test.clock.advance(Duration::from_secs(3599));
    assert_eq!(stage.status(&bearer).await, 200);
    stage.test.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.status(&bearer).await, 401, "no leeway at its end");
    stage.end().await;
}

/// What the house's own keys signed, and still is not for here: a key may be shared, or stolen, or sign for several issuers.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_under_our_own_key_must_be_of_our_issuer_and_tenant() {
    let stage = Stage::new().await;
    let keys = stage.keys().await;
    let (issuer, tenant) = (stage.issuer(), stage.test.founded.tenant.to_string());
    let other = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
    let foreign = [
        Some(json!(issuer.replace(&tenant, other))),
        Some(json!(format!("{issuer}/"))),
        Some(json!(issuer.replace("https:", "http:"))),
        Some(json!("https://login.microsoftonline.com/common/v2.0")),
        Some(json!([issuer])),
        Some(json!("")),
        None,
    ];
    let signed = |kind: &str, claims: &Value, name: &str, value: &Option<Value>| {
        let mut claims = claims.clone();
        match value {
            Some(value) => claims[name] = value.clone(),
            None => drop(claims.as_object_mut().unwrap().remove(name)),
        }
        keys.sign(kind, &claims).unwrap()
    };

    let bearer = stage.tokens().await.bearer();
    let claims = claims_of(bearer.expose());
    let same = signed("at+jwt", &claims, "iss", &Some(json!(issuer)));
    assert_eq!(stage.status(&same).await, 200, "signed anew, it is as good");
    for value in &foreign {
        assert_eq!(stage.status(&signed("at+jwt", &claims, "iss", value)).await, 401, "{value:?}");
    }
    for value in [Some(json!(other)), Some(json!("")), Some(json!([tenant])), None] {
        assert_eq!(stage.status(&signed("at+jwt", &claims, "tid", &value)).await, 401, "{value:?}");
    }

    let run = run_token(&stage.test, stage.callers.token(Who::Owner).unwrap()).await;
    let claims = claims_of(run.expose());
    let search = format!("/mlflow/v1.0{}/api/2.0/mlflow/experiments/search", stage.test.workspace());
    let status = async |bearer: &Secret<String>| {
        stage.test.ask(Some(bearer), Method::POST, &search, Some(&json!({"max_results": 1}))).await.0
    };
    assert_eq!(status(&signed("run+jwt", &claims, "iss", &Some(json!(issuer)))).await, 200);
    for value in &foreign {
        assert_eq!(status(&signed("run+jwt", &claims, "iss", value)).await, 401, "{value:?}");
    }
    stage.end().await;
}

/// A signing key as the house keeps it.
#[derive(Serialize, Deserialize)]
struct KeptKey {
    kid: String,
    document: Vec<u8>,
    created_at: Timestamp,
    verifies_until: Option<Timestamp>,
}

impl Record for KeptKey {
    const TABLE: &'static str = "signing-key";
}

impl Stage {
    /// The house's own signing keys.
    async fn keys(&self) -> TokenKeys {
        struct Read;
        #[async_trait]
        impl Op for Read {
            const ACTION: Action = Action::new("Test/read", Class::Open);
            type Output = Vec<KeptKey>;
            fn scope(&self) -> ResourceId {
                ResourceId::root()
            }
            async fn run(self, cx: &Cx<'_, Self>) -> kernel::Result<Vec<KeptKey>> {
                Ok(cx.all::<KeptKey>(cx.system(), b"").await?.into_iter().map(|row| row.value).collect())
            }
        }
        let kept = enter(&self.test.house, &Caller::house(), Read).await.unwrap();
        let key = |kept: KeptKey| TokenKey::new(kept.kid, Secret::new(kept.document)).unwrap();
        TokenKeys::new(kept.into_iter().map(key).collect())
    }

    /// Whether a token is refused when it is looked at afresh: rotating the signing keys forgets what was verified.
    async fn refused_when_not_cached(&self, bearer: &Secret<String>) -> bool {
        let house = &self.test.house;
        enter(house, &Caller::house(), domain::identity::RotateSigningKeys).await.unwrap();
        self.status(bearer).await == 401
    }
}
