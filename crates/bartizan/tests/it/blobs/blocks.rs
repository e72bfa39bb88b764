//! Blocks, their lists, append blobs and leases.

use base64::{Engine, engine::general_purpose::STANDARD};
use outbound::Method;

use super::stage::{Stage, escaped};

fn list(of: &[(&str, &str)]) -> Vec<u8> {
    let items: String = of.iter().map(|(kind, id)| format!("<{kind}>{id}</{kind}>")).collect();
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{items}</BlockList>").into_bytes()
}

async fn block(stage: &Stage, blob: &str, id: &str, bytes: &[u8]) -> super::stage::Told {
    stage.ask(Method::PUT, &format!("/box/{blob}?comp=block&blockid={}", escaped(id)), &[], bytes).await
}

async fn commit(stage: &Stage, blob: &str, of: &[(&str, &str)]) -> super::stage::Told {
    stage.ask(Method::PUT, &format!("/box/{blob}?comp=blocklist"), &[], &list(of)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_no_blob_until_a_list_names_them() {
    let stage = Stage::new().await;
    for (id, bytes) in [("QUFB", b"one-"), ("QUFC", b"two-"), ("QUFD", b"odd-")] {
        block(&stage, "b", id, bytes).await.is(201);
    }
    stage.get("b").await.refuses(404, "BlobNotFound");
    let told = stage.ask(Method::GET, "/box/b?comp=blocklist&blocklisttype=all", &[], b"").await.is(200).text();
    assert!(told.contains("<UncommittedBlocks><Block><Name>QUFB</Name><Size>4</Size></Block>"), "{told}");
    block(&stage, "b", "QUFBQg==", b"x").await.refuses(400, "InvalidBlobOrBlock");
    block(&stage, "b", "not base64!", b"x").await.refuses(400, "InvalidQueryParameterValue");
    commit(&stage, "b", &[("Latest", "QUFB"), ("Latest", "QUFF")]).await.refuses(400, "InvalidBlockList");
    commit(&stage, "b", &[("Uncommitted", "QUFB"), ("Latest", "QUFC"), ("Latest", "QUFB")]).await.is(201);
    assert_eq!(stage.get("b").await.is(200).body, b"one-two-one-");
    commit(&stage, "b", &[("Latest", "QUFD")]).await.refuses(400, "InvalidBlockList");
    block(&stage, "b", "QUFB", b"ONE-").await.is(201);
    commit(&stage, "b", &[("Committed", "QUFB"), ("Latest", "QUFB"), ("Committed", "QUFC")]).await.is(201);
    assert_eq!(stage.get("b").await.is(200).body, b"one-ONE-two-");
    let part = stage.ask(Method::GET, "/box/b", &[("range", "bytes=2-8")], b"").await.is(206);
    assert_eq!(part.body, b"e-ONE-t");
    commit(&stage, "b", &[]).await.is(201);
    assert_eq!(stage.get("b").await.is(200).body, b"");
    stage
        .ask(Method::PUT, "/box/b?comp=blocklist", &[], b"<BlockList><Any>QQ==</Any></BlockList>")
        .await
        .refuses(400, "InvalidXmlNodeValue");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_blocks_are_committed_and_one_more_is_refused() {
    let stage = Stage::new().await;
    let ids: Vec<String> = (0..4_u8).map(|at| STANDARD.encode([at; 48])).collect();
    for (at, id) in ids.iter().enumerate() {
        block(&stage, "big", id, format!("{at}").as_bytes()).await.is(201);
    }
    let many: Vec<(&str, &str)> = (0..50_000).map(|at| ("Latest", ids[at % 4].as_str())).collect();
    commit(&stage, "big", &many).await.is(201);
    let head = stage.ask(Method::HEAD, "/box/big", &[], b"").await.is(200);
    assert_eq!(head.headers["content-length"], "50000");
    let part = stage.ask(Method::GET, "/box/big", &[("range", "bytes=49990-49999")], b"").await.is(206);
    assert_eq!(part.body, b"2301230123");
    let more: Vec<(&str, &str)> = (0..50_001).map(|_| ("Latest", ids[0].as_str())).collect();
    commit(&stage, "big", &more).await.refuses(400, "BlockListTooLong");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_keep_their_order_and_their_conditions() {
    let stage = Stage::new().await;
    stage.ask(Method::PUT, "/box/log", &[("x-ms-blob-type", "AppendBlob")], b"").await.is(201);
    for at in 0..300_u32 {
        let position = (at * 4).to_string();
        let told = stage
            .ask(
                Method::PUT,
                "/box/log?comp=appendblock",
                &[("x-ms-blob-condition-appendpos", &position)],
                format!("{at:04}").as_bytes(),
            )
            .await
            .is(201);
        assert_eq!(told.headers["x-ms-blob-append-offset"], position);
    }
    let whole: String = (0..300).map(|at| format!("{at:04}")).collect();
    assert_eq!(stage.get("log").await.is(200).text(), whole);
    let late = [("x-ms-blob-condition-appendpos", "0")];
    stage
        .ask(Method::PUT, "/box/log?comp=appendblock", &late, b"x")
        .await
        .refuses(412, "AppendPositionConditionNotMet");
    let full = [("x-ms-blob-condition-maxsize", "1200")];
    stage.ask(Method::PUT, "/box/log?comp=appendblock", &full, b"x").await.refuses(412, "MaxBlobSizeConditionNotMet");
    stage.put("plain", b"x").await.is(201);
    stage.ask(Method::PUT, "/box/plain?comp=appendblock", &[], b"x").await.refuses(409, "InvalidBlobType");
    let (one, two) = tokio::join!(
        stage.ask(Method::PUT, "/box/log?comp=appendblock", &[], b"AAAA"),
        stage.ask(Method::PUT, "/box/log?comp=appendblock", &[], b"BBBB")
    );
    assert_eq!((one.status, two.status), (201, 201));
    let end = stage.get("log").await.text().split_off(1200);
    assert!(end == "AAAABBBB" || end == "BBBBAAAA", "{end}");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_with_one_lease_the_holder_writes() {
    let stage = Stage::new().await;
    stage.put("a", b"1").await.is(201);
    let acquire = [("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "15")];
    let lease =
        stage.ask(Method::PUT, "/box/a?comp=lease", &acquire, b"").await.is(201).headers["x-ms-lease-id"].clone();
    stage.ask(Method::PUT, "/box/a?comp=lease", &acquire, b"").await.refuses(409, "LeaseAlreadyPresent");
    stage.put("a", b"2").await.refuses(412, "LeaseIdMissing");
    stage.ask(Method::DELETE, "/box/a", &[], b"").await.refuses(412, "LeaseIdMissing");
    block(&stage, "a", "QQ==", b"x").await.refuses(412, "LeaseIdMissing");
    let foreign = [("x-ms-blob-type", "BlockBlob"), ("x-ms-lease-id", "6f9619ff-8b86-d011-b42d-00c04fc964ff")];
    stage.ask(Method::PUT, "/box/a", &foreign, b"2").await.refuses(412, "LeaseIdMismatchWithBlobOperation");
    let own = [("x-ms-blob-type", "BlockBlob"), ("x-ms-lease-id", lease.as_str())];
    stage.ask(Method::PUT, "/box/a", &own, b"2").await.is(201);
    assert_eq!(stage.get("a").await.is(200).headers["x-ms-lease-state"], "leased");
    stage.test.clock.advance(std::time::Duration::from_secs(15));
    stage.ask(Method::PUT, "/box/a", &own, b"3").await.refuses(412, "LeaseLost");
    stage.put("a", b"3").await.is(201);
    // Whoever renews may go on as if alone, so a write after the lease's end takes that away.
    let next =
        stage.ask(Method::PUT, "/box/a?comp=lease", &acquire, b"").await.is(201).headers["x-ms-lease-id"].clone();
    stage.test.clock.advance(std::time::Duration::from_secs(15));
    stage.ask(Method::PUT, "/box/a?comp=metadata", &[("x-ms-meta-b", "2")], b"").await.is(200);
    let renew = [("x-ms-lease-action", "renew"), ("x-ms-lease-id", next.as_str())];
    let told = stage.ask(Method::PUT, "/box/a?comp=lease", &renew, b"").await;
    told.refuses(409, "LeaseNotPresentWithLeaseOperation");
    // Who may delete alone breaks leases and takes none.
    let deleting = stage.account_sas(&stage.key("key1").await, &[("sp", "d")]);
    let told = stage.bare(Method::PUT, &format!("/box/a?comp=lease&{deleting}"), &acquire, b"").await;
    told.refuses(403, "AuthorizationPermissionMismatch");
    let forever = [("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "-1")];
    stage.ask(Method::PUT, "/box?restype=container&comp=lease", &forever, b"").await.is(201);
    stage.ask(Method::DELETE, "/box?restype=container", &[], b"").await.refuses(412, "LeaseIdMissing");
    let breaks = [("x-ms-lease-action", "break"), ("x-ms-lease-break-period", "0")];
    let told = stage.ask(Method::PUT, "/box?restype=container&comp=lease", &breaks, b"").await.is(202);
    assert_eq!(told.headers["x-ms-lease-time"], "0");
    stage.ask(Method::DELETE, "/box?restype=container", &[], b"").await.is(202);
    stage.get("a").await.refuses(404, "ContainerNotFound");
    stage.test.end().await;
}
