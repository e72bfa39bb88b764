//! The sign-in pages, as a browser without JavaScript sees them.

use std::time::Duration;

use outbound::Method;
use serde_json::{Value, json};

use crate::{
    browser::{Browser, PASSWORD},
    house::TestHouse,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_password_opens_a_session_and_signing_out_ends_it() {
    let (test, _) = TestHouse::new().await;
    let browser = Browser::new(&test);
    assert_eq!(browser.get("/signin/security").await.location, "/signin?return=%2Fsignin%2Fsecurity");
    let signed = browser.sign_in(PASSWORD, "").await;
    assert_eq!((signed.status, signed.location.as_str()), (303, "/signin/security"));
    let cookie = &signed.headers["set-cookie"];
    for rule in ["__Host-bartizan=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
        assert!(cookie.contains(rule), "{cookie}");
    }
    assert!(!cookie.contains("Domain") && !cookie.contains("Max-Age"));
    let security = browser.get("/signin/security").await;
    assert!(security.status == 200 && security.says("Signed in as admin") && security.says("this browser"));
    assert_eq!(browser.get("/signin").await.location, "/signin/security");

    // A GET signs nobody out.
    let asked = browser.get("/signout").await;
    assert_eq!(browser.get("/signin/security").await.status, 200);
    let session = browser.session().unwrap();
    let gone = browser.post("/signout", &[("form", &asked.field("form"))]).await;
    assert!(gone.status == 200 && gone.says("You are signed out") && browser.session().is_none());
    browser.cookies.borrow_mut().insert(String::from("__Host-bartizan"), session);
    assert_eq!(browser.get("/signin/security").await.status, 303, "the key is worth nothing any more");

    // After an hour of silence the key opens nothing, but still signs out.
    browser.cookies.borrow_mut().clear();
    browser.sign_in(PASSWORD, "").await;
    test.clock.advance(std::time::Duration::from_secs(3601));
    let asked = browser.get("/signout").await;
    assert!(asked.status == 200 && !asked.says("admin") && browser.session().is_some());
    let session = browser.session().unwrap();
    let end = format!("/sessions/{}/end", uuid::Uuid::try_parse(session.split('.').next().unwrap()).unwrap());
    let other = Browser::new(&test);
    other.sign_in(PASSWORD, "").await;
    assert!(other.get("/signin/security").await.says(&end));
    let gone = browser.post("/signout", &[("form", &asked.field("form"))]).await;
    assert!(gone.says("You are signed out") && browser.session().is_none());
    assert!(!other.get("/signin/security").await.says(&end));
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_taken_from_our_own_pages_alone() {
    let (test, _) = TestHouse::new().await;
    let browser = Browser::new(&test);
    let form = browser.get("/signin").await.field("form");
    let stranger = Browser::new(&test);
    let foreign = stranger.get("/signin").await.field("form");
    let ours = test.house.settings().url.clone();
    let fields = |form: &str| [("form", form.to_owned()), ("user_name", "x".into()), ("password", "y".into())];
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, u16);
    let here: &[(&str, &str)] = &[("sec-fetch-site", "same-origin")];
    let cases: &[Case<'_>] = &[
        ("a page of ours", here, &form, 400),
        ("a script of ours", &[("sec-fetch-site", "same-origin"), ("origin", &ours)], &form, 400),
        ("an older browser's script", &[("origin", &ours)], &form, 400),
        ("no word of where", &[], &form, 403),
        ("an origin that is hidden", &[("origin", "null")], &form, 403),
        ("another site", &[("sec-fetch-site", "cross-site")], &form, 403),
        ("a neighbour", &[("sec-fetch-site", "same-site")], &form, 403),
        ("nobody's page", &[("sec-fetch-site", "none")], &form, 403),
        ("another origin", &[("origin", "https://evil.example")], &form, 403),
        (
            "another origin that lies",
            &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
            &form,
            403,
        ),
        ("our name with more", &[("origin", &format!("{ours}.evil.example"))], &form, 403),
        ("our name over http", &[("origin", &ours.replace("https", "http"))], &form, 403),
        ("no token", here, "", 403),
        ("another browser's token", here, &foreign, 403),
        ("a cut token", here, &form[..form.len() - 2], 403),
        ("a made-up token", here, &"A".repeat(form.len()), 403),
    ];
    for (name, headers, token, status) in cases {
        let fields = fields(token);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = browser.send(Method::POST, "/signin", headers, Some(&fields)).await;
        assert_eq!(page.status, *status, "{name}: {}", page.html);
        assert!(browser.session().is_none(), "{name}");
    }
    let twice = [("form", form.as_str()), ("user_name", "a"), ("user_name", "b"), ("password", "c")];
    assert_eq!(browser.post("/signin", &twice).await.status, 400);
    // Without its cookie a browser has no token at all.
    browser.cookies.borrow_mut().clear();
    assert_eq!(browser.post("/signin", &[("form", &form)]).await.status, 403);
    test.end().await;
}

/// Every door of the pages that changes something, without a token: nothing behind it is reached.
#[tokio::test(flavor = "multi_thread")]
async fn no_door_of_the_pages_takes_a_post_without_its_token() {
    let (test, _) = TestHouse::new().await;
    let browser = Browser::new(&test);
    browser.sign_in(PASSWORD, "").await;
    let doors = http_faces::faces::doors();
    let is_page = |path: &str| ["/signin", "/signout", "/device"].iter().any(|page| path.starts_with(page));
    let posts = doors.list().iter().filter(|door| door.method == http_method("POST") && is_page(&door.path));
    let mut seen = 0;
    for door in posts {
        let place = crate::gate::fill(&test, &door.path);
        let page = browser.post(&place, &[("code", "000000")]).await;
        let is_script = door.path.ends_with("passkey/begin");
        assert_eq!(page.status, if is_script { 400 } else { 403 }, "{}", door.path);
        seen += 1;
    }
    assert!(seen >= 16, "{seen}");
    assert_eq!(browser.get("/signin/security").await.status, 200, "still signed in");
    test.end().await;
}

fn http_method(name: &str) -> Method {
    Method::from_bytes(name.as_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_ends_where_it_may() {
    let (test, _) = TestHouse::new().await;
    let tenant = test.founded.tenant;
    let authorize = format!("/{tenant}/oauth2/v2.0/authorize?client_id=a&state=b%20c");
    let cases = [
        ("/device", "/device"),
        ("/signin/security", "/signin/security"),
        ("//evil.example", "/signin/security"),
        ("/\\evil.example", "/signin/security"),
        ("/%2f%2fevil.example", "/signin/security"),
        ("https://evil.example/oauth2/x", "/signin/security"),
        ("javascript:alert(1)", "/signin/security"),
        ("/@evil.example/oauth2/x", "/signin/security"),
        ("/device\r\nset-cookie: a=b", "/signin/security"),
        ("/signin/continue", "/signin/security"),
    ];
    for (wanted, place) in cases {
        let browser = Browser::new(&test);
        let signed = browser.sign_in(PASSWORD, wanted).await;
        assert_eq!((signed.status, signed.location.as_str()), (303, place), "{wanted:?}");
    }
    let browser = Browser::new(&test);
    let signed = browser.sign_in(PASSWORD, &authorize).await;
    assert!(signed.location.starts_with("/signin/continue?return=%2F"), "{}", signed.location);
    let on = browser.get(&signed.location).await;
    assert!(on.says(&format!("content=\"0; url={}\"", authorize.replace('&', "&#38;"))), "{}", on.html);
    let nowhere = browser.get("/signin/continue?return=https%3A%2F%2Fevil.example%2Foauth2%2Fx").await;
    assert_eq!(nowhere.location, "/signin/security");
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_the_same_of_those_who_exist_and_those_who_do_not() {
    let (test, _) = TestHouse::new().await;
    let refused = async |name: &str| {
        let browser = Browser::new(&test);
        let form = browser.get("/signin").await.field("form");
        let page = browser.post("/signin", &[("form", &form), ("user_name", name), ("password", "wrong")]).await;
        let html = page.html.replace(&page.field("form"), "").replace(&format!("value=\"{name}\""), "");
        (page.status, page.headers["retry-after"].clone(), html)
    };
    let (known, unknown) = (refused("admin").await, refused("nobody").await);
    assert_eq!(known, unknown);
    assert!(known.0 == 400 && known.2.contains("The user name or the password is not right"), "{known:?}");
    // And so do those that come too fast: after enough of them both are told to wait.
    let mut last = Vec::new();
    for name in ["admin", "nobody"] {
        let mut answers = Vec::new();
        for _ in 0..40 {
            answers.push(refused(name).await.0);
        }
        last.push(answers);
    }
    assert!(last[0].contains(&429), "{last:?}");
    assert_eq!(last[0].last(), last[1].last());
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_closed_to_other_sites_and_kept_by_nobody() {
    let (test, _) = TestHouse::new().await;
    let stranger = Browser::new(&test);
    let browser = Browser::new(&test);
    browser.sign_in(PASSWORD, "").await;
    let tenant = test.founded.tenant;
    let places = [
        String::from("/signin"),
        String::from("/signin/enrol"),
        String::from("/signin/password"),
        String::from("/signin/security"),
        String::from("/device"),
        String::from("/signout"),
        format!("/signin/continue?return=%2F{tenant}%2Foauth2%2Fv2.0%2Fauthorize"),
        String::from("/signin/assets/no-such-file"),
    ];
    for place in &places {
        let from = if place == "/signin" { &stranger } else { &browser };
        let page = from.get(place).await;
        assert!([200, 404].contains(&page.status), "{place}: {}", page.status);
        let policy = &page.headers["content-security-policy"];
        for rule in [
            "default-src 'none'",
            "script-src 'self';",
            "style-src 'self';",
            "form-action 'self';",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(rule), "{place}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        let fixed = [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-opener-policy", "same-origin"),
            ("content-language", "en"),
        ];
        for (name, value) in fixed {
            assert_eq!(page.headers[name], value, "{place}");
        }
        // Nothing of a page is written into it that a policy would have to allow.
        for inline in ["<style", "style=", "<script>", "javascript:", " onclick", " onload", " onsubmit"] {
            assert!(!page.html.to_lowercase().contains(inline), "{place} holds `{inline}`");
        }
        // What it loads is there, and may be kept, since its address changes with it.
        for link in page.html.split('"').filter(|text| text.starts_with("/signin/assets/")) {
            let asset = from.get(link).await;
            assert_eq!(asset.status, 200, "{link}");
            assert!(asset.headers["cache-control"].contains("immutable"), "{link}");
        }
    }
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_speak_the_browser_s_language() {
    let (test, _) = TestHouse::new().await;
    let cases = [
        ("en-GB,en;q=0.9", "en", "Sign in to Bartizan"),
        ("ja,en;q=0.5", "ja", "Bartizan にサインイン"),
        ("pt-BR", "pt", "Entrar em Bartizan"),
        ("fr", "en", "Sign in to Bartizan"),
    ];
    for (language, tag, heading) in cases {
        let mut browser = Browser::new(&test);
        browser.language = language;
        let page = browser.get("/signin").await;
        assert!(page.says(&format!("<html lang=\"{tag}\">")) && page.says(heading), "{language}: {}", page.html);
        assert_eq!(page.headers["content-language"], tag);
        assert!(page.headers["vary"].contains("accept-language"));
    }
    test.end().await;
}

/// What a person types, and what an application is called, is text wherever it is shown.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_is_shown_as_text() {
    let (test, _) = TestHouse::new().await;
    let browser = Browser::new(&test);
    let form = browser.get("/signin").await.field("form");
    let evil = "\"><script>alert(1)</script>'";
    let page = browser.post("/signin", &[("form", &form), ("user_name", evil), ("password", "x")]).await;
    assert!(!page.says("<script>alert") && page.says("&#60;script&#62;alert(1)"), "{}", page.html);
    let hint = browser.get("/signin?hint=%22%3E%3Cscript%3Ealert(1)").await;
    assert!(!hint.says("<script>alert") && hint.says("&#60;script&#62;"), "{}", hint.html);
    test.end().await;
}

/// A cookie that comes twice was set by somebody else, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_comes_twice_counts_for_nothing() {
    let (test, _) = TestHouse::new().await;
    let browser = Browser::new(&test);
    browser.sign_in(PASSWORD, "").await;
    let session = browser.session().unwrap();
    let other = Browser::new(&test);
    let cookies = format!("__Host-bartizan={session}; __Host-bartizan={session}");
    let page = other.send(Method::GET, "/signin/security", &[("cookie", &cookies)], None).await;
    assert_eq!(page.status, 303);
    let cookies = format!("a=b; __Host-bartizan={session}");
    let page = other.send(Method::GET, "/signin/security", &[("cookie", &cookies)], None).await;
    assert_eq!(page.status, 200);
    test.end().await;
}

/// Forms are tied to a session's present key: a page from before its change is refused, and says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_from_another_session_s_time_is_refused() {
    let (test, _) = TestHouse::new().await;
    let browser = Browser::new(&test);
    browser.sign_in(PASSWORD, "").await;
    let old = browser.get("/signin/password").await.field("form");
    let first = browser.session();
    browser.cookies.borrow_mut().remove("__Host-bartizan");
    browser.sign_in(PASSWORD, "").await;
    assert_ne!(first, browser.session());
    let page = browser.post("/signout", &[("form", &old)]).await;
    assert!(page.status == 403 && page.says("load the page anew"), "{}", page.html);
    test.end().await;
}

/// A script is told by its own means that the session has ended, and where the sign-in begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_ended_leads_back_to_the_first_page() {
    let (test, _) = TestHouse::new().await;
    let browser = Browser::new(&test);
    browser.sign_in(PASSWORD, "").await;
    let form = browser.get("/signin/enrol").await.field("form");
    test.clock.advance(Duration::from_secs(13 * 3600));
    let call = test.client().post("/signin/enrol/passkey/begin").json(&json!({"form": form}));
    let cookie = format!("__Host-bartizan={}", browser.session().unwrap());
    let answer = call.header("cookie", &cookie).header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 409);
    let place = answer.json::<Value>().await.unwrap()["location"].as_str().unwrap().to_owned();
    assert!(browser.get(&place).await.says("Too much time has passed"), "{place}");
    let posted = browser.post("/signin/enrol/totp/begin", &[("form", &form), ("return", "/device")]).await;
    assert_eq!((posted.status, posted.location.as_str()), (303, "/signin?return=%2Fdevice&again=expired"));
    test.end().await;
}

/// Whoever is signed in is asked before a program on their machine gets an answer, and told which program asks.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_names_the_application_and_lets_the_person_decide() {
    let (test, _) = TestHouse::new().await;
    let browser = Browser::new(&test);
    browser.sign_in(PASSWORD, "").await;
    let query = [
        ("client_id", "04b07795-8ddb-461a-bbee-02f9e1bf7b46"),
        ("response_type", "code"),
        ("response_mode", "form_post"),
        ("redirect_uri", "http%3A%2F%2Flocalhost%3A8400"),
        ("scope", "openid"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("state", "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
    ];
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let place = format!("/{}/oauth2/v2.0/authorize?{}", test.founded.tenant, query.join("&"));
    let asked = browser.get(&browser.get(&place).await.location).await;
    assert!(asked.says("to go on to Azure developer sign-on") && asked.says("Continue as admin"), "{}", asked.html);
    let (_, link) = asked.html.split_once("class=\"button\" href=\"").unwrap();
    let link = link.split('"').next().unwrap().replace("&#38;", "&");
    let page = browser.get(&link).await;
    assert_eq!(page.status, 200, "{}", page.html);
    let policy = &page.headers["content-security-policy"];
    assert!(!policy.contains("form-action") && policy.contains("script-src 'self';"), "{policy}");
    assert!(page.says("action=\"http://localhost:8400\"") && page.says("name=\"code\""), "{}", page.html);
    assert!(!page.says("<script>alert") && page.says("&#60;script&#62;alert(1)"), "{}", page.html);
    let nobody_s =
        browser.get(&format!("/signin?return=%2F{}%2Foauth2%2Fx%3Fclient_id%3Dnone", test.founded.tenant)).await;
    assert!(nobody_s.status == 200 && !nobody_s.says("to go on to"), "{}", nobody_s.html);
    test.end().await;
}
