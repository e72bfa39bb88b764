//! Tokens of an issuer elsewhere that stand for an application (workload identity).

use domain::identity::FederatedCredential;
use serde_json::{Value, json};
use uuid::Uuid;

use super::stage::{Stage, Told, claims_of};
use crate::federation::{ISSUER, fresh_keys};

const AUDIENCE: &str = "api://AzureADTokenExchange";
const SUBJECT: &str = "repo:corp/app:ref:main";

async fn show(stage: &Stage, app: &str, assertion: &str) -> Told {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", app),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
        ("scope", "https://management.azure.com/.default"),
    ];
    stage.token(&form).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_issuer_s_token_stands_for_its_subject_and_for_no_other() {
    let stage = Stage::new().await;
    let trusted = FederatedCredential {
        id: Uuid::new_v4(),
        name: String::from("ci"),
        issuer: String::from(ISSUER),
        subject: String::from(SUBJECT),
        audience: String::from(AUDIENCE),
    };
    let app = stage.register(|app| app.federated = vec![trusted]).await;
    let other = stage.register(|_| {}).await;
    let (keys, now) = (&stage.test.elsewhere.keys, stage.test.house.now().seconds());
    let good = json!({"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "exp": now + 600, "jti": "t1"});
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        keys.sign("JWT", &claims).unwrap().expose().clone()
    };
    let bad = [
        ("another issuer", with("iss", json!("https://ci.example"))),
        ("the issuer with a slash", with("iss", json!(format!("{ISSUER}/")))),
        ("another realm of the issuer", with("iss", json!(format!("{ISSUER}/other")))),
        ("ourselves as the issuer", with("iss", json!(stage.issuer()))),
        ("no issuer", with("iss", json!(null))),
        ("another subject", with("sub", json!("repo:evil/app:ref:main"))),
        ("the subject in capitals", with("sub", json!(SUBJECT.to_uppercase()))),
        ("the subject's beginning", with("sub", json!("repo:corp/app"))),
        ("no subject", with("sub", json!(null))),
        ("another audience", with("aud", json!(stage.issuer()))),
        ("no audience", with("aud", json!(null))),
        ("expired", with("exp", json!(now - 61))),
        ("without an end", with("exp", json!(null))),
        ("somebody else's key", fresh_keys().sign("JWT", &good).unwrap().expose().clone()),
    ];
    for (what, assertion) in &bad {
        let told = show(&stage, &app, assertion).await;
        assert_eq!((told.status, told.body["error"].as_str()), (401, Some("invalid_client")), "{what}: {}", told.body);
        assert!(told.body.get("access_token").is_none(), "{what}");
    }
    let genuine = with("jti", json!("t2"));
    assert_eq!(show(&stage, &other, &genuine).await.status, 401, "an application that does not trust the issuer");
    let told = show(&stage, &app, &genuine).await;
    assert_eq!(told.status, 200, "{}", told.body);
    assert_eq!(claims_of(&told.text("access_token"))["appid"], app);
    stage.end().await;
}
