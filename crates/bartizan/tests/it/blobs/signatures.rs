//! Shared keys and shared access signatures, and every way to bend one (requirement A-41).

use std::time::Duration;

use outbound::Method;
use serde_json::json;

use super::stage::{SV, Stage, Told, code, escaped, told};
use crate::house::Who;

async fn with(stage: &Stage, method: Method, place: &str, sas: &str) -> Told {
    let mark = if place.contains('?') { '&' } else { '?' };
    let headers: &[(&str, &str)] = if method == Method::PUT { &[("x-ms-blob-type", "BlockBlob")] } else { &[] };
    stage.bare(method, &format!("{place}{mark}{sas}"), headers, b"").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_opens_what_it_says_and_nothing_else() {
    let stage = Stage::new().await;
    stage.put("a", b"x").await.is(201);
    stage.put("b", b"y").await.is(201);
    stage.ask(Method::PUT, "/other?restype=container", &[], b"").await.is(201);
    let key = stage.key("key1").await;
    let blob = stage.service_sas(&key, "box/a", "b", "r", &[]);
    assert_eq!(with(&stage, Method::GET, "/box/a", &blob).await.is(200).body, b"x");
    with(&stage, Method::GET, "/box/b", &blob).await.refuses(403, "AuthenticationFailed");
    with(&stage, Method::GET, "/other/a", &blob).await.refuses(403, "AuthenticationFailed");
    with(&stage, Method::PUT, "/box/a", &blob).await.refuses(403, "AuthorizationPermissionMismatch");
    with(&stage, Method::DELETE, "/box/a", &blob).await.refuses(403, "AuthorizationPermissionMismatch");
    with(&stage, Method::GET, "/box?restype=container&comp=list", &blob).await.refuses(403, "AuthenticationFailed");
    let box_only = stage.service_sas(&key, "box", "c", "rl", &[]);
    with(&stage, Method::GET, "/box/b", &box_only).await.is(200);
    with(&stage, Method::GET, "/box?restype=container&comp=list", &box_only).await.is(200);
    with(&stage, Method::GET, "/other?restype=container&comp=list", &box_only)
        .await
        .refuses(403, "AuthenticationFailed");
    with(&stage, Method::GET, "/box?restype=container", &box_only)
        .await
        .refuses(403, "AuthorizationPermissionMismatch");
    with(&stage, Method::GET, "?comp=list", &box_only).await.refuses(403, "AuthenticationFailed");
    let making = stage.service_sas(&key, "box", "c", "c", &[]);
    with(&stage, Method::PUT, "/box/new", &making).await.is(201);
    with(&stage, Method::PUT, "/box/new", &making).await.refuses(403, "UnauthorizedBlobOverwrite");
    with(&stage, Method::GET, "/box/new", &making).await.refuses(403, "AuthorizationPermissionMismatch");
    let named = stage.service_sas(&key, "box/a", "b", "r", &[("rsct", "text/html"), ("rscd", "attachment")]);
    let got = with(&stage, Method::GET, "/box/a", &named).await.is(200);
    assert_eq!(
        (got.headers["content-type"].as_str(), got.headers["content-disposition"].as_str()),
        ("text/html", "attachment")
    );
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_was_bent_opens_nothing() {
    let stage = Stage::new().await;
    stage.put("a", b"x").await.is(201);
    let (key, other) = (stage.key("key1").await, stage.key("key2").await);
    let good = stage.service_sas(&key, "box/a", "b", "r", &[]);
    with(&stage, Method::GET, "/box/a", &good).await.is(200);
    let sig = good.split("sig=").nth(1).unwrap().to_owned();
    // Not in the midst of an escape.
    let part: String = sig.chars().take(10).take_while(|c| *c != '%').collect();
    let failed = [
        ("widened", good.replace("sp=r", "sp=rwd")),
        ("prolonged", good.replace(&escaped(&stage.at(600)), &escaped(&stage.at(6000)))),
        ("raised to the container", good.replace("sr=b", "sr=c")),
        ("without its version", good.replace(&format!("sv={SV}&"), "")),
        ("of an old version", good.replace(SV, "2015-04-05")),
        ("with a policy that is not there", format!("{good}&si=p")),
        ("with an address", format!("{good}&sip=127.0.0.1")),
        ("with more to answer", format!("{good}&rsct=text/html")),
        ("as an account's too", format!("{good}&srt=o&ss=b")),
        ("with an empty signature", good.replace(&sig, "")),
        ("with a part of the signature", good.replace(&sig, &part)),
        ("with another's object id", format!("{good}&skoid=6f9619ff-8b86-d011-b42d-00c04fc964ff")),
        ("of another blob", stage.service_sas(&key, "box/b", "b", "r", &[])),
        ("of a name with a trick", stage.service_sas(&key, "box/../box/a", "b", "r", &[])),
        ("of another container's name", stage.service_sas(&key, "bo", "c", "r", &[])),
        ("expired", stage.service_sas(&key, "box/a", "b", "r", &[("se", &stage.at(0))])),
        ("not begun", stage.service_sas(&key, "box/a", "b", "r", &[("st", &stage.at(60))])),
        ("without an end", stage.service_sas(&key, "box/a", "b", "r", &[("se", "")])),
        ("by no key", stage.service_sas("AAAA", "box/a", "b", "r", &[])),
        ("by the empty key", stage.service_sas("", "box/a", "b", "r", &[])),
    ];
    for (how, sas) in failed {
        let told = with(&stage, Method::GET, "/box/a", &sas).await;
        assert_eq!((told.status, told.code.as_str()), (403, "AuthenticationFailed"), "{how}: {}", told.text());
    }
    for twice in
        [format!("{good}&sp=rwd"), format!("{good}&sig={sig}"), format!("{good}&SIG={sig}"), format!("{good}&SP=rwd")]
    {
        with(&stage, Method::GET, "/box/a", &twice).await.refuses(400, "InvalidQueryParameterValue");
    }
    let from = |sip| stage.service_sas(&other, "box/a", "b", "r", &[("sip", sip)]);
    with(&stage, Method::GET, "/box/a", &from("127.0.0.1")).await.is(200);
    with(&stage, Method::GET, "/box/a", &from("127.0.0.0-127.0.0.9")).await.is(200);
    with(&stage, Method::GET, "/box/a", &from("10.0.0.1")).await.refuses(403, "AuthorizationSourceIPMismatch");
    let http = stage.service_sas(&other, "box/a", "b", "r", &[("spr", "http")]);
    with(&stage, Method::GET, "/box/a", &http).await.refuses(403, "AuthorizationProtocolMismatch");
    // Together with a token there is no telling who asks.
    let both = stage.ask(Method::GET, &format!("/box/a?{good}"), &[], b"").await;
    both.refuses(403, "AuthenticationFailed");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a41_a_regenerated_key_ends_what_it_signed_and_a_switch_ends_all() {
    let stage = Stage::new().await;
    stage.put("a", b"x").await.is(201);
    let (one, two) = (stage.key("key1").await, stage.key("key2").await);
    let (first, second) = (stage.service_sas(&one, "box/a", "b", "r", &[]), stage.account_sas(&two, &[]));
    with(&stage, Method::GET, "/box/a", &first).await.is(200);
    let owner = stage.callers.token(Who::Owner);
    let place = format!("{}/regenerateKey", stage.id);
    assert_eq!(stage.test.ask(owner, Method::POST, &place, Some(&json!({"keyName": "key1"}))).await.0, 200);
    with(&stage, Method::GET, "/box/a", &first).await.refuses(403, "AuthenticationFailed");
    with(&stage, Method::GET, "/box/a", &second).await.is(200);
    assert_eq!(stage.set(json!({"allowSharedKeyAccess": false})).await.0, 200);
    with(&stage, Method::GET, "/box/a", &second).await.refuses(403, "KeyBasedAuthenticationNotPermitted");
    stage.get("a").await.is(200);
    assert_eq!(stage.set(json!({"allowSharedKeyAccess": true})).await.0, 200);
    with(&stage, Method::GET, "/box/a", &second).await.is(200);
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_s_signature_is_bound_to_service_and_kind() {
    let stage = Stage::new().await;
    stage.put("a", b"x").await.is(201);
    let key = stage.key("key2").await;
    let sas = |more: &[(&str, &str)]| stage.account_sas(&key, more);
    with(&stage, Method::GET, "/box/a", &sas(&[])).await.is(200);
    with(&stage, Method::GET, "?comp=list", &sas(&[])).await.is(200);
    with(&stage, Method::GET, "/box/a", &sas(&[("ss", "qt")])).await.refuses(403, "AuthorizationServiceMismatch");
    with(&stage, Method::GET, "/box/a", &sas(&[("srt", "sc")])).await.refuses(403, "AuthorizationResourceTypeMismatch");
    with(&stage, Method::GET, "?comp=list", &sas(&[("srt", "o")]))
        .await
        .refuses(403, "AuthorizationResourceTypeMismatch");
    with(&stage, Method::GET, "/box/a", &sas(&[("sp", "wl")])).await.refuses(403, "AuthorizationPermissionMismatch");
    // What signs may not be widened by what was signed.
    with(&stage, Method::GET, "/box?restype=container&comp=acl", &sas(&[]))
        .await
        .refuses(403, "AuthorizationPermissionMismatch");
    with(&stage, Method::POST, "?restype=service&comp=userdelegationkey", &sas(&[]))
        .await
        .refuses(403, "AuthorizationPermissionMismatch");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_policy_is_taken_back_with_all_that_names_it() {
    let stage = Stage::new().await;
    stage.put("a", b"x").await.is(201);
    let key = stage.key("key1").await;
    let policy = |expiry: &str| {
        format!(
            "<SignedIdentifiers><SignedIdentifier><Id>p</Id><AccessPolicy><Expiry>{expiry}</Expiry><Permission>r</Permission></AccessPolicy></SignedIdentifier></SignedIdentifiers>"
        )
    };
    let set = async |text: String| {
        stage.ask(Method::PUT, "/box?restype=container&comp=acl", &[], text.as_bytes()).await.is(200)
    };
    set(policy(&stage.at(300))).await;
    assert!(
        stage.ask(Method::GET, "/box?restype=container&comp=acl", &[], b"").await.is(200).text().contains("<Id>p</Id>")
    );
    let sas = stage.service_sas(&key, "box/a", "b", "", &[("si", "p"), ("se", ""), ("sp", "")]);
    with(&stage, Method::GET, "/box/a", &sas).await.is(200);
    with(&stage, Method::DELETE, "/box/a", &sas).await.refuses(403, "AuthorizationPermissionMismatch");
    let both = stage.service_sas(&key, "box/a", "b", "rwd", &[("si", "p"), ("se", "")]);
    with(&stage, Method::GET, "/box/a", &both).await.refuses(403, "AuthenticationFailed");
    set(policy(&stage.at(0))).await;
    with(&stage, Method::GET, "/box/a", &sas).await.refuses(403, "AuthenticationFailed");
    set(String::new()).await;
    with(&stage, Method::GET, "/box/a", &sas).await.refuses(403, "AuthenticationFailed");
    stage.test.end().await;
}

/// A request signed with a key, as clients sign.
async fn keyed(stage: &Stage, key: &str, path: &str, query: &[(&str, &str)], date: &str, signed_path: &str) -> Told {
    let mut text =
        format!("GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{SV}\n/{}{signed_path}", stage.account);
    for (name, value) in query {
        text.push_str(&format!("\n{name}:{value}"));
    }
    let header = format!("SharedKey {}:{}", stage.account, code(key, &text));
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let place = if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) };
    let headers = [("authorization", header.as_str()), ("x-ms-date", date), ("x-ms-version", SV)];
    told(stage.call(Method::GET, &place, &headers, b"")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_key_signs_one_request_for_a_quarter_of_an_hour() {
    let stage = Stage::new().await;
    stage.put("a%20b", b"x").await.is(201);
    let (one, two) = (stage.key("key1").await, stage.key("key2").await);
    let path = format!("/blob/{}/box/a%20b", stage.account);
    let date = "Thu, 01 Jan 2026 00:00:00 GMT";
    assert_eq!(keyed(&stage, &one, "/box/a%20b", &[], date, &path).await.is(200).body, b"x");
    keyed(&stage, &two, "/box/a%20b", &[], date, &path).await.is(200);
    let list = [("comp", "list"), ("prefix", "a b"), ("restype", "container")];
    keyed(&stage, &one, "/box", &list, date, &format!("/blob/{}/box", stage.account)).await.is(200);
    keyed(&stage, "AAAA", "/box/a%20b", &[], date, &path).await.refuses(403, "AuthenticationFailed");
    keyed(&stage, &one, "/box/a%20b", &[], date, "/box/other").await.refuses(403, "AuthenticationFailed");
    keyed(&stage, &one, "/box/a%20b", &[], "Thu, 01 Jan 2026 00:15:01 GMT", &path)
        .await
        .refuses(403, "AuthenticationFailed");
    stage.test.clock.advance(Duration::from_secs(15 * 60 + 1));
    keyed(&stage, &one, "/box/a%20b", &[], date, &path).await.refuses(403, "AuthenticationFailed");
    stage.test.end().await;
}
