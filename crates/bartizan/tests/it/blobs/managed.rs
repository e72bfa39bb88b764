//! Blob services and containers through the resource manager, and signatures that it makes.

use outbound::Method;
use serde_json::{Value, json};

use super::stage::Stage;
use crate::house::Who;

#[tokio::test(flavor = "multi_thread")]
async fn containers_and_settings_are_the_same_at_both_addresses() {
    let stage = Stage::new().await;
    let owner = stage.callers.token(Who::Owner);
    let place = |name: &str| format!("{}/blobServices/default/containers/{name}", stage.id);
    let ask =
        async |method, place: &str, body: Option<Value>| stage.test.ask(owner, method, place, body.as_ref()).await;
    let labels = json!({"properties": {"metadata": {"Kind": "raw"}}});
    let (status, made) = ask(Method::PUT, &place("data"), Some(labels)).await;
    assert_eq!(
        (status, &made["name"], &made["properties"]["publicAccess"]),
        (201, &json!("data"), &json!("None")),
        "{made}"
    );
    assert_eq!(ask(Method::PUT, &place("data"), Some(json!({"properties": {}}))).await.0, 200, "again");
    let (_, seen) = ask(Method::GET, &place("data"), None).await;
    assert_eq!(
        (&seen["properties"]["metadata"], &seen["id"]),
        (&json!({"kind": "raw"}), &json!(place("data"))),
        "{seen}"
    );
    stage.ask(Method::PUT, "/data/a", &[("x-ms-blob-type", "BlockBlob")], b"x").await.is(201);
    let patch = json!({"properties": {"metadata": {"a": "2"}}});
    assert_eq!(ask(Method::PATCH, &place("data"), Some(patch)).await.1["properties"]["metadata"], json!({"a": "2"}));
    let all = format!("{}/blobServices/default/containers", stage.id);
    let (_, page) = ask(Method::GET, &format!("{all}?$maxpagesize=1"), None).await;
    assert_eq!(page["value"][0]["name"], "box", "{page}");
    let next = page["nextLink"].as_str().unwrap().strip_prefix(&stage.test.house.settings().url).unwrap().to_owned();
    let (_, rest) = ask(Method::GET, &next, None).await;
    assert_eq!((&rest["value"][0]["name"], rest.get("nextLink")), (&json!("data"), None), "{rest}");
    assert_eq!(ask(Method::DELETE, &place("data"), None).await.0, 200);
    assert_eq!(ask(Method::DELETE, &place("data"), None).await.0, 204);
    assert_eq!(ask(Method::GET, &place("data"), None).await.0, 404);
    for (name, body) in [
        ("Data", json!({})),
        ("open", json!({"properties": {"publicAccess": "Blob"}})),
        ("locked", json!({"properties": {"immutableStorageWithVersioning": {"enabled": true}}})),
        ("labels", json!({"properties": {"metadata": {"a b": "1"}}})),
    ] {
        assert_eq!(ask(Method::PUT, &place(name), Some(body)).await.0, 400, "{name}");
    }
    let service = format!("{}/blobServices/default", stage.id);
    let set =
        json!({"properties": {"deleteRetentionPolicy": {"enabled": true, "days": 5}, "isVersioningEnabled": true}});
    assert_eq!(ask(Method::PUT, &service, Some(set)).await.0, 200);
    // What is not said stays.
    let (_, kept) = ask(Method::PUT, &service, Some(json!({"properties": {"isVersioningEnabled": false}}))).await;
    assert_eq!(kept["properties"]["deleteRetentionPolicy"]["days"], 5, "{kept}");
    let told = stage.ask(Method::GET, "?restype=service&comp=properties", &[], b"").await.is(200).text();
    assert!(told.contains("<Enabled>true</Enabled><Days>5</Days>"), "{told}");
    let (_, listed) = ask(Method::GET, &format!("{}/blobServices", stage.id), None).await;
    assert_eq!(listed["value"][0]["name"], "default", "{listed}");
    for bad in [
        json!({"deleteRetentionPolicy": {"enabled": true, "days": 366}}),
        json!({"changeFeed": {"enabled": true}}),
        json!({"cors": {"corsRules": [{}]}}),
        json!({"isVersioningEnabled": "yes"}),
    ] {
        assert_eq!(ask(Method::PUT, &service, Some(json!({"properties": bad}))).await.0, 400);
    }
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_the_resource_manager_makes_opens_what_it_says() {
    let stage = Stage::new().await;
    stage.put("a", b"x").await.is(201);
    let sign = async |who, kind: &str, body: Value| {
        let place = format!("{}/{kind}", stage.id);
        stage.test.ask(stage.callers.token(who), Method::POST, &place, Some(&body)).await
    };
    let of_account = json!({
        "signedServices": "b", "signedResourceTypes": "o", "signedPermission": "r",
        "signedExpiry": stage.at(600), "keyToSign": "key1",
    });
    assert_eq!(sign(Who::Reader, "ListAccountSas", of_account.clone()).await.0, 403);
    let (status, told) = sign(Who::Owner, "ListAccountSas", of_account).await;
    assert_eq!(status, 200, "{told}");
    let sas = told["accountSasToken"].as_str().unwrap().to_owned();
    stage.bare(Method::GET, &format!("/box/a?{sas}"), &[], b"").await.is(200);
    stage.bare(Method::DELETE, &format!("/box/a?{sas}"), &[], b"").await.is(403);
    let of_blob = json!({
        "canonicalizedResource": format!("/blob/{}/box/a", stage.account), "signedResource": "b",
        "signedPermission": "r", "signedExpiry": stage.at(600), "keyToSign": "key2", "rsct": "text/x-own",
    });
    let (_, told) = sign(Who::Owner, "ListServiceSas", of_blob.clone()).await;
    let sas = told["serviceSasToken"].as_str().unwrap().to_owned();
    let got = stage.bare(Method::GET, &format!("/box/a?{sas}"), &[], b"").await.is(200);
    assert_eq!(got.headers["content-type"], "text/x-own");
    stage.bare(Method::GET, &format!("/box/b?{sas}"), &[], b"").await.refuses(403, "AuthenticationFailed");
    for (field, value) in [
        ("canonicalizedResource", json!("/blob/another/box/a")),
        ("signedResource", json!("c")),
        ("signedPermission", json!("q")),
        ("signedExpiry", json!("soon")),
        ("keyToSign", json!("key3")),
        ("signedProtocol", json!("http")),
        // More lines than one would be another text that the same key signs.
        ("canonicalizedResource", json!(format!("/blob/{}/box/a\nb", stage.account))),
        ("signedIdentifier", json!("p\nq")),
        ("signedIp", json!("1.2.3.4\n")),
        ("rsct", json!("text/x-own\r\n")),
    ] {
        let mut body = of_blob.clone();
        body[field] = value;
        assert_eq!(sign(Who::Owner, "ListServiceSas", body).await.0, 400, "{field}");
    }
    assert_eq!(stage.set(json!({"allowSharedKeyAccess": false})).await.0, 200);
    assert_eq!(sign(Who::Owner, "ListServiceSas", of_blob).await.0, 409);
    stage.test.end().await;
}
