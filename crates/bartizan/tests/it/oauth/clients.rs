//! How applications prove themselves, and what they get for themselves.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::identity::{Application, COMMAND_LINE_CLIENT, Member};
use kernel::Timestamp;
use serde_json::Value;

use super::stage::{Stage, claims_of};

const ARM: &str = "https://management.azure.com/.default";

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_comes_by_post_or_by_header_and_not_by_both() {
    let stage = Stage::new().await;
    let (app, secret) = (stage.test.founded.app.to_string(), stage.secret());
    let form = [("grant_type", "client_credentials"), ("scope", ARM)];
    let by_post = [form[0], form[1], ("client_id", &app), ("client_secret", secret)];
    let told = stage.token(&by_post).await;
    assert_eq!(
        (told.status, told.body["expires_in"].as_i64(), told.body["refresh_in"].as_i64()),
        (200, Some(3599), Some(1800))
    );
    let claims = claims_of(&told.text("access_token"));
    assert_eq!((&claims["idtyp"], &claims["aud"]), (&Value::from("app"), &Value::from("https://management.azure.com")));
    for absent in ["scp", "amr", "acrs", "sid", "grant"] {
        assert!(claims.get(absent).is_none(), "{absent}");
    }
    for absent in ["refresh_token", "id_token", "scope", "client_info"] {
        assert!(told.body.get(absent).is_none(), "{absent}");
    }

    let header = format!("Basic {}", STANDARD.encode(format!("{app}:{secret}")));
    let with_headers = async |form: &[(&str, &str)], headers: &[&str]| {
        let mut call = stage.test.client().post(&stage.token_place());
        for header in headers {
            call = call.header("authorization", header);
        }
        let answer = call.form(form).send().await.unwrap();
        let challenge = answer.header("www-authenticate").unwrap_or_default().to_owned();
        let status = answer.status().as_u16();
        (status, challenge, serde_json::from_slice::<Value>(&answer.bytes(1 << 16).await.unwrap()).unwrap())
    };
    let with_header = async |form: &[(&str, &str)], header: &str| with_headers(form, &[header]).await;
    assert_eq!(with_header(&form, &header).await.0, 200);
    let (status, _, body) = with_header(&by_post, &header).await;
    assert_eq!((status, &body["error"]), (400, &Value::from("invalid_request")), "one way of proof at a time");
    let wrong = format!("Basic {}", STANDARD.encode(format!("{app}:wrong")));
    let (status, challenge, body) = with_header(&form, &wrong).await;
    assert_eq!((status, &body["error"]), (401, &Value::from("invalid_client")));
    assert!(challenge.starts_with("Basic "), "RFC 6749 §5.2");
    for (what, headers) in [("the right one first", [&header, &wrong]), ("twice the same", [&header, &header])] {
        let (status, _, body) = with_headers(&form, &headers.map(String::as_str)).await;
        assert_eq!((status, &body["error"]), (400, &Value::from("invalid_request")), "{what}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_prove_themselves_gets_nothing() {
    let stage = Stage::new().await;
    let app = stage.test.founded.app.to_string();
    let command_line = COMMAND_LINE_CLIENT.to_string();
    let ask = async |client: &str, more: &[(&str, &str)], scope: &str| {
        let base = [("grant_type", "client_credentials"), ("client_id", client), ("scope", scope)];
        stage.token(&[base.as_slice(), more].concat()).await
    };
    let good = [("client_secret", stage.secret())];
    ask(&app, &[], ARM).await.refuses("invalid_client", 7_000_218);
    ask(&app, &[("client_secret", "bzs_wrong")], ARM).await.refuses("invalid_client", 7_000_215);
    ask("6f9619ff-8b86-d011-b42d-00c04fc964ff", &good, ARM).await.refuses("unauthorized_client", 700_016);
    ask("", &good, ARM).await.refuses("unauthorized_client", 700_016);
    ask(&command_line, &good, ARM).await.refuses("invalid_client", 700_025);
    let told = ask(&command_line, &[], ARM).await;
    told.refuses("unauthorized_client", 700_051);
    assert_eq!(told.retry_after, None, "azure-core would repeat what is refused");
    for scope in
        ["", "openid", ARM.trim_end_matches("/.default"), &format!("{ARM} openid"), "https://evil.example/.default"]
    {
        ask(&app, &good, scope).await.refuses("invalid_scope", 70_011);
    }
    stage
        .token(&[("grant_type", "client_credentials"), ("client_id", &app), ("client_id", &app)])
        .await
        .refuses("invalid_request", 900_144);

    stage
        .write::<Application>(stage.test.founded.app.as_bytes(), |found| {
            let mut found = found.unwrap();
            found.secrets.iter_mut().for_each(|secret| secret.expires_at = Timestamp(0));
            found
        })
        .await;
    ask(&app, &good, ARM).await.refuses("invalid_client", 7_000_222);
    stage
        .write::<Member>(stage.test.founded.principal.as_bytes(), |found| Member {
            is_disabled: true,
            ..found.unwrap()
        })
        .await;
    ask(&app, &good, ARM).await.refuses("unauthorized_client", 7_000_112);
    stage.end().await;
}

/// An application that is disabled, or whose tokens were taken back, is out at once.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_s_tokens_end_with_its_account() {
    let stage = Stage::new().await;
    let app = stage.register(|_| {}).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", app.as_str()),
        ("client_secret", stage.secret()),
        ("scope", ARM),
    ];
    let bearer = stage.token(&form).await.bearer();
    // Known, and without a role.
    assert_eq!(stage.status(&bearer).await, 404);
    stage.test.clock.advance(Duration::from_secs(2));
    let principal = stage.application(app.parse().unwrap()).await.principal;
    let now = stage.test.house.now();
    stage.write::<Member>(principal.as_bytes(), |found| Member { valid_from: now, ..found.unwrap() }).await;
    assert_eq!(stage.status(&bearer).await, 401);
    let bearer = stage.token(&form).await.bearer();
    assert_eq!(stage.status(&bearer).await, 404);
    stage.write::<Member>(principal.as_bytes(), |found| Member { is_disabled: true, ..found.unwrap() }).await;
    assert_eq!(stage.status(&bearer).await, 401);
    stage.end().await;
}

/// Tokens for a registered application, by either of its names.
#[tokio::test(flavor = "multi_thread")]
async fn a_registered_application_is_an_audience_and_opens_nothing_else() {
    let stage = Stage::new().await;
    let api = stage.register(|_| {}).await;
    let owner = stage.test.founded.app.to_string();
    let ask = async |scope: &str| {
        let secret = stage.secret();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", owner.as_str()),
            ("client_secret", secret),
            ("scope", scope),
        ];
        stage.token(&form).await
    };
    for (scope, audience) in
        [(format!("api://{api}/.default"), format!("api://{api}")), (format!("{api}/.default"), api.clone())]
    {
        let told = ask(&scope).await;
        assert_eq!(claims_of(&told.text("access_token"))["aud"], audience);
        assert_eq!(stage.status(&told.bearer()).await, 401, "a token of the owner, but not for here");
    }
    ask("api://6f9619ff-8b86-d011-b42d-00c04fc964ff/.default").await.refuses("invalid_scope", 70_011);
    stage.end().await;
}
