//! Putting, reading, changing and deleting blobs.

use futures::stream;
use outbound::Method;

use super::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_comes_back_as_it_was_put_whole_and_by_ranges() {
    let stage = Stage::new().await;
    let bytes: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
    let labels = [
        ("x-ms-blob-type", "BlockBlob"),
        ("x-ms-blob-content-type", "text/plain"),
        ("x-ms-meta-a", "one"),
        ("x-ms-tags", "k=v%20w"),
    ];
    let made = stage.ask(Method::PUT, "/box/dir/a.txt", &labels, &bytes).await.is(201);
    assert_eq!(made.headers["x-ms-request-server-encrypted"], "true");
    let got = stage.get("dir/a.txt").await.is(200);
    assert!(got.body == bytes);
    assert_eq!(got.headers["etag"], made.headers["etag"]);
    assert_eq!(got.headers["content-md5"], made.headers["content-md5"]);
    assert_eq!((got.headers["content-type"].as_str(), got.headers["x-ms-meta-a"].as_str()), ("text/plain", "one"));
    assert_eq!(got.headers["x-ms-tag-count"], "1");
    let head = stage.ask(Method::HEAD, "/box/dir/a.txt", &[], b"").await.is(200);
    assert_eq!((head.headers["content-length"].as_str(), head.body.len()), ("200000", 0));
    for (range, from, to) in
        [("bytes=0-9", 0, 10), ("bytes=65530-131080", 65530, 131_081), ("bytes=199990-", 199_990, 200_000)]
    {
        let part = stage.ask(Method::GET, "/box/dir/a.txt", &[("x-ms-range", range)], b"").await.is(206);
        assert!(part.body == bytes[from..to], "{range}");
        assert_eq!(part.headers["content-range"], format!("bytes {from}-{}/200000", to - 1));
    }
    let past = stage.ask(Method::GET, "/box/dir/a.txt", &[("range", "bytes=200000-")], b"").await;
    past.refuses(416, "InvalidRange");
    let measured = [("x-ms-range", "bytes=0-3"), ("x-ms-range-get-content-md5", "true")];
    assert!(stage.ask(Method::GET, "/box/dir/a.txt", &measured, b"").await.is(206).headers.contains_key("content-md5"));
    stage.ask(Method::DELETE, "/box/dir/a.txt", &[], b"").await.is(202);
    stage.get("dir/a.txt").await.refuses(404, "BlobNotFound");
    stage.ask(Method::HEAD, "/box/dir/a.txt", &[], b"").await.is(404);
    stage.ask(Method::GET, "/none/a", &[], b"").await.refuses(404, "ContainerNotFound");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_bytes_are_a_blob_and_half_a_body_is_none() {
    let stage = Stage::new().await;
    stage.put("empty", b"").await.is(201);
    assert_eq!(stage.get("empty").await.is(200).headers["content-length"], "0");
    stage.ask(Method::GET, "/box/empty", &[("x-ms-range", "bytes=0-99")], b"").await.refuses(416, "InvalidRange");
    stage.put("kept", b"before").await.is(201);
    for name in ["half", "kept"] {
        let pieces = vec![Ok(bytes::Bytes::from_static(b"only this")), Err(std::io::Error::other("cut"))];
        let call = stage
            .test
            .client()
            .call(Method::PUT, &format!("{}/box/{name}", stage.base))
            .bearer(&stage.token)
            .header("x-ms-blob-type", "BlockBlob")
            .stream("text/plain", Some(1000), stream::iter(pieces));
        assert!(call.send().await.is_err());
    }
    stage.get("half").await.refuses(404, "BlobNotFound");
    assert_eq!(stage.get("kept").await.is(200).body, b"before");
    let wrong = [("x-ms-blob-type", "BlockBlob"), ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    stage.ask(Method::PUT, "/box/kept", &wrong, b"other").await.refuses(400, "Md5Mismatch");
    assert_eq!(stage.get("kept").await.is(200).body, b"before");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_are_kept_wherever_they_are_named() {
    let stage = Stage::new().await;
    let first = stage.put("a", b"1").await.is(201).headers["etag"].clone();
    let block = ("x-ms-blob-type", "BlockBlob");
    stage.ask(Method::PUT, "/box/a", &[block, ("if-none-match", "*")], b"2").await.refuses(409, "BlobAlreadyExists");
    stage.ask(Method::PUT, "/box/b", &[block, ("if-match", "*")], b"2").await.refuses(412, "ConditionNotMet");
    let second =
        stage.ask(Method::PUT, "/box/a", &[block, ("if-match", &first)], b"2").await.is(201).headers["etag"].clone();
    assert_ne!(first, second);
    for (method, place) in
        [(Method::PUT, "/box/a?comp=metadata"), (Method::PUT, "/box/a?comp=properties"), (Method::DELETE, "/box/a")]
    {
        stage.ask(method, place, &[("if-match", &first)], b"").await.refuses(412, "ConditionNotMet");
    }
    stage.ask(Method::GET, "/box/a", &[("if-match", &first)], b"").await.refuses(412, "ConditionNotMet");
    let same = stage.ask(Method::GET, "/box/a", &[("if-none-match", &second)], b"").await.is(304);
    assert!(same.body.is_empty());
    let later = [("if-unmodified-since", "Thu, 01 Jan 1970 00:00:10 GMT")];
    stage.ask(Method::GET, "/box/a", &later, b"").await.refuses(412, "ConditionNotMet");
    stage.ask(Method::GET, "/box/a", &[("if-modified-since", "soon")], b"").await.refuses(400, "InvalidHeaderValue");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_and_tags_are_replaced_whole() {
    let stage = Stage::new().await;
    stage.put("a", b"x").await.is(201);
    stage.ask(Method::PUT, "/box/a?comp=metadata", &[("x-ms-meta-b", "2")], b"").await.is(200);
    let set = [("x-ms-blob-content-type", "text/csv"), ("x-ms-blob-content-disposition", "attachment")];
    stage.ask(Method::PUT, "/box/a?comp=properties", &set, b"").await.is(200);
    let head = stage.ask(Method::HEAD, "/box/a", &[], b"").await.is(200);
    assert_eq!((head.headers["x-ms-meta-b"].as_str(), head.headers["content-type"].as_str()), ("2", "text/csv"));
    let tags = b"<Tags><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tags>";
    stage.ask(Method::PUT, "/box/a?comp=tags", &[], tags).await.is(204);
    assert!(stage.ask(Method::GET, "/box/a?comp=tags", &[], b"").await.is(200).text().contains("<Key>k</Key>"));
    let bad = b"<!DOCTYPE x><Tags/>";
    stage.ask(Method::PUT, "/box/a?comp=tags", &[], bad).await.refuses(400, "InvalidXmlDocument");
    stage
        .ask(Method::PUT, "/box/a?comp=metadata", &[("x-ms-meta-a-b", "1")], b"")
        .await
        .refuses(400, "InvalidMetadata");
    let much = "x".repeat(9000);
    stage
        .ask(Method::PUT, "/box/a?comp=metadata", &[("x-ms-meta-a", &much)], b"")
        .await
        .refuses(400, "MetadataTooLarge");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_offered_is_refused_and_not_overlooked() {
    let stage = Stage::new().await;
    let page = [("x-ms-blob-type", "PageBlob")];
    stage.ask(Method::PUT, "/box/a", &page, b"").await.refuses(400, "UnsupportedOperation");
    stage.ask(Method::POST, "?comp=batch", &[], b"").await.refuses(400, "UnsupportedOperation");
    stage.ask(Method::PUT, "/box/a?comp=tier", &[], b"").await.refuses(400, "UnsupportedOperation");
    let key = [("x-ms-blob-type", "BlockBlob"), ("x-ms-encryption-key", "AAAA")];
    stage.ask(Method::PUT, "/box/a", &key, b"x").await.refuses(400, "UnsupportedHeader");
    for wall in ["x-ms-access-tier", "x-ms-immutability-policy-mode", "x-ms-source-content-md5"] {
        stage.ask(Method::PUT, "/box/a", &[page[0], (wall, "x")], b"x").await.refuses(400, "UnsupportedHeader");
    }
    let public = [("x-ms-blob-public-access", "blob")];
    stage.ask(Method::PUT, "/open?restype=container", &public, b"").await.refuses(400, "PublicAccessNotPermitted");
    stage.ask(Method::GET, "/box/a?versionid=1", &[], b"").await.refuses(400, "InvalidQueryParameterValue");
    // A moment of a blob is never the blob.
    stage.put("b", b"x").await.is(201);
    let first = "/box/b?snapshot=1970-01-01T00%3A00%3A00.0000000Z";
    for method in [Method::GET, Method::DELETE] {
        stage.ask(method, first, &[], b"").await.refuses(400, "InvalidQueryParameterValue");
    }
    let block = [("x-ms-blob-type", "BlockBlob")];
    let later = "/box/b?snapshot=2026-01-01T00%3A00%3A00.0000000Z";
    stage.ask(Method::PUT, later, &block, b"y").await.refuses(400, "InvalidQueryParameterValue");
    assert_eq!(stage.get("b").await.is(200).body, b"x");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_of_this_server_and_needs_the_right_to_its_source() {
    let stage = Stage::new().await;
    stage
        .ask(Method::PUT, "/box/from", &[("x-ms-blob-type", "BlockBlob"), ("x-ms-meta-a", "1")], b"bytes")
        .await
        .is(201);
    let here = format!("https://{}.blob.core.bartizan.test/box/from", stage.account);
    let copied = stage.ask(Method::PUT, "/box/to", &[("x-ms-copy-source", &here)], b"").await.is(202);
    assert_eq!(copied.headers["x-ms-copy-status"], "success");
    let got = stage.get("to").await.is(200);
    assert_eq!((got.body.as_slice(), got.headers["x-ms-meta-a"].as_str()), (b"bytes".as_slice(), "1"));
    let block = [("x-ms-copy-source", here.as_str()), ("x-ms-source-range", "bytes=1-2")];
    stage.ask(Method::PUT, "/box/part?comp=block&blockid=QQ==", &block, b"").await.is(201);
    let list = b"<BlockList><Latest>QQ==</Latest></BlockList>";
    stage.ask(Method::PUT, "/box/part?comp=blocklist", &[], list).await.is(201);
    assert_eq!(stage.get("part").await.is(200).body, b"yt");
    for elsewhere in [
        "https://example.com/c/b",
        "http://localhost/blob/a/c/b",
        "file:///etc/passwd",
        "https://a.b.blob.core.bartizan.test/c/b",
    ] {
        let told = stage.ask(Method::PUT, "/box/to", &[("x-ms-copy-source", elsewhere)], b"").await;
        assert_eq!(told.status, 400, "{elsewhere}: {}", told.code);
    }
    // Whoever may write here and not read there gets nothing from there.
    let key = stage.key("key1").await;
    let write = stage.service_sas(&key, "box", "c", "cw", &[]);
    let told = stage.bare(Method::PUT, &format!("/box/stolen?{write}"), &[("x-ms-copy-source", &here)], b"").await;
    told.refuses(403, "AuthorizationPermissionMismatch");
    stage.get("stolen").await.refuses(404, "BlobNotFound");
    stage.test.end().await;
}
