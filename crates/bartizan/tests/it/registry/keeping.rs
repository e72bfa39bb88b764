//! What a registry keeps, what it lets go of, and what of it is readable where it lies.

use std::time::Duration;

use domain::registry::sweep_registries;
use futures::TryStreamExt;
use outbound::Method;

use super::stage::{Stage, digest};

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Stage {
    async fn stored(&self) -> usize {
        self.blobs.list(None, 100_000).await.unwrap().len()
    }

    async fn sweep(&self) {
        sweep_registries(&self.test.house).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_uses_goes_after_a_day_and_what_is_used_never() {
    let stage = Stage::new().await;
    let image = stage.image("a", "v1", b"used layer").await;
    let loose = stage.push("a", b"never used").await;
    let counted = stage.push("a", b"counted on").await;
    let begun = stage.ask(Method::POST, &stage.at("a/blobs/uploads/"), &[], b"").await.is(202);
    stage.ask(Method::PATCH, begun.header("location"), &[], b"half an upload").await.is(202);
    assert_eq!(stage.stored().await, 5);
    let (head, at) = (Method::HEAD, |digest: &str| stage.at(&format!("a/blobs/{digest}")));
    stage.test.clock.advance(DAY - Duration::from_secs(60));
    stage.sweep().await;
    assert_eq!(stage.stored().await, 5);
    // Whoever asks whether it is there will not send it again.
    stage.ask(head.clone(), &at(&counted), &[], b"").await.is(200);
    stage.test.clock.advance(Duration::from_secs(120));
    stage.sweep().await;
    stage.ask(head.clone(), &at(&loose), &[], b"").await.is(404);
    stage.ask(head.clone(), &at(&counted), &[], b"").await.is(200);
    stage.get(begun.header("location")).await.is(404);
    assert_eq!(stage.stored().await, 3);
    stage.test.clock.advance(DAY * 30);
    stage.sweep().await;
    assert_eq!(stage.stored().await, 2, "configuration and layer");
    assert_eq!(stage.get(&at(&digest(b"used layer"))).await.is(200).body, b"used layer");
    // With its manifest, a layer is let go of; another repository's stays.
    let place = stage.at(&format!("b/blobs/uploads/?mount={}", digest(b"used layer")));
    stage.ask(Method::POST, &place, &[], b"").await.is(201);
    let of_image = digest(image.to_string().as_bytes());
    stage.ask(Method::DELETE, &stage.at(&format!("a/manifests/{of_image}")), &[], b"").await.is(202);
    stage.test.clock.advance(DAY / 2);
    let place = stage.at(&format!("b/blobs/{}", digest(b"used layer")));
    stage.ask(head, &place, &[], b"").await.is(200);
    stage.test.clock.advance(DAY / 2);
    stage.sweep().await;
    assert_eq!(stage.stored().await, 1);
    assert_eq!(stage.get(&place).await.is(200).body, b"used layer");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_repository_is_emptied_and_its_name_is_free_at_once() {
    let stage = Stage::new().await;
    for tag in ["v1", "v2"] {
        stage.image("a/b", tag, tag.as_bytes()).await;
    }
    stage.image("c", "v1", b"v1").await;
    stage.ask(Method::DELETE, "/acr/v1/conreg1/a/b", &[], b"").await.is(202);
    stage.get(&stage.at("a/b/tags/list")).await.is(404);
    stage.get(&stage.at("a/b/manifests/v1")).await.is(404);
    stage.image("a/b", "v3", b"v3").await;
    stage.sweep().await;
    let tags = stage.get(&stage.at("a/b/tags/list")).await.is(200).json();
    assert_eq!(tags["tags"], serde_json::json!(["v3"]));
    // Configuration and layer of `v1` (in `c`) and of `v3`.
    assert_eq!(stage.stored().await, 4);
    assert_eq!(stage.get(&stage.at(&format!("c/blobs/{}", digest(b"v1")))).await.is(200).body, b"v1");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_a_layer_is_readable_where_it_lies() {
    let stage = Stage::new().await;
    let layer = b"a word that nobody else would plant: heliotrope ".repeat(4000);
    stage.image("a", "v1", &layer).await;
    let mut bytes = 0;
    for id in stage.blobs.list(None, 1000).await.unwrap() {
        let pieces: Vec<kernel::Sealed> =
            stage.blobs.get(id, 0, stage.blobs.head(id).await.unwrap()).await.unwrap().try_collect().await.unwrap();
        for piece in pieces {
            bytes += piece.bytes().len();
            assert!(!piece.bytes().windows(10).any(|window| window == b"heliotrope"), "{id}");
        }
    }
    assert!(bytes > layer.len());
    assert_eq!(stage.get(&stage.at(&format!("a/blobs/{}", digest(&layer)))).await.is(200).body, layer);
    // With the registry goes its key.
    let owner = stage.test.owner_again().await;
    assert_eq!(stage.test.ask(Some(&owner), Method::DELETE, &stage.id, None).await.0, 200);
    stage.get(&stage.at("a/manifests/v1")).await.is(404);
    stage.test.end().await;
}
