//! The authorization endpoint: what goes back to an application, what does not, and what a person is asked.

use std::time::Duration;

use super::stage::{CHALLENGE, LOOPBACK, REDIRECT, Stage, pairs, second_factor, sign_in, with};

/// What a confidential web application asks: no loopback address, so that a session is enough.
fn asking<'a>(app: &'a str, other: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let base = [
        ("client_id", app),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT),
        ("scope", "https://management.azure.com/.default openid"),
        ("state", "s1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    with(&base, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_names_its_issuer_and_gives_the_state_back_in_each_mode() {
    let stage = Stage::new().await;
    let app = stage.register(|_| {}).await;
    for (mode, mark) in [("", '?'), ("query", '?'), ("fragment", '#')] {
        let sent =
            stage.browse(&asking(&app, &[("response_mode", mode), ("state", "a b&c=d#é")]), Some(&stage.cookie)).await;
        assert!(sent.location.starts_with(&format!("{REDIRECT}{mark}")), "{}", sent.location);
        let answer = sent.answer();
        assert_eq!((answer["state"].as_str(), answer["iss"].as_str()), ("a b&c=d#é", stage.issuer().as_str()));
        assert!(answer["code"].starts_with("bzo_") && !answer.contains_key("error"));
        assert_eq!(sent.headers["referrer-policy"], "no-referrer");
        assert_eq!(sent.headers["cache-control"], "no-store");
        assert_eq!(sent.headers["access-control-allow-origin"], "", "no page may read the answer (RFC 9700 §2.6)");
    }
    let sent = stage
        .browse(&asking(&app, &[("response_mode", "form_post"), ("state", "\"><script>")]), Some(&stage.cookie))
        .await;
    assert_eq!(sent.status, 200);
    // Chromium binds a form's redirections, too, and the application's callback may lead to another origin.
    assert!(!sent.policy.contains("form-action"), "{}", sent.policy);
    for rule in ["default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"] {
        assert!(sent.policy.contains(rule) && !sent.policy.contains("unsafe-inline"), "{}", sent.policy);
    }
    assert!(!sent.html.contains("\"><script>"), "{}", sent.html);
    for field in [
        "name=\"code\"",
        "name=\"state\"",
        "name=\"iss\"",
        "action=\"https://app.example/cb\"",
        "<button type=\"submit\"",
    ] {
        assert!(sent.html.contains(field), "{field} in {}", sent.html);
    }
    // A registered query stays, and what is added comes after it.
    let app = stage.register(|app| app.redirect_uris = vec![format!("{REDIRECT}?x=1")]).await;
    let uri = format!("{REDIRECT}?x=1");
    let sent = stage.browse(&asking(&app, &[("redirect_uri", &uri)]), Some(&stage.cookie)).await;
    assert!(sent.location.starts_with(&format!("{uri}&code=")), "{}", sent.location);
    stage.end().await;
}

/// OpenID Connect Core §3.1.2.1. A browser sends no `Lax` cookie with another site's form.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_be_posted() {
    let stage = Stage::new().await;
    let app = stage.register(|_| {}).await;
    for version in ["oauth2/v2.0", "oauth2"] {
        let place = format!("/{}/{version}/authorize", stage.test.founded.tenant);
        let post = async |place: &str, other: &[(&str, &str)], cookie| {
            stage.send(stage.test.client().post(place).form(&asking(&app, other)), cookie).await
        };
        let sent = post(&place, &[], Some(&stage.cookie)).await;
        assert!(sent.location.starts_with(&format!("{REDIRECT}?")), "{}", sent.html);
        let answer = sent.answer();
        assert!(answer["code"].starts_with("bzo_") && answer["iss"] == stage.issuer() && answer["state"] == "s1");

        let sent = post(&place, &[("state", "a b&c=d")], None).await;
        assert!(sent.is_to_sign_in() && sent.goes_on().starts_with(&format!("{place}?")), "{}", sent.location);
        let answer = stage.visit(&sent.goes_on(), Some(&stage.cookie)).await.answer();
        assert!(answer["code"].starts_with("bzo_") && answer["state"] == "a b&c=d");
        assert_eq!(post(&place, &[("prompt", "none")], None).await.answer()["error"], "login_required");
        assert_eq!(
            post(&place, &[("response_type", "token")], None).await.answer()["error"],
            "unsupported_response_type"
        );

        // The form is the request: not the address, and not a part of it.
        let evil = post(&place, &[("redirect_uri", "https://evil.example/")], Some(&stage.cookie)).await;
        assert_eq!((evil.status, evil.location.as_str()), (400, ""));
        let elsewhere = format!("{place}?redirect_uri={REDIRECT}&client_id={app}");
        let empty = stage.send(stage.test.client().post(&elsewhere).form(&[]), Some(&stage.cookie)).await;
        assert_eq!((empty.status, empty.location.as_str()), (400, ""));
        let large = post(&place, &[("state", &"x".repeat(9000))], Some(&stage.cookie)).await;
        assert_eq!((large.status, large.location.as_str()), (413, ""));
    }
    stage.end().await;
}

/// Nothing goes to an address that the application did not register, not even an error.
#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_another_address_gets_an_answer() {
    let stage = Stage::new().await;
    let app = stage.register(|_| {}).await;
    let bad = [
        "https://app.example/cb/",
        "https://app.example/cb/../evil",
        "https://app.example/cb%2f..%2fevil",
        "https://app.example/cb?x=1",
        "https://app.example/cb#evil",
        "https://app.example/CB",
        "https://APP.example/cb",
        "HTTPS://app.example/cb",
        "https://app.example:443/cb",
        "https://app.example.evil.example/cb",
        "https://app.example@evil.example/cb",
        "https://evil.example/?https://app.example/cb",
        "https://evil.example\\@app.example/cb",
        "https://app.example\\.evil.example/cb",
        "//app.example/cb",
        "http://app.example/cb",
        " https://app.example/cb",
        "https://app.example/cb\r\nset-cookie: a=b",
        "https://app.example/cb\t",
        "https://xn--app-example/cb",
        "javascript:alert(1)//https://app.example/cb",
        "data:text/html,https://app.example/cb",
        "http://localhost:8400",
        "urn:ietf:wg:oauth:2.0:oob",
    ];
    for uri in bad {
        let sent = stage.browse(&asking(&app, &[("redirect_uri", uri)]), Some(&stage.cookie)).await;
        assert_eq!((sent.status, sent.location.as_str()), (400, ""), "{uri}");
        assert!(sent.html.contains("AADSTS50011") && sent.policy.contains("form-action"), "{uri}: {}", sent.html);
    }
    let sent = stage.browse(&asking(&app, &[("redirect_uri", "")]), Some(&stage.cookie)).await;
    assert!(sent.status == 400 && sent.html.contains("AADSTS900144"));
    let twice = [asking(&app, &[]), vec![("redirect_uri", "https://evil.example/")]].concat();
    let sent = stage.browse(&twice, Some(&stage.cookie)).await;
    assert!(sent.status == 400 && sent.location.is_empty());
    for client in ["", "x", "6f9619ff-8b86-d011-b42d-00c04fc964ff"] {
        let sent = stage.browse(&asking(&app, &[("client_id", client)]), Some(&stage.cookie)).await;
        assert!(sent.status == 400 && sent.location.is_empty() && sent.html.contains("AADSTS700016"), "{client}");
    }
    let twice = [asking(&app, &[]), vec![("client_id", app.as_str())]].concat();
    let sent = stage.browse(&twice, Some(&stage.cookie)).await;
    assert!(sent.status == 400 && sent.location.is_empty());
    // On the person's own machine any port is theirs; another path is not.
    let loopback = |uri| stage.asking(&[("redirect_uri", uri), ("prompt", "none")]);
    for uri in ["http://localhost", "http://localhost:1", "http://127.0.0.1:9/", "http://[::1]:65535"] {
        assert_eq!(stage.browse(&loopback(uri), None).await.answer()["error"], "login_required", "{uri}");
    }
    for uri in [
        "http://localhost:8400/cb",
        "https://localhost:8400",
        "http://localhost:0",
        "http://localhost:8400@evil.example",
    ] {
        assert_eq!(stage.browse(&loopback(uri), None).await.status, 400, "{uri}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_is_told_to_its_application_in_the_standard_s_words() {
    let stage = Stage::new().await;
    let app = stage.register(|_| {}).await;
    let cases: [(&[(&str, &str)], &str); 19] = [
        (&[("response_type", "")], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("response_type", "id_token")], "unsupported_response_type"),
        (&[("response_type", "code id_token")], "unsupported_response_type"),
        (&[("response_type", "id_token token")], "unsupported_response_type"),
        (&[("response_mode", "web_message")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", ""), ("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("scope", "https://evil.example/.default")], "invalid_scope"),
        (&[("scope", "https://management.azure.com/.default https://storage.azure.com/.default")], "invalid_scope"),
        (&[("prompt", "none login")], "invalid_request"),
        (&[("max_age", "soon")], "invalid_request"),
        (&[("claims", "{")], "invalid_request"),
        (&[("request", "eyJhbGciOiJub25lIn0..")], "request_not_supported"),
        (&[("request_uri", "https://evil.example/r")], "request_uri_not_supported"),
        (&[("nonce", "1"), ("nonce", "2")], "invalid_request"),
    ];
    for (other, error) in cases {
        let sent = stage.browse(&asking(&app, other), Some(&stage.cookie)).await;
        assert!(sent.location.starts_with(REDIRECT), "{other:?}: {}", sent.html);
        let answer = sent.answer();
        assert_eq!((answer["error"].as_str(), answer["state"].as_str()), (error, "s1"), "{other:?}");
        assert_eq!(answer["iss"], stage.issuer(), "refusals name their issuer too (RFC 9207 §2)");
        assert!(answer["error_description"].starts_with("AADSTS") && !answer.contains_key("code"));
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_as_the_application_wants_it() {
    let stage = Stage::new().await;
    let app = stage.register(|_| {}).await;
    let browse = async |other: &[(&str, &str)], signed_in: bool| {
        stage.browse(&asking(&app, other), signed_in.then_some(&stage.cookie)).await
    };
    // Nobody is signed in: to the page, or nowhere.
    let sent = browse(&[("login_hint", "ada@corp.example")], false).await;
    assert!(sent.is_to_sign_in() && pairs(sent.location.split_once('?').unwrap().1)["hint"] == "ada@corp.example");
    assert!(sent.goes_on().starts_with(&format!("/{}/oauth2/v2.0/authorize?", stage.test.founded.tenant)));
    assert_eq!(browse(&[("prompt", "none")], false).await.answer()["error"], "login_required");
    // A session is enough, as long as nothing more is asked.
    assert!(browse(&[], true).await.answer().contains_key("code"));
    assert!(browse(&[("prompt", "none")], true).await.answer().contains_key("code"));
    assert!(browse(&[("login_hint", "ADMIN"), ("max_age", "60")], true).await.answer().contains_key("code"));
    assert_eq!(browse(&[("prompt", "none"), ("login_hint", "other")], true).await.answer()["error"], "login_required");

    // `login`: the same session does not do, however often it comes back; a new proof does.
    stage.test.clock.advance(Duration::from_secs(1));
    let first = browse(&[("prompt", "login")], true).await;
    assert!(first.is_to_sign_in() && first.location.contains("&again=1"));
    assert!(stage.visit(&first.goes_on(), Some(&stage.cookie)).await.is_to_sign_in());
    stage.test.clock.advance(Duration::from_secs(5));
    let newer = sign_in(&stage.test).await;
    assert!(stage.come_back(&first, &newer).await.answer().contains_key("code"));
    // The ticket is for that request alone.
    let ticket = pairs(first.goes_on().split_once('?').unwrap().1)["ticket"].clone();
    assert!(browse(&[("prompt", "login"), ("nonce", "other"), ("ticket", &ticket)], true).await.is_to_sign_in());
    assert!(browse(&[("prompt", "login"), ("ticket", "made.up.ticket")], true).await.is_to_sign_in());

    // `max_age`: too old is as good as none.
    let newer = sign_in(&stage.test).await;
    stage.test.clock.advance(Duration::from_secs(100));
    let old = stage.browse(&asking(&app, &[("max_age", "60")]), Some(&newer)).await;
    assert!(old.is_to_sign_in() && old.location.contains("&again=1"));
    let none = stage.browse(&asking(&app, &[("max_age", "60"), ("prompt", "none")]), Some(&newer)).await;
    assert_eq!(none.answer()["error"], "login_required");
    assert!(stage.browse(&asking(&app, &[("max_age", "0")]), Some(&newer)).await.is_to_sign_in());

    // `select_account`: shown who they are, the person goes on.
    let chosen = browse(&[("prompt", "select_account")], true).await;
    assert!(chosen.is_to_sign_in() && !chosen.location.contains("again"));
    assert!(stage.visit(&chosen.goes_on(), Some(&stage.cookie)).await.answer().contains_key("code"));
    stage.end().await;
}

/// A program on the person's machine can have an answer sent to a port of its own: never without the person.
#[tokio::test(flavor = "multi_thread")]
async fn a_loopback_address_gets_no_code_unasked() {
    let stage = Stage::new().await;
    assert_eq!(
        stage.browse(&stage.asking(&[("prompt", "none")]), Some(&stage.cookie)).await.answer()["error"],
        "login_required"
    );
    stage.test.clock.advance(Duration::from_secs(1));
    let first = stage.browse(&stage.asking(&[]), Some(&stage.cookie)).await;
    assert!(first.is_to_sign_in());
    // A ticket that the program got for itself, without the person's cookie, does not help it.
    let own = stage.browse(&stage.asking(&[]), None).await;
    assert!(stage.visit(&own.goes_on(), Some(&stage.cookie)).await.is_to_sign_in());
    let sent = stage.visit(&first.goes_on(), Some(&stage.cookie)).await;
    assert!(sent.location.starts_with(&format!("{LOOPBACK}?code=")), "{}", sent.location);

    // Nor does it once the person has signed in for something else: this browser was not shown who asks.
    stage.test.clock.advance(Duration::from_secs(1));
    let newer = sign_in(&stage.test).await;
    for other in [&[][..], &[("prompt", "login")], &[("max_age", "0")]] {
        let own = stage.browse(&stage.asking(other), None).await;
        stage.test.clock.advance(Duration::from_secs(1));
        let newer = sign_in(&stage.test).await;
        for browser in [None, first.browser.as_deref()] {
            let sent = stage.visit_in(browser, &own.goes_on(), Some(&newer)).await;
            assert!(sent.is_to_sign_in(), "{other:?} {browser:?}: {}", sent.location);
        }
        assert!(stage.come_back(&own, &newer).await.answer().contains_key("code"), "the browser that was shown it");
    }
    assert!(stage.visit(&own.goes_on(), Some(&newer)).await.is_to_sign_in());

    stage.test.clock.advance(Duration::from_secs(16 * 60));
    let newer = sign_in(&stage.test).await;
    assert!(stage.come_back(&first, &newer).await.is_to_sign_in(), "tickets end");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demanded_second_factor_is_asked_for() {
    let stage = Stage::new().await;
    let app = stage.register(|_| {}).await;
    let claims = second_factor();
    let sent = stage.browse(&asking(&app, &[("claims", &claims)]), Some(&stage.cookie)).await;
    assert!(sent.status == 303 && sent.location.starts_with("/signin/second-factor?return="), "{}", sent.location);
    let none = stage.browse(&asking(&app, &[("claims", &claims), ("prompt", "none")]), Some(&stage.cookie)).await;
    assert_eq!(none.answer()["error"], "interaction_required");
    let unknown = r#"{"access_token":{"acrs":{"essential":true,"value":"c7"}}}"#;
    let sent = stage.browse(&asking(&app, &[("claims", unknown)]), Some(&stage.cookie)).await;
    assert_eq!(sent.answer()["error"], "invalid_request");
    stage.end().await;
}
