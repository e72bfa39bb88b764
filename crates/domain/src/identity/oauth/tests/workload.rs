//! Tokens of an issuer elsewhere that stand for an application (workload identity).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use kernel::{Secret, Web, WebAnswer, WebError};
use seal::{TokenKey, TokenKeys};
use serde_json::{Value, json};

use super::stand::{Stand, refusal};
use crate::identity::{ClientClaim, ClientProof, FederatedCredential, GetToken, TokenRefusal};

const ISSUER: &str = "https://ci.example/org";
const AUDIENCE: &str = "api://AzureADTokenExchange";
const SUBJECT: &str = "repo:corp/app:ref:main";

/// The issuer's documents, and how often somebody asked for one.
#[derive(Default)]
struct Elsewhere {
    documents: Mutex<HashMap<String, Value>>,
    asked: Mutex<usize>,
}

#[async_trait]
impl Web for Elsewhere {
    fn permits(&self, _: &str) -> Result<(), WebError> {
        Ok(())
    }

    async fn get(&self, url: &str, _: usize) -> Result<WebAnswer, WebError> {
        *self.asked.lock().unwrap() += 1;
        let found = self.documents.lock().unwrap().get(url).cloned();
        let status = if found.is_some() { 200 } else { 404 };
        Ok(WebAnswer { status, body: Bytes::from(found.unwrap_or_default().to_string()) })
    }

    async fn post_form(
        &self,
        url: &str,
        _: &[(&str, &str)],
        _: Option<(&str, &Secret<String>)>,
        most: usize,
    ) -> Result<WebAnswer, WebError> {
        self.get(url, most).await
    }
}

fn keys() -> TokenKeys {
    let (kid, document) = TokenKey::generate().unwrap();
    TokenKeys::new(vec![TokenKey::new(kid, document).unwrap()])
}

fn ask(stand: &Stand, assertion: &Secret<String>) -> GetToken {
    let proof = ClientProof::Assertion(assertion.clone());
    let client = ClientClaim { tenant: String::from("common"), id: stand.founded.app.to_string(), proof };
    GetToken { client, scope: String::from("https://management.azure.com/.default"), claims: None }
}

#[tokio::test]
async fn a_trusted_issuer_s_token_stands_for_the_application_and_no_other_does() {
    let web = Arc::new(Elsewhere::default());
    let (stand, theirs, stranger) = (Stand::with(web.clone()).await, keys(), keys());
    let trusted = FederatedCredential {
        id: uuid::Uuid::new_v4(),
        name: String::from("ci"),
        issuer: String::from(ISSUER),
        subject: String::from(SUBJECT),
        audience: String::from(AUDIENCE),
    };
    stand.change_application(|application| application.federated.push(trusted)).await;
    let public = theirs.public().remove(0);
    let key = json!({"kty": "EC", "crv": "P-256", "kid": public.kid, "x": public.x, "y": public.y});
    let place = format!("{ISSUER}/keys");
    let discovery = format!("{ISSUER}/.well-known/openid-configuration");
    {
        let mut documents = web.documents.lock().unwrap();
        documents.insert(discovery, json!({"issuer": ISSUER, "jwks_uri": place}));
        documents.insert(place, json!({"keys": [key]}));
    }

    let good = json!({"iss": ISSUER, "sub": SUBJECT, "aud": [AUDIENCE], "exp": stand.house.now().seconds() + 3600});
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    // Whom the application does not trust is not even asked for keys.
    for claims in [with("iss", json!("https://ci.example/other")), with("sub", json!("repo:evil/app:ref:main"))] {
        let token = theirs.sign("JWT", &claims).unwrap();
        assert_eq!(refusal(stand.ask(ask(&stand, &token)).await), TokenRefusal::BadAssertion, "{claims}");
    }
    assert_eq!(*web.asked.lock().unwrap(), 0);

    let token = theirs.sign("JWT", &good).unwrap();
    // It is made to be shown again: its file is read for each request.
    for _ in 0..2 {
        assert!(stand.ask(ask(&stand, &token)).await.unwrap().is_ok());
    }
    let now = stand.house.now().seconds();
    let bad = [
        with("aud", json!("api://other")),
        with("exp", json!(now - 61)),
        with("nbf", json!(now + 120)),
        json!({"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE}),
    ];
    for claims in bad {
        let token = theirs.sign("JWT", &claims).unwrap();
        assert_eq!(refusal(stand.ask(ask(&stand, &token)).await), TokenRefusal::BadAssertion, "{claims}");
    }
    let forged = stranger.sign("JWT", &good).unwrap();
    assert_eq!(refusal(stand.ask(ask(&stand, &forged)).await), TokenRefusal::BadAssertion);
    stand.pass(Duration::from_secs(3700));
    assert_eq!(refusal(stand.ask(ask(&stand, &token)).await), TokenRefusal::BadAssertion);
}
