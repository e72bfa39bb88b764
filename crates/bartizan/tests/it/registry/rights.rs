//! Who may do what in a registry, and by what they prove it.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    access::{ACR_DELETE, ACR_PULL, ACR_PUSH},
    audit::ExportActivities,
    gate::enter,
};
use kernel::Caller;
use outbound::Method;
use serde_json::{Value, json};

use super::stage::{REGISTRY, Stage, basic, digest};
use crate::house::Who;

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_for_what_it_says() {
    let stage = Stage::new().await;
    stage.image("a", "v1", b"layer").await;
    let puller = stage.person("puller", &[ACR_PULL]).await;
    let deleter = stage.person("deleter", &[ACR_DELETE]).await;
    let stranger = stage.person("stranger2", &[]).await;
    let (manifest, uploads) = (stage.at("a/manifests/v1"), stage.at("a/blobs/uploads/"));
    for (who, get, post, delete) in [
        (Some(&puller), 200, 403, 403),
        (Some(&stage.all), 200, 202, 202),
        // Whoever may not pull does not know what there is to read.
        (Some(&deleter), 404, 404, 202),
        (Some(&stranger), 404, 404, 404),
        (None, 401, 401, 401),
    ] {
        let who = who.map(String::as_str);
        assert_eq!(stage.ask_as(who, Method::GET, &manifest, &[], b"").await.status, get, "{who:?}");
        assert_eq!(stage.ask_as(who, Method::POST, &uploads, &[], b"").await.status, post, "{who:?}");
        assert_eq!(stage.ask_as(who, Method::DELETE, &manifest, &[], b"").await.status, delete, "{who:?}");
        if delete == 202 {
            stage.image("a", "v1", b"layer").await;
        }
    }
    // Nor is a stranger told that a name is not well formed.
    for place in [stage.at("A/tags/list"), format!("/acr/v1/{REGISTRY}/A/_tags")] {
        assert_eq!(stage.ask_as(None, Method::GET, &place, &[], b"").await.status, 401, "{place}");
        assert_eq!(stage.ask_as(Some(&puller), Method::GET, &place, &[], b"").await.status, 400, "{place}");
    }
    // A registry that is not there looks like one that is not theirs.
    let there = stage.ask_as(Some(&stranger), Method::GET, &manifest, &[], b"").await;
    let not = stage.ask_as(Some(&stranger), Method::GET, "/v2/nothere/a/manifests/v1", &[], b"").await;
    assert_eq!((there.status, &there.body), (not.status, &not.body));
    let (token, _) = stage.token(&stranger, &[]).await;
    let there = stage.ask_as(Some(&token), Method::GET, &manifest, &[], b"").await.is(401);
    let not = stage.ask_as(Some(&token), Method::GET, "/v2/nothere/a/manifests/v1", &[], b"").await.is(401);
    assert_eq!(there.body, not.body);
    for told in [&there, &not] {
        assert!(told.header("www-authenticate").contains("error=\"insufficient_scope\""), "{told:?}");
    }
    // Wrong secrets, names of nobody, headers that are none.
    for bad in [
        basic("6f9619ff-8b86-d011-b42d-00c04fc964ff", "x"),
        basic(REGISTRY, "x"),
        String::from("Basic x"),
        String::from("Bearer x"),
        String::from("x"),
    ] {
        assert_eq!(stage.ask_as(Some(&bad), Method::GET, &manifest, &[], b"").await.status, 401, "{bad}");
    }
    // A token for managing is none for images, and a run's or a vault's neither.
    let managing = format!("Bearer {}", stage.owner().expose());
    assert_eq!(stage.ask_as(Some(&managing), Method::GET, &manifest, &[], b"").await.status, 401);
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_for_what_was_asked_and_may_be_done() {
    let stage = Stage::new().await;
    stage.image("a", "v1", b"layer").await;
    stage.image("b", "v1", b"other").await;
    let (app, secret, places) = stage.robot("puller", &[ACR_PULL]).await;
    let puller = basic(&app, &secret);
    let (manifest, other) = (stage.at("a/manifests/v1"), stage.at("b/manifests/v1"));
    // The challenge says where, and for what.
    let asked = stage.ask_as(None, Method::GET, &manifest, &[], b"").await.is(401);
    let challenge = asked.header("www-authenticate").to_owned();
    let port = stage.test.house.settings().url.rsplit(':').next().unwrap().to_owned();
    assert_eq!(
        challenge,
        format!(
            "Bearer realm=\"https://localhost:{port}/oauth2/token\",service=\"localhost:{port}\",scope=\"repository:{REGISTRY}/a:pull\""
        )
    );
    let host = [("host", "conreg1.azurecr.bartizan.test")];
    let own = stage.ask_as(None, Method::PUT, "/v2/a/manifests/v1", &host, b"{}").await.is(401);
    assert!(
        own.header("www-authenticate")
            .ends_with("service=\"conreg1.azurecr.bartizan.test\",scope=\"repository:a:pull,push\""),
        "{own:?}"
    );

    let scope = format!("repository:{REGISTRY}/a:pull,push,delete");
    let (token, body) = stage.token(&puller, &[&scope]).await;
    assert!(body["expires_in"].as_i64().unwrap() <= 600);
    let held: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert_eq!(held["access"][0]["actions"], json!(["pull"]), "no more than the role gives: {held}");
    let with = async |token: &str, place: &str| stage.ask_as(Some(token), Method::GET, place, &[], b"").await;
    assert_eq!(with(&token, &manifest).await.status, 200);
    let narrow = with(&token, &other).await.is(401);
    assert!(narrow.header("www-authenticate").contains("error=\"insufficient_scope\""), "{narrow:?}");
    assert_eq!(with(&token, &stage.at("_catalog")).await.status, 401);
    let (catalog, _) = stage.token(&puller, &[&format!("registry:{REGISTRY}/catalog:*")]).await;
    assert_eq!(with(&catalog, &stage.at("_catalog")).await.status, 200);
    assert_eq!(with(&catalog, &manifest).await.status, 401);
    // A refresh token gets others, and opens nothing itself.
    let refresh = body["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(with(&format!("Bearer {refresh}"), &manifest).await.status, 401);
    let form = format!("grant_type=refresh_token&service=localhost:{port}&scope={scope}&refresh_token={refresh}");
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let got = stage.ask_as(None, Method::POST, "/oauth2/token", &kind, form.as_bytes()).await.is(200).json();
    let again = format!("Bearer {}", got["access_token"].as_str().unwrap());
    assert_eq!(with(&again, &manifest).await.status, 200);
    let own = form.replace(&format!("localhost:{port}"), "conreg1.azurecr.bartizan.test");
    assert_eq!(
        stage.ask_as(None, Method::POST, "/oauth2/token", &kind, own.as_bytes()).await.status,
        401,
        "another service's"
    );
    let shown = basic("00000000-0000-0000-0000-000000000000", &refresh);
    assert_eq!(stage.token(&shown, &[&scope]).await.1["refresh_token"], Value::Null);
    for place in [manifest.as_str(), other.as_str(), "/v2/"] {
        assert_eq!(with(&shown, place).await.status, 401, "{place}");
    }
    // A role that is taken away counts at the next request, whatever the token says.
    let (status, _) = stage.test.ask(Some(stage.owner()), Method::DELETE, &places[0], None).await;
    assert_eq!(status, 200);
    assert_eq!(with(&again, &manifest).await.status, 404);
    assert_eq!(with(&puller, &manifest).await.status, 404);
    stage.test.clock.advance(Duration::from_secs(601));
    assert_eq!(with(&again, &manifest).await.status, 401);
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_forged_token_and_no_password_of_a_person_opens_a_registry() {
    let stage = Stage::new().await;
    stage.image("a", "v1", b"layer").await;
    let scope = format!("repository:{REGISTRY}/a:pull");
    let (token, _) = stage.token(&stage.all, &[&scope]).await;
    let parts: Vec<&str> = token.trim_start_matches("Bearer ").split('.').collect();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    let manifest = stage.at("a/manifests/v1");
    // A key in the header (CVE-2025-24976), no algorithm, another type, a bent claim.
    for (field, value) in [
        ("jwk", json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"})),
        ("x5c", json!(["AA"])),
        ("alg", json!("none")),
        ("typ", json!("acr-refresh+jwt")),
    ] {
        let mut bent = header.clone();
        bent[field] = value;
        let bent = format!("Bearer {}.{}.{}", URL_SAFE_NO_PAD.encode(bent.to_string()), parts[1], parts[2]);
        assert_eq!(stage.ask_as(Some(&bent), Method::GET, &manifest, &[], b"").await.status, 401, "{field}");
    }
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    claims["access"][0]["actions"] = json!(["pull", "push", "delete"]);
    let bent = format!("Bearer {}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2]);
    assert_eq!(stage.ask_as(Some(&bent), Method::GET, &manifest, &[], b"").await.status, 401);

    let kind = [("content-type", "application/x-www-form-urlencoded")];
    for form in [
        "grant_type=password&service=localhost&username=admin&password=correct horse battery",
        "grant_type=password&service=localhost&username=admin@bartizan.test&password=correct%20horse%20battery",
        "grant_type=refresh_token&service=localhost&refresh_token=x",
    ] {
        assert_eq!(
            stage.ask_as(None, Method::POST, "/oauth2/token", &kind, form.as_bytes()).await.status,
            401,
            "{form}"
        );
    }
    for form in ["", "grant_type=client_credentials", "grant_type=password", "grant_type=refresh_token"] {
        assert_eq!(
            stage.ask_as(None, Method::POST, "/oauth2/token", &kind, form.as_bytes()).await.status,
            400,
            "{form}"
        );
    }
    let person = basic("admin", "correct horse battery");
    assert_eq!(stage.ask_as(Some(&person), Method::GET, "/oauth2/token?service=x", &[], b"").await.status, 401);
    assert_eq!(stage.ask_as(Some(&person), Method::GET, "/v2/", &[], b"").await.status, 401);
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_is_exchanged_and_what_comes_of_it_ends_with_it() {
    let stage = Stage::new().await;
    stage.image("a", "v1", b"layer").await;
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let service = "conreg1.azurecr.bartizan.test";
    let managing = stage.owner().expose().to_owned();
    let form = format!("grant_type=access_token&service={service}&access_token={managing}");
    let got = stage.ask_as(None, Method::POST, "/oauth2/exchange", &kind, form.as_bytes()).await.is(200).json();
    let refresh = got["refresh_token"].as_str().unwrap().to_owned();
    let claims = |token: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
    };
    assert_eq!(claims(&refresh)["exp"], claims(&managing)["exp"], "no longer than what it was exchanged for");
    let form = format!("grant_type=refresh_token&service={service}&scope=repository:a:pull&refresh_token={refresh}");
    let got = stage.ask_as(None, Method::POST, "/oauth2/token", &kind, form.as_bytes()).await.is(200).json();
    let token = format!("Bearer {}", got["access_token"].as_str().unwrap());
    let host = [("host", service)];
    assert_eq!(stage.ask_as(Some(&token), Method::GET, "/v2/a/manifests/v1", &host, b"").await.status, 200);
    for bad in ["x", &refresh] {
        let form = format!("grant_type=access_token&service={service}&access_token={bad}");
        assert_eq!(stage.ask_as(None, Method::POST, "/oauth2/exchange", &kind, form.as_bytes()).await.status, 401);
    }
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_account_is_off_until_it_is_turned_on_and_ends_with_its_password() {
    let stage = Stage::new().await;
    stage.image("a", "v1", b"layer").await;
    let (owner, manifest) = (stage.owner(), stage.at("a/manifests/v1"));
    let credentials = format!("{}/listCredentials", stage.id);
    assert_eq!(stage.test.ask(Some(owner), Method::POST, &credentials, Some(&json!({}))).await.0, 409);
    let set = async |on: bool| {
        let body = json!({"properties": {"adminUserEnabled": on}});
        let (status, made) = stage.test.ask(Some(owner), Method::PATCH, &stage.id, Some(&body)).await;
        assert_eq!((status, &made["properties"]["adminUserEnabled"]), (200, &json!(on)), "{made}");
    };
    set(true).await;
    let (status, shown) = stage.test.ask(Some(owner), Method::POST, &credentials, Some(&json!({}))).await;
    assert_eq!((status, &shown["username"]), (200, &json!(REGISTRY)), "{shown}");
    let password = |shown: &Value, at: usize| shown["passwords"][at]["value"].as_str().unwrap().to_owned();
    let (first, second) = (basic(REGISTRY, &password(&shown, 0)), basic(REGISTRY, &password(&shown, 1)));
    let with = async |who: &str| stage.ask_as(Some(who), Method::GET, &manifest, &[], b"").await.status;
    assert_eq!((with(&first).await, with(&second).await), (200, 200));
    let (token, _) = stage.token(&first, &[&format!("repository:{REGISTRY}/a:pull")]).await;
    assert_eq!(with(&token).await, 200);
    // Records name the password that was shown.
    stage.test.house.flush_reads().await.unwrap();
    let op = ExportActivities { from: 1, most: 1000 };
    let rows = enter(&stage.test.house, &Caller::house(), op).await.unwrap();
    for action in ["registries/signIn", "registries/tokens/issue"] {
        let is_named = rows.iter().any(|(_, activity)| {
            activity.action.ends_with(action) && activity.actor.label() == "registry admin account by password"
        });
        assert!(is_named, "{action}");
    }
    // In another registry it is nobody.
    let elsewhere = stage.ask_as(Some(&first), Method::GET, "/v2/nothere/a/manifests/v1", &[], b"").await;
    assert_eq!(elsewhere.status, 404);
    let place = format!("{}/regenerateCredential", stage.id);
    stage.test.clock.advance(Duration::from_secs(1));
    let body = json!({"name": "password"});
    assert_eq!(stage.test.ask(Some(owner), Method::POST, &place, Some(&body)).await.0, 200);
    assert_eq!((with(&first).await, with(&token).await, with(&second).await), (401, 401, 200));
    set(false).await;
    assert_eq!(with(&second).await, 401);
    // What a workspace brings has it on.
    let ws = stage.test.workspace().replace("/ws1", "/ws2");
    let body = json!({"properties": {"containerRegistry": stage.id}});
    let (status, said) = stage.test.ask(Some(owner), Method::PUT, &ws, Some(&body)).await;
    assert_eq!(status, 400, "{said}");
    set(true).await;
    assert_eq!(stage.test.ask(Some(owner), Method::PUT, &ws, Some(&body)).await.0, 201);
    // And nobody deletes it while it is used.
    let (status, said) = stage.test.ask(Some(owner), Method::DELETE, &stage.id, None).await;
    assert_eq!(status, 409, "{said}");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_mounted_for_who_may_not_pull() {
    let stage = Stage::new().await;
    let of = stage.push("a", b"layer").await;
    let role = json!({"properties": {
        "roleName": "Pusher", "type": "CustomRole", "assignableScopes": [stage.test.subscription()],
        "permissions": [{"actions": ["Microsoft.ContainerRegistry/registries/push/write"]}],
    }});
    let id = uuid::Uuid::new_v4();
    let place = format!("{}/providers/Microsoft.Authorization/roleDefinitions/{id}", stage.test.subscription());
    let (status, said) = stage.test.ask(stage.callers.token(Who::Owner), Method::PUT, &place, Some(&role)).await;
    assert_eq!(status, 201, "{said}");
    let pusher = stage.person("onlypusher", &[id]).await;
    for from in ["", &format!("&from={REGISTRY}/a")] {
        let place = stage.at(&format!("b/blobs/uploads/?mount={of}{from}"));
        let told = stage.ask_as(Some(&pusher), Method::POST, &place, &[], b"").await;
        assert_eq!(told.status, 202, "{from}");
    }
    stage.ask(Method::HEAD, &stage.at(&format!("b/blobs/{}", digest(b"layer"))), &[], b"").await.is(404);
    let both = stage.person("both", &[id, ACR_PUSH]).await;
    let place = stage.at(&format!("b/blobs/uploads/?mount={of}"));
    assert_eq!(stage.ask_as(Some(&both), Method::POST, &place, &[], b"").await.status, 201);
    stage.test.end().await;
}
