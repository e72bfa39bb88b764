//! Tokens of other issuers that stand for applications.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result};
use serde_json::{Value, json};

use super::stand::{Idp, Stand, fresh_keys};
use crate::{
    gate::{Cx, Op},
    identity::issuers::{ForeignClaims, verify_foreign},
};

struct Verify(String);

#[async_trait]
impl Op for Verify {
    const ACTION: Action = Action::public("Test/foreign/read", Class::Open);
    type Output = Option<ForeignClaims>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        verify_foreign(cx, "https://ci.example/org", "api://AzureADTokenExchange", &self.0).await
    }
}

#[tokio::test]
async fn a_workload_s_token_is_held_against_issuer_audience_and_time() {
    let stand = Stand::new().await;
    let idp = Idp::new("https://ci.example/org");
    let now = stand.house.now().seconds();
    let good = json!({
        "iss": idp.issuer, "sub": "repo:corp/app:ref:main", "aud": "api://AzureADTokenExchange", "exp": now + 300,
        "jti": "t1", "repository": "corp/app",
    });
    let verify =
        async |claims: &Value| stand.browse(Verify(idp.keys.sign("JWT", claims).unwrap().expose().clone())).await;
    assert!(verify(&good).await.is_none(), "nobody answers for the issuer");
    idp.publish(&stand.elsewhere);
    assert!(verify(&good).await.is_none(), "and it is not asked again at once");
    stand.pass(10);
    let found = verify(&good).await.unwrap();
    assert_eq!((found.issuer.as_str(), found.subject.as_str()), ("https://ci.example/org", "repo:corp/app:ref:main"));
    assert_eq!((found.audience.as_str(), found.jti.as_deref()), ("api://AzureADTokenExchange", Some("t1")));
    assert_eq!((found.exp.seconds(), &found.other["repository"]), (now + 300, &json!("corp/app")));

    let cases = [
        ("iss", json!("https://ci.example/org/")),
        ("iss", json!("https://ci.example/other")),
        ("aud", json!("api://azureadtokenexchange")),
        ("aud", json!([])),
        ("exp", json!(now - 60)),
        ("exp", json!(null)),
        ("nbf", json!(now + 120)),
        ("sub", json!(null)),
    ];
    for (name, value) in cases {
        let mut claims = good.clone();
        claims[name] = value.clone();
        assert!(verify(&claims).await.is_none(), "{name}: {value}");
    }
    let mut several = good.clone();
    several["aud"] = json!(["x", "api://AzureADTokenExchange"]);
    assert!(verify(&several).await.is_some());
    let stranger = fresh_keys().sign("JWT", &good).unwrap();
    assert!(stand.browse(Verify(stranger.expose().clone())).await.is_none());
    // Found by discovery, once.
    assert_eq!(stand.elsewhere.times("https://ci.example/org/.well-known/openid-configuration"), 2);
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_none() {
    let stand = Stand::new().await;
    let mut idp = Idp::new("https://ci.example/org");
    let now = stand.house.now().seconds();
    let claims = json!({"iss": idp.issuer, "sub": "s", "aud": "api://AzureADTokenExchange", "exp": now + 300});
    let token = idp.keys.sign("JWT", &claims).unwrap();
    idp.publish(&stand.elsewhere);
    let place = idp.place(".well-known/openid-configuration");
    idp.issuer = String::from("https://evil.example");
    stand.elsewhere.put(&place, idp.metadata());
    idp.publish_keys(&stand.elsewhere);
    assert!(stand.browse(Verify(token.expose().clone())).await.is_none());
}
