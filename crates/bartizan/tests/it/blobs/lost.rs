//! Ciphertext that no row names, and what the house removes page by page.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::storage::{collect_lost, sweep_accounts};
use kernel::{BlobHold, BlobId, BlobStore, SealedStream, StoreResult};
use outbound::Method;
use tokio::sync::Notify;

use super::stage::{Stage, escaped, told};
use crate::house::Who;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A store in which a deletion, once it is told so, never comes to its end.
struct Stuck {
    inner: store::blob::Memory,
    is_stuck: AtomicBool,
    reached: Notify,
}

impl Stuck {
    fn new() -> Arc<Self> {
        Arc::new(Self { inner: store::blob::Memory::new(), is_stuck: AtomicBool::new(false), reached: Notify::new() })
    }

    async fn count(&self) -> usize {
        self.inner.list(None, 100_000).await.unwrap().len()
    }
}

#[async_trait]
impl BlobStore for Stuck {
    async fn put(&self, id: BlobId, pieces: SealedStream) -> StoreResult<u64> {
        self.inner.put(id, pieces).await
    }
    async fn get(&self, id: BlobId, from: u64, length: u64) -> StoreResult<SealedStream> {
        self.inner.get(id, from, length).await
    }
    async fn head(&self, id: BlobId) -> StoreResult<u64> {
        self.inner.head(id).await
    }
    async fn list(&self, after: Option<BlobId>, limit: usize) -> StoreResult<Vec<BlobId>> {
        self.inner.list(after, limit).await
    }
    async fn delete(&self, id: BlobId) -> StoreResult<()> {
        if self.is_stuck.load(Ordering::SeqCst) {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
        self.inner.delete(id).await
    }
    async fn hold(&self) -> StoreResult<BlobHold> {
        self.inner.hold().await
    }
}

async fn again(mut stage: Stage) -> Stage {
    let (app, secret) = (stage.test.founded.app.to_string(), stage.test.founded.client_secret.expose().to_owned());
    stage.token = super::stage::storage_token(&stage.test, &app, &secret, "https://storage.azure.com/.default").await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stop_between_commit_and_removal_leaves_is_collected_after_a_day() {
    let blobs = Stuck::new();
    let stage = Stage::over(blobs.clone()).await;
    stage.put("a", b"one").await.is(201);
    stage.put("kept", b"kept").await.is(201);
    stage.ask(Method::PUT, "/box/staged?comp=block&blockid=QQ%3D%3D", &[], b"waits").await.is(201);
    let whole = blobs.count().await;
    // The request dies where the new bytes are committed and the old ones are not removed yet.
    blobs.is_stuck.store(true, Ordering::SeqCst);
    let call = stage.call(Method::PUT, "/box/a", &[("x-ms-blob-type", "BlockBlob")], b"two").bearer(&stage.token);
    let request = tokio::spawn(told(call));
    blobs.reached.notified().await;
    request.abort();
    blobs.is_stuck.store(false, Ordering::SeqCst);
    assert_eq!(blobs.count().await, whole + 1);
    assert_eq!(stage.get("a").await.is(200).body, b"two");

    let house = stage.test.house.clone();
    assert_eq!(collect_lost(&house).await.unwrap(), 0, "what is seen first may be about to be named");
    stage.test.clock.advance(DAY / 2);
    assert_eq!(collect_lost(&house).await.unwrap(), 0, "half a day is not long enough");
    stage.test.clock.advance(DAY / 2);
    assert_eq!(collect_lost(&house).await.unwrap(), 1);
    assert_eq!(blobs.count().await, whole);
    let stage = again(stage).await;
    assert_eq!(stage.get("a").await.is(200).body, b"two");
    assert_eq!(stage.get("kept").await.is(200).body, b"kept");
    let list = b"<BlockList><Latest>QQ==</Latest></BlockList>";
    stage.ask(Method::PUT, "/box/staged?comp=blocklist", &[], list).await.is(201);
    assert_eq!(stage.get("staged").await.is(200).body, b"waits");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_held_is_collected_after_it_was_deleted() {
    let blobs = Stuck::new();
    let stage = Stage::over(blobs.clone()).await;
    stage.put("kept", b"kept").await.is(201);
    let before = blobs.count().await;
    let owner = stage.callers.token(Who::Owner).unwrap().clone();
    let place = format!("{}/providers/Microsoft.Storage/storageAccounts/shortlived1", stage.test.group());
    let made = stage.test.ask(Some(&owner), Method::PUT, &place, Some(&serde_json::json!({"location": "local"}))).await;
    assert_eq!(made.0, 200, "{}", made.1);
    let principal = stage.test.founded.principal.to_string();
    super::stage::grant(&stage.test, &owner, &principal, domain::access::BLOB_DATA_OWNER, &place).await;
    for (place, kind) in [("shortlived1/box?restype=container", ""), ("shortlived1/box/a", "BlockBlob")] {
        let call = stage.test.client().call(Method::PUT, &format!("/blob/{place}")).header("x-ms-blob-type", kind);
        told(call.body("application/octet-stream", b"x".to_vec()).bearer(&stage.token)).await.is(201);
    }
    assert_eq!(blobs.count().await, before + 1);
    assert_eq!(stage.test.ask(Some(&owner), Method::DELETE, &place, None).await.0, 200);
    collect_lost(&stage.test.house).await.unwrap();
    stage.test.clock.advance(DAY);
    assert_eq!(collect_lost(&stage.test.house).await.unwrap(), 1);
    assert_eq!(blobs.count().await, before);
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_goes_through_more_than_one_page() {
    let blobs = Stuck::new();
    let stage = Stage::over(blobs.clone()).await;
    let on = b"<StorageServiceProperties><DeleteRetentionPolicy><Enabled>true</Enabled><Days>1</Days></DeleteRetentionPolicy></StorageServiceProperties>";
    stage.ask(Method::PUT, "?restype=service&comp=properties", &[], on).await.is(202);
    let before = blobs.count().await;
    for at in 0..300_u32 {
        let id = escaped(&base64::Engine::encode(&base64::engine::general_purpose::STANDARD, at.to_be_bytes()));
        stage.ask(Method::PUT, &format!("/box/big?comp=block&blockid={id}"), &[], b"x").await.is(201);
        // Overwritten again and again: each is a deleted snapshot of one name.
        stage.put("many", &at.to_be_bytes()).await.is(201);
    }
    assert_eq!(blobs.count().await, before + 600);
    stage.test.clock.advance(DAY * 7);
    sweep_accounts(&stage.test.house).await.unwrap();
    assert_eq!(blobs.count().await, before + 1, "only what is there now");
    let stage = again(stage).await;
    assert_eq!(stage.get("many").await.is(200).body, 299_u32.to_be_bytes());
    stage.test.end().await;
}
