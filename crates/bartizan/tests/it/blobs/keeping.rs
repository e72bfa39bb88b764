//! Snapshots, deleted blobs that come back, and what the house removes.

use std::time::Duration;

use domain::storage::sweep_accounts;
use kernel::BlobStore;
use outbound::Method;

use super::stage::{Stage, escaped};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_stays_as_it_was() {
    let stage = Stage::new().await;
    stage.put("a", b"first").await.is(201);
    let time = stage.ask(Method::PUT, "/box/a?comp=snapshot", &[], b"").await.is(201).headers["x-ms-snapshot"].clone();
    let again = stage.ask(Method::PUT, "/box/a?comp=snapshot", &[], b"").await.is(201).headers["x-ms-snapshot"].clone();
    assert_ne!(time, again, "two in one moment are two");
    stage.put("a", b"second").await.is(201);
    let old = format!("/box/a?snapshot={}", escaped(&time));
    assert_eq!(stage.ask(Method::GET, &old, &[], b"").await.is(200).body, b"first");
    assert_eq!(stage.get("a").await.is(200).body, b"second");
    stage.ask(Method::DELETE, "/box/a", &[], b"").await.refuses(409, "SnapshotsPresent");
    stage.ask(Method::DELETE, &old, &[], b"").await.is(202);
    stage.ask(Method::GET, &old, &[], b"").await.refuses(404, "BlobNotFound");
    let other = format!("/box/a?snapshot={}", escaped(&again));
    assert_eq!(stage.ask(Method::GET, &other, &[], b"").await.is(200).body, b"first", "what both held is there");
    let listed =
        stage.ask(Method::GET, "/box?restype=container&comp=list&include=snapshots", &[], b"").await.is(200).text();
    assert_eq!(listed.matches("<Blob>").count(), 2, "{listed}");
    stage.ask(Method::DELETE, "/box/a", &[("x-ms-delete-snapshots", "include")], b"").await.is(202);
    stage.ask(Method::GET, &other, &[], b"").await.refuses(404, "BlobNotFound");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_blob_comes_back_until_its_days_are_over() {
    let stage = Stage::new().await;
    let on = b"<StorageServiceProperties><DeleteRetentionPolicy><Enabled>true</Enabled><Days>2</Days></DeleteRetentionPolicy></StorageServiceProperties>";
    stage.ask(Method::PUT, "?restype=service&comp=properties", &[], on).await.is(202);
    let told = stage.ask(Method::GET, "?restype=service&comp=properties", &[], b"").await.is(200).text();
    assert!(told.contains("<DeleteRetentionPolicy><Enabled>true</Enabled><Days>2</Days>"), "{told}");
    stage.put("a", b"one").await.is(201);
    stage.ask(Method::DELETE, "/box/a", &[], b"").await.is(202);
    stage.get("a").await.refuses(404, "BlobNotFound");
    let listed =
        stage.ask(Method::GET, "/box?restype=container&comp=list&include=deleted", &[], b"").await.is(200).text();
    assert!(listed.contains("<Deleted>true</Deleted>"), "{listed}");
    stage.ask(Method::PUT, "/box/a?comp=undelete", &[], b"").await.is(200);
    assert_eq!(stage.get("a").await.is(200).body, b"one");
    // What is overwritten comes back as a snapshot.
    stage.put("a", b"two").await.is(201);
    stage.ask(Method::PUT, "/box/a?comp=undelete", &[], b"").await.is(200);
    assert_eq!(stage.get("a").await.is(200).body, b"two");
    let listed =
        stage.ask(Method::GET, "/box?restype=container&comp=list&include=snapshots", &[], b"").await.is(200).text();
    assert_eq!(listed.matches("<Snapshot>").count(), 1, "{listed}");
    stage.ask(Method::DELETE, "/box/a", &[("x-ms-delete-snapshots", "include")], b"").await.is(202);
    stage.test.clock.advance(DAY * 2);
    sweep_accounts(&stage.test.house).await.unwrap();
    let stage = again(stage).await;
    stage.ask(Method::PUT, "/box/a?comp=undelete", &[], b"").await.refuses(404, "BlobNotFound");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_outlives_what_was_replaced_in_its_moment() {
    let stage = Stage::new().await;
    let on = b"<StorageServiceProperties><DeleteRetentionPolicy><Enabled>true</Enabled><Days>2</Days></DeleteRetentionPolicy></StorageServiceProperties>";
    stage.ask(Method::PUT, "?restype=service&comp=properties", &[], on).await.is(202);
    stage.put("a", b"one").await.is(201);
    let time = stage.ask(Method::PUT, "/box/a?comp=snapshot", &[], b"").await.is(201).headers["x-ms-snapshot"].clone();
    stage.put("a", b"two").await.is(201);
    // One that is there again is not hidden by the one that was deleted.
    stage.put("b", b"one").await.is(201);
    stage.ask(Method::DELETE, "/box/b", &[], b"").await.is(202);
    stage.put("b", b"two").await.is(201);
    let listed = stage.ask(Method::GET, "/box?restype=container&comp=list&include=deleted", &[], b"").await;
    let listed = listed.is(200).text();
    assert_eq!(listed.matches("<Name>b</Name>").count(), 2, "{listed}");
    assert_eq!(listed.matches("<Deleted>true</Deleted>").count(), 1, "{listed}");
    stage.test.clock.advance(DAY * 3);
    sweep_accounts(&stage.test.house).await.unwrap();
    let stage = again(stage).await;
    let old = format!("/box/a?snapshot={}", escaped(&time));
    assert_eq!(stage.ask(Method::GET, &old, &[], b"").await.is(200).body, b"one");
    stage.test.end().await;
}

/// A fresh token: the clock ended the first one.
async fn again(mut stage: Stage) -> Stage {
    let (app, secret) = (stage.test.founded.app.to_string(), stage.test.founded.client_secret.expose().to_owned());
    stage.token = super::stage::storage_token(&stage.test, &app, &secret, "https://storage.azure.com/.default").await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_what_is_deleted_replaced_or_never_committed() {
    let blobs = std::sync::Arc::new(store::blob::Memory::new());
    let stage = Stage::over(blobs.clone()).await;
    let before = blobs.list(None, 10_000).await.unwrap().len();
    stage.put("a", b"one").await.is(201);
    stage.put("a", b"two").await.is(201);
    for id in ["QQ==", "Qg=="] {
        stage.ask(Method::PUT, &format!("/box/b?comp=block&blockid={}", escaped(id)), &[], b"x").await.is(201);
    }
    stage.ask(Method::PUT, "/box/b?comp=blocklist", &[], b"<BlockList><Latest>QQ==</Latest></BlockList>").await.is(201);
    assert_eq!(
        blobs.list(None, 10_000).await.unwrap().len(),
        before + 2,
        "the replaced one and the unnamed block are gone"
    );
    stage.ask(Method::PUT, "/box/c?comp=block&blockid=QQ%3D%3D", &[], b"x").await.is(201);
    stage.test.clock.advance(DAY * 7);
    sweep_accounts(&stage.test.house).await.unwrap();
    assert_eq!(blobs.list(None, 10_000).await.unwrap().len(), before + 2, "staged for a week");
    let stage = again(stage).await;
    stage.ask(Method::DELETE, "/box?restype=container", &[], b"").await.is(202);
    stage.ask(Method::PUT, "/box?restype=container", &[], b"").await.is(201);
    stage.get("a").await.refuses(404, "BlobNotFound");
    sweep_accounts(&stage.test.house).await.unwrap();
    assert_eq!(blobs.list(None, 10_000).await.unwrap().len(), before, "all that lay in the container");
    stage.test.end().await;
}
