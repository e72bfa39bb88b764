//! Older versions of blobs.

use outbound::Method;
use serde_json::json;

use super::stage::{Stage, escaped};
use crate::house::Who;

async fn keep_versions(stage: &Stage, properties: serde_json::Value) {
    let place = format!("{}/blobServices/default", stage.id);
    let owner = stage.callers.token(Who::Owner);
    let (status, told) = stage.test.ask(owner, Method::PUT, &place, Some(&json!({"properties": properties}))).await;
    assert_eq!((status, &told["properties"]["isVersioningEnabled"]), (200, &json!(true)), "{told}");
}

const ALL: &str = "/box?restype=container&comp=list&include=versions";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_overwritten_or_deleted_stays_as_a_version_and_comes_back_by_a_copy() {
    let stage = Stage::new().await;
    // One from before versions were kept has none, and gets one when it is overwritten.
    assert!(!stage.put("old", b"before").await.is(201).headers.contains_key("x-ms-version-id"));
    keep_versions(&stage, json!({"isVersioningEnabled": true})).await;
    stage.put("old", b"after").await.is(201);
    let first = stage.put("a", b"one").await.is(201).headers["x-ms-version-id"].clone();
    let second = stage.put("a", b"two").await.is(201).headers["x-ms-version-id"].clone();
    assert!(first < second, "{first} {second}");
    let labels = [("x-ms-meta-a", "1")];
    let third =
        stage.ask(Method::PUT, "/box/a?comp=metadata", &labels, b"").await.is(200).headers["x-ms-version-id"].clone();
    let at = |version: &str| format!("/box/a?versionid={}", escaped(version));
    let read = async |version: &str| stage.ask(Method::GET, &at(version), &[], b"").await;
    assert_eq!(read(&first).await.is(200).body, b"one");
    let now = read(&third).await.is(200);
    assert_eq!((now.body.as_slice(), now.headers["x-ms-is-current-version"].as_str()), (b"two".as_slice(), "true"));
    let past = read(&second).await.is(200);
    assert!(!past.headers.contains_key("x-ms-is-current-version") && !past.headers.contains_key("x-ms-meta-a"));
    let listed = stage.ask(Method::GET, ALL, &[], b"").await.is(200).text();
    assert_eq!(
        (listed.matches("<Name>a</Name>").count(), listed.matches("<Name>old</Name>").count()),
        (3, 2),
        "{listed}"
    );
    assert_eq!(listed.matches("<IsCurrentVersion>true</IsCurrentVersion>").count(), 2);
    let plain = stage.ask(Method::GET, "/box?restype=container&comp=list", &[], b"").await.is(200).text();
    assert_eq!(plain.matches("<Blob>").count(), 2, "{plain}");
    // Page by page there are as many.
    let mut found = 0;
    let mut marker = String::new();
    loop {
        let page =
            stage.ask(Method::GET, &format!("{ALL}&maxresults=2&marker={marker}"), &[], b"").await.is(200).text();
        found += page.matches("<Blob>").count();
        marker = super::stage::leaf(&page, "NextMarker");
        if marker.is_empty() {
            break;
        }
    }
    assert_eq!(found, 5);
    stage.ask(Method::DELETE, "/box/a", &[], b"").await.is(202);
    stage.get("a").await.refuses(404, "BlobNotFound");
    assert_eq!(read(&third).await.is(200).body, b"two", "deleting leaves a version");
    let source = format!("{}/blob/{}{}", stage.test.house.settings().url, stage.account, at(&first));
    stage.ask(Method::PUT, "/box/a", &[("x-ms-copy-source", &source)], b"").await.is(202);
    assert_eq!(stage.get("a").await.is(200).body, b"one", "promoted");
    for both in ["&snapshot=2026-01-01T00:00:00.0000000Z", ""] {
        let told =
            stage.ask(Method::PUT, &format!("{}{both}", at(&first)), &[("x-ms-blob-type", "BlockBlob")], b"x").await;
        told.refuses(400, "InvalidQueryParameterValue");
    }
    read("2025-01-01T00:00:00.0000000Z").await.refuses(404, "BlobNotFound");
    // However the parameter is written, it is not the blob that goes.
    let capital = at(&second).replace("versionid", "VersionId");
    stage.ask(Method::DELETE, &capital, &[], b"").await.is(202);
    read(&second).await.refuses(404, "BlobNotFound");
    assert_eq!(stage.get("a").await.is(200).body, b"one", "what is there now stays");
    for none in ["/box/a?versionid=", "/box/a?VersionId=", "/box/a?versionid"] {
        stage.ask(Method::DELETE, none, &[], b"").await.refuses(400, "InvalidQueryParameterValue");
    }
    assert_eq!(stage.get("a").await.is(200).body, b"one", "a version that is not named is none");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_deleted_by_its_id_by_whoever_may_and_takes_only_its_own_bytes() {
    let blobs = std::sync::Arc::new(store::blob::Memory::new());
    let stage = Stage::over(blobs.clone()).await;
    keep_versions(&stage, json!({"isVersioningEnabled": true})).await;
    let count = async || kernel::BlobStore::list(blobs.as_ref(), None, 10_000).await.unwrap().len();
    let before = count().await;
    // The second shares a block with the first.
    let commit = async |ids: &[&str], kind: &str| {
        let list: String = ids.iter().map(|id| format!("<{kind}>{id}</{kind}>")).collect();
        let body = format!("<BlockList>{list}</BlockList>");
        stage.ask(Method::PUT, "/box/a?comp=blocklist", &[], body.as_bytes()).await.is(201).headers["x-ms-version-id"]
            .clone()
    };
    for (id, bytes) in [("QQ==", b"1"), ("Qg==", b"2")] {
        stage.ask(Method::PUT, &format!("/box/a?comp=block&blockid={}", escaped(id)), &[], bytes).await.is(201);
    }
    let first = commit(&["QQ==", "Qg=="], "Latest").await;
    let second = commit(&["Qg=="], "Committed").await;
    assert_eq!(count().await, before + 2);
    let at = |version: &str| format!("/box/a?versionid={}", escaped(version));
    stage.ask(Method::DELETE, &at(&second), &[], b"").await.refuses(403, "OperationNotAllowedOnRootBlob");
    // Whoever may delete blobs only leaves versions.
    let key = stage.key("key1").await;
    let link = |sp: &str| format!("{}&{}", at(&first), stage.service_sas(&key, "box", "c", sp, &[]));
    stage.bare(Method::DELETE, &link("d"), &[], b"").await.refuses(403, "AuthorizationPermissionMismatch");
    let of_blob = format!("{}&{}", at(&first), stage.service_sas(&key, "box/a", "b", "r", &[]));
    stage.bare(Method::GET, &of_blob, &[], b"").await.refuses(403, "AuthenticationFailed");
    stage.bare(Method::DELETE, &link("x"), &[], b"").await.is(202);
    stage.ask(Method::GET, &at(&first), &[], b"").await.refuses(404, "BlobNotFound");
    assert_eq!((stage.get("a").await.is(200).body.as_slice(), count().await), (b"2".as_slice(), before + 1));
    // Kept while deleted ones are, and back again.
    keep_versions(&stage, json!({"deleteRetentionPolicy": {"enabled": true, "days": 2}})).await;
    stage.put("a", b"three").await.is(201);
    stage.ask(Method::DELETE, &at(&second), &[], b"").await.is(202);
    stage.ask(Method::GET, &at(&second), &[], b"").await.refuses(404, "BlobNotFound");
    stage.ask(Method::PUT, "/box/a?comp=undelete", &[], b"").await.is(200);
    assert_eq!(stage.ask(Method::GET, &at(&second), &[], b"").await.is(200).body, b"2");
    // All goes with the container.
    stage.ask(Method::DELETE, "/box?restype=container", &[], b"").await.is(202);
    domain::storage::sweep_accounts(&stage.test.house).await.unwrap();
    assert_eq!(count().await, before);
    stage.test.end().await;
}
