//! An assertion under a certificate, shown again.

use std::time::Duration;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::Secret;
use seal::{AssertionCertificate, Sha256};
use serde_json::json;

use super::stand::{Stand, at, refusal};
use crate::{
    gate::enter,
    identity::{ClientCertificate, ClientClaim, ClientProof, GetToken, TokenRefusal},
};

/// An application's key, and its certificate in DER.
struct Robot {
    key: EcdsaKeyPair,
    certificate: Vec<u8>,
}

impl Robot {
    fn new() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let made = rcgen::CertificateParams::new(vec![String::from("robot")]).unwrap().self_signed(&pair).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pair.serialized_der()).unwrap();
        Self { key, certificate: made.der().to_vec() }
    }

    fn assertion(&self, stand: &Stand, jti: &str) -> Secret<String> {
        let (app, now) = (stand.founded.app.to_string(), stand.house.now().seconds());
        let audience = format!("{}/{}/oauth2/v2.0/token", stand.house.settings().url, stand.founded.tenant);
        let claims = json!({"iss": app, "sub": app, "aud": audience, "jti": jti, "iat": now, "exp": now + 600});
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::of(&self.certificate));
        let header = json!({"alg": "ES256", "x5t#S256": thumbprint});
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        Secret::new(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

async fn stand(robot: &Robot) -> Stand {
    let stand = Stand::new().await;
    let read = AssertionCertificate::read(&robot.certificate).unwrap();
    let certificate = ClientCertificate {
        id: uuid::Uuid::new_v4(),
        name: String::from("robot"),
        der: read.der().to_vec(),
        sha1: read.sha1().to_vec(),
        sha256: read.sha256().to_vec(),
        created_at: stand.house.now(),
        expires_at: kernel::Timestamp(read.ends_at() * 1000),
    };
    stand.change_application(|application| application.certificates.push(certificate)).await;
    stand
}

fn ask(stand: &Stand, assertion: &Secret<String>, scope: &str) -> GetToken {
    let proof = ClientProof::Assertion(assertion.clone());
    let tenant = stand.founded.tenant.to_string();
    let client = ClientClaim { tenant, id: stand.founded.app.to_string(), proof };
    GetToken { client, scope: scope.to_owned(), claims: None }
}

const ARM: &str = "https://management.azure.com/.default";
const STORAGE: &str = "https://storage.azure.com/.default";

#[tokio::test]
async fn an_assertion_is_good_for_one_caller_and_each_request_once() {
    let robot = Robot::new();
    let stand = stand(&robot).await;
    let shown = robot.assertion(&stand, "j1");
    assert!(stand.ask(ask(&stand, &shown, ARM)).await.unwrap().is_ok());
    // Microsoft's libraries use one assertion for nine minutes, for each resource once.
    stand.pass(Duration::from_secs(500));
    assert!(stand.ask(ask(&stand, &shown, STORAGE)).await.unwrap().is_ok());
    for scope in [ARM, STORAGE] {
        assert_eq!(refusal(stand.ask(ask(&stand, &shown, scope)).await), TokenRefusal::ReplayedAssertion, "{scope}");
    }
    let elsewhere = enter(&stand.house, &at(2), ask(&stand, &shown, "https://ml.azure.com/.default")).await;
    assert_eq!(refusal(elsewhere), TokenRefusal::ReplayedAssertion);
    assert!(stand.ask(ask(&stand, &robot.assertion(&stand, "j2"), ARM)).await.unwrap().is_ok());
    stand.pass(Duration::from_secs(100));
    assert_eq!(refusal(stand.ask(ask(&stand, &shown, ARM)).await), TokenRefusal::AssertionTimes);
}

#[tokio::test]
async fn what_is_refused_does_not_use_an_assertion_up() {
    let robot = Robot::new();
    let stand = stand(&robot).await;
    let shown = robot.assertion(&stand, "j1");
    assert_eq!(refusal(stand.ask(ask(&stand, &shown, "https://evil.example/.default")).await), TokenRefusal::BadScope);
    assert!(stand.ask(ask(&stand, &shown, ARM)).await.unwrap().is_ok());
    // And is remembered no longer than it could be good.
    stand.pass(Duration::from_secs(700));
    assert!(enter(&stand.house, &kernel::Caller::house(), crate::identity::FindStale).await.unwrap().rows);
    crate::identity::look_after_tokens(&stand.house).await.unwrap();
    assert!(!enter(&stand.house, &kernel::Caller::house(), crate::identity::FindStale).await.unwrap().rows);
}
