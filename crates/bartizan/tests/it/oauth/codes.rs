//! Authorization codes at the token endpoint.

use std::time::Duration;

use domain::identity::{Member, Session};
use serde_json::{Value, json};
use uuid::Uuid;

use super::stage::{REDIRECT, SCOPE, Stage, VERIFIER, claims_of, end, second_factor, with};

#[tokio::test(flavor = "multi_thread")]
async fn a_code_gives_what_microsoft_s_libraries_need() {
    let stage = Stage::new().await;
    let told = stage.tokens().await;
    assert_eq!((&told.body["token_type"], told.body["expires_in"].as_i64()), (&json!("Bearer"), Some(3599)));
    let scope = told.text("scope");
    for word in SCOPE.split(' ').chain(["https://management.azure.com/user_impersonation"]) {
        assert!(scope.split(' ').any(|granted| granted == word), "{word} in {scope}");
    }
    let (access, id) = (claims_of(&told.text("access_token")), claims_of(&told.text("id_token")));
    assert_eq!(stage.status(&told.bearer()).await, 200);
    let tenant = json!(stage.test.founded.tenant);
    assert_eq!(
        (&access["idtyp"], &access["scp"], &access["tid"]),
        (&json!("user"), &json!("user_impersonation"), &tenant)
    );
    assert_eq!((&access["amr"], access.get("acrs")), (&json!(["pwd"]), None));
    assert_eq!(
        (&id["nonce"], &id["preferred_username"], &id["iss"]),
        (&json!("n1"), &json!("admin"), &json!(stage.issuer()))
    );
    assert_eq!((&id["aud"], &id["oid"], &id["sid"]), (&access["appid"], &access["oid"], &access["sid"]));
    assert!(id["at_hash"].as_str().unwrap().len() == 22 && id["auth_time"].is_i64());
    let info: Value = {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(told.text("client_info")).unwrap()).unwrap()
    };
    assert_eq!((&info["uid"], &info["utid"]), (&access["oid"], &tenant));
    // An ID token is for the application and opens nothing.
    assert_eq!(stage.status(&kernel::Secret::new(told.text("id_token"))).await, 401);

    // Without `openid` and `offline_access` there is neither.
    let sent = stage.go_through(&stage.asking(&[("scope", "https://management.azure.com/.default")])).await;
    let told = stage.token(&stage.redeeming(&sent.answer()["code"])).await;
    assert!(told.status == 200 && told.body.get("id_token").is_none() && told.body.get("refresh_token").is_none());
    // Without a resource the token is for the application itself.
    let sent = stage.go_through(&stage.asking(&[("scope", "openid profile")])).await;
    let told = stage.token(&stage.redeeming(&sent.answer()["code"])).await;
    let access = claims_of(&told.text("access_token"));
    assert_eq!((&access["aud"], stage.status(&told.bearer()).await), (&access["appid"], 401));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_for_its_client_its_address_its_verifier_and_one_guess() {
    let stage = Stage::new().await;
    let other = stage.register(|app| app.is_public = true).await;
    let azure = domain::identity::AZURE_DEVELOPER_CLIENT.to_string();
    let long = "a".repeat(129);
    let cases: [(&[(&str, &str)], u32); 11] = [
        (&[("client_id", &other)], 70_000),
        (&[("client_id", &azure)], 70_000),
        (&[("redirect_uri", "http://localhost:8401")], 70_000),
        (&[("redirect_uri", "http://localhost:8400/")], 70_000),
        (&[("redirect_uri", REDIRECT)], 70_000),
        (&[("redirect_uri", "")], 70_000),
        (&[("code_verifier", "")], 501_481),
        (&[("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK")], 501_481),
        (&[("code_verifier", super::stage::CHALLENGE)], 501_481),
        (&[("code_verifier", &long)], 501_481),
        (&[("code", "bzo_AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")], 70_000),
    ];
    for (wrong, number) in cases {
        let code = stage.code().await;
        let told = stage.token(&with(&stage.redeeming(&code), wrong)).await;
        assert_eq!(told.body["error_codes"][0], number, "{wrong:?}");
        told.refuses("invalid_grant", number);
        // There is no second guess.
        if wrong[0].0 != "code" {
            stage.token(&stage.redeeming(&code)).await.refuses("invalid_grant", 70_000);
        }
    }
    let code = stage.code().await;
    stage.token(&with(&stage.redeeming(&code), &[("code", "")])).await.refuses("invalid_request", 900_144);
    stage.test.clock.advance(Duration::from_secs(59));
    assert_eq!(stage.token(&stage.redeeming(&code)).await.status, 200);
    let code = stage.code().await;
    stage.test.clock.advance(Duration::from_secs(60));
    stage.token(&stage.redeeming(&code)).await.refuses("invalid_grant", 70_008);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_redeemed_twice_ends_what_it_gave() {
    let stage = Stage::new().await;
    let code = stage.code().await;
    let told = stage.token(&stage.redeeming(&code)).await;
    let next = stage.token(&stage.refreshing(&told.text("refresh_token"))).await;
    assert_eq!((stage.status(&told.bearer()).await, stage.status(&next.bearer()).await), (200, 200));
    stage.token(&stage.redeeming(&code)).await.refuses("invalid_grant", 70_000);
    assert_eq!((stage.status(&told.bearer()).await, stage.status(&next.bearer()).await), (401, 401));
    stage.token(&stage.refreshing(&next.text("refresh_token"))).await.refuses("invalid_grant", 50_173);
    // The person is still signed in: only that application is out.
    assert_eq!(stage.status(&stage.tokens().await.bearer()).await, 200);
    stage.end().await;
}

/// Azure's `AuthorizationCodeCredential` sends no verifier: an application with a secret may be registered to do without.
#[tokio::test(flavor = "multi_thread")]
async fn pkce_is_left_out_by_those_alone_who_may_and_never_halfway() {
    let stage = Stage::new().await;
    let (with_pkce, without) = (stage.register(|_| {}).await, stage.register(|app| app.without_pkce = true).await);
    let asking = |app: &str, challenge: bool| {
        let parameters = stage.asking(&[("redirect_uri", REDIRECT)]);
        let kept = parameters.into_iter().filter(|(name, _)| challenge || !name.starts_with("code_challenge"));
        let app: &'static str = Box::leak(app.to_owned().into_boxed_str());
        with(&kept.collect::<Vec<_>>(), &[("client_id", app)])
    };
    let refused = stage.browse(&asking(&with_pkce, false), Some(&stage.cookie)).await.answer();
    assert_eq!(refused["error"], "invalid_request");
    let redeem = async |code: &str, verifier: &str, secret: &str| {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", without.as_str()),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier),
            ("client_secret", secret),
        ];
        stage.token(&with(&form, &[])).await
    };
    let code = async |challenge: bool| {
        stage.browse(&asking(&without, challenge), Some(&stage.cookie)).await.answer()["code"].clone()
    };
    assert_eq!(redeem(&code(false).await, "", stage.secret()).await.status, 200);
    assert_eq!(redeem(&code(true).await, VERIFIER, stage.secret()).await.status, 200);
    // A downgrade, and a code that was put under another's request (RFC 9700 §4.8.2).
    redeem(&code(true).await, "", stage.secret()).await.refuses("invalid_grant", 501_481);
    redeem(&code(false).await, VERIFIER, stage.secret()).await.refuses("invalid_grant", 501_481);
    redeem(&code(false).await, "", "").await.refuses("invalid_client", 7_000_218);
    redeem(&code(false).await, "", "wrong").await.refuses("invalid_client", 7_000_215);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_worth_nothing_once_its_person_or_session_is_out() {
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let session: Uuid = {
        let told = stage.tokens().await;
        claims_of(&told.text("access_token"))["sid"].as_str().unwrap().parse().unwrap()
    };
    let code = stage.code().await;
    stage.write::<Member>(admin.as_bytes(), |found| Member { is_disabled: true, ..found.unwrap() }).await;
    stage.token(&stage.redeeming(&code)).await.refuses("invalid_grant", 50_057);
    stage.write::<Member>(admin.as_bytes(), |found| Member { is_disabled: false, ..found.unwrap() }).await;

    let (code, bearer) = (stage.code().await, stage.tokens().await.bearer());
    let now = stage.test.house.now();
    stage.write::<Session>(session.as_bytes(), |found| end(found, now)).await;
    stage.token(&stage.redeeming(&code)).await.refuses("invalid_grant", 50_173);
    assert_eq!(stage.status(&bearer).await, 401);
    assert!(stage.browse(&stage.asking(&[]), Some(&stage.cookie)).await.is_to_sign_in());
    stage.end().await;
}

/// The client says that it understands challenges, and the token says so too.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_understands_is_in_its_token() {
    let stage = Stage::new().await;
    let cp1 = r#"{"access_token":{"xms_cc":{"values":["CP1"]}}}"#;
    let sent = stage.go_through(&stage.asking(&[("claims", cp1)])).await;
    let told = stage.token(&stage.redeeming(&sent.answer()["code"])).await;
    assert_eq!(claims_of(&told.text("access_token"))["xms_cc"], json!(["CP1"]));
    let next = stage.token(&stage.refreshing(&told.text("refresh_token"))).await;
    assert_eq!(claims_of(&next.text("access_token"))["xms_cc"], json!(["CP1"]));
    // A second factor cannot be had without the person.
    let claims = second_factor();
    let token = next.text("refresh_token");
    let asked = [stage.refreshing(&token), vec![("claims", claims.as_str())]].concat();
    let told = stage.token(&asked).await;
    told.refuses("interaction_required", 50_076);
    assert_eq!((told.text("suberror").as_str(), told.retry_after.as_deref()), ("basic_action", None));
    assert_eq!(told.text("claims"), r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#);
    // And the refresh token was not used up by that.
    assert_eq!(stage.token(&stage.refreshing(&next.text("refresh_token"))).await.status, 200);
    stage.end().await;
}
