//! What the OCI Distribution Specification 1.1 says that a registry MUST do, by its sections.

use outbound::Method;
use serde_json::{Value, json};

use super::stage::{INDEX, REGISTRY, Stage, descriptor, digest, manifest};

const MISSING: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// One requirement: method, path below the registry, headers, body, status, and headers that the answer has.
struct Must {
    says: &'static str,
    method: Method,
    place: String,
    sends: Vec<(&'static str, String)>,
    body: Vec<u8>,
    status: u16,
    has: Vec<(&'static str, String)>,
}

fn must(says: &'static str, method: Method, place: impl Into<String>, status: u16) -> Must {
    Must { says, method, place: place.into(), sends: Vec::new(), body: Vec::new(), status, has: Vec::new() }
}

impl Must {
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.sends.push((name, value.into()));
        self
    }
    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
    fn has(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.has.push((name, value.into()));
        self
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_must_of_the_specification_is_kept() {
    let stage = Stage::new().await;
    let (config, layer): (&[u8], &[u8]) = (b"{\"architecture\":\"amd64\"}", &[7; 3000]);
    let image = manifest(config, layer);
    let (text, kind) = (image.to_string(), image["mediaType"].as_str().unwrap());
    let of_image = digest(text.as_bytes());
    let artifact = json!({
        "schemaVersion": 2,
        "mediaType": kind,
        "artifactType": "application/vnd.example.sbom",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [descriptor("application/vnd.oci.empty.v1+json", b"{}")],
        "subject": descriptor(kind, text.as_bytes()),
        "annotations": {"org.example.of": "image"},
        "unknown": [1, {"kept": null}],
    });
    let artifact_text = artifact.to_string();
    let of_artifact = digest(artifact_text.as_bytes());
    let index =
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(kind, text.as_bytes())]}).to_string();
    let lone = json!({"schemaVersion": 2, "mediaType": INDEX,
        "manifests": [{"mediaType": kind, "digest": MISSING, "size": 2}]})
    .to_string();
    let (of_config, of_layer, of_empty) = (digest(config), digest(layer), digest(b"{}"));
    let own = |rest: &str| stage.at(&format!("a/b/{rest}"));
    let (get, head, put, post, delete) = (Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE);
    let table = vec![
        must("the API is versioned", get.clone(), "/v2/", 200).has("docker-distribution-api-version", "registry/2.0"),
        must("the API is versioned", get.clone(), stage.at(""), 200),
        // Pull.
        must("a blob that is not there is not found", get.clone(), own(&format!("blobs/{MISSING}")), 404),
        must("a manifest that is not there is not found", get.clone(), own("manifests/none"), 404),
        must("nor one by what is no tag", get.clone(), own("manifests/.INVALID_MANIFEST_NAME"), 404),
        must("nor one by what is no tag", head.clone(), own("manifests/.INVALID_MANIFEST_NAME"), 404),
        must("nor one by what is no tag", delete.clone(), own("manifests/.INVALID_MANIFEST_NAME"), 404),
        must("a repository that is not there has no tags", get.clone(), own("tags/list"), 404),
        // Push, in one request.
        must(
            "POST with a digest makes the blob",
            post.clone(),
            own(&format!("blobs/uploads/?digest={of_config}")),
            201,
        )
        .body(config)
        .has("location", own(&format!("blobs/{of_config}"))),
        must(
            "POST with a wrong digest is refused",
            post.clone(),
            own(&format!("blobs/uploads/?digest={MISSING}")),
            400,
        )
        .body(config),
        must("what is refused is not there", head.clone(), own(&format!("blobs/{MISSING}")), 404),
        must("a digest that is none is refused", post.clone(), own("blobs/uploads/?digest=sha256:x"), 400).body("x"),
        must("a manifest needs its blobs", put.clone(), own("manifests/latest"), 400)
            .with("content-type", kind)
            .body(text.clone()),
        must("POST with a digest makes the blob", post.clone(), own(&format!("blobs/uploads/?digest={of_layer}")), 201)
            .body(layer),
        must("HEAD says the length", head.clone(), own(&format!("blobs/{of_layer}")), 200)
            .has("content-length", "3000")
            .has("docker-content-digest", of_layer.clone()),
        // Ranges.
        must("a range is a part", get.clone(), own(&format!("blobs/{of_layer}")), 206)
            .with("range", "bytes=500-1499")
            .has("content-range", "bytes 500-1499/3000")
            .has("content-length", "1000"),
        must("a range may name the end", get.clone(), own(&format!("blobs/{of_layer}")), 206)
            .with("range", "bytes=-500")
            .has("content-range", "bytes 2500-2999/3000"),
        must("a range beyond the end is refused", get.clone(), own(&format!("blobs/{of_layer}")), 416)
            .with("range", "bytes=5000-10000"),
        // Manifests.
        must("a manifest is named by a tag", put.clone(), own("manifests/latest"), 201)
            .with("content-type", kind)
            .body(text.clone())
            .has("location", own(&format!("manifests/{of_image}")))
            .has("docker-content-digest", of_image.clone()),
        must("and by its digest", put.clone(), own(&format!("manifests/{of_image}")), 201)
            .with("content-type", kind)
            .body(text.clone()),
        must("and by no other digest", put.clone(), own(&format!("manifests/{MISSING}")), 400)
            .with("content-type", kind)
            .body(text.clone()),
        must("tags come with a digest too", put.clone(), own(&format!("manifests/{of_image}?tag=one&tag=two")), 201)
            .with("content-type", kind)
            .body(text.clone())
            .has("oci-tag", "one"),
        must("a type that is not the manifest's own is refused", put.clone(), own("manifests/bad"), 400)
            .with("content-type", INDEX)
            .body(text.clone()),
        must("a tag that is none is refused", put.clone(), own("manifests/-bad"), 400)
            .with("content-type", kind)
            .body(text.clone()),
        must("a manifest is given back as its type", get.clone(), own("manifests/two"), 200)
            .has("content-type", kind)
            .has("content-length", text.len().to_string())
            .has("docker-content-digest", of_image.clone()),
        must("HEAD of a manifest says the same", head.clone(), own(&format!("manifests/{of_image}")), 200)
            .has("content-type", kind)
            .has("content-length", text.len().to_string()),
        must("an index names manifests", put.clone(), own("manifests/index"), 201)
            .with("content-type", INDEX)
            .body(index),
        must("that are there", put.clone(), own("manifests/lone"), 400).with("content-type", INDEX).body(lone),
        // Referrers.
        must("of nothing there are no referrers", get.clone(), own(&format!("referrers/{MISSING}")), 200)
            .has("content-type", INDEX),
        must("nor in a repository that is not there", get.clone(), stage.at(&format!("none/referrers/{MISSING}")), 200),
        must("a digest that is none has no referrers", get.clone(), own("referrers/x"), 400),
        must("POST with a digest makes the blob", post.clone(), own(&format!("blobs/uploads/?digest={of_empty}")), 201)
            .body("{}"),
        must("a subject is told", put.clone(), own(&format!("manifests/{of_artifact}")), 201)
            .with("content-type", kind)
            .body(artifact_text.clone())
            .has("oci-subject", of_image.clone()),
        must(
            "a filter is told",
            get.clone(),
            own(&format!("referrers/{of_image}?artifactType=application/vnd.example.sbom")),
            200,
        )
        .has("oci-filters-applied", "artifactType"),
        // Tags.
        must("tags are listed up to n", get.clone(), own("tags/list?n=2"), 200)
            .has("link", format!("<{}?n=2&last=latest>; rel=\"next\"", own("tags/list"))),
        must("none is none", get.clone(), own("tags/list?n=0"), 200),
        must("n is a number", get.clone(), own("tags/list?n=x"), 400),
        must("more than there are is all", get.clone(), own("tags/list?n=1000000000000000000000"), 200),
        // Mounts.
        must(
            "a blob is mounted",
            post.clone(),
            stage.at(&format!("c/blobs/uploads/?mount={of_layer}&from={REGISTRY}/a/b")),
            201,
        )
        .has("location", stage.at(&format!("c/blobs/{of_layer}"))),
        must("from wherever it is", post.clone(), stage.at(&format!("d/blobs/uploads/?mount={of_layer}")), 201),
        must(
            "what is not there is sent",
            post.clone(),
            stage.at(&format!("c/blobs/uploads/?mount={MISSING}&from={REGISTRY}/a/b")),
            202,
        ),
        must(
            "nor is it taken from another registry",
            post.clone(),
            stage.at(&format!("e/blobs/uploads/?mount={of_layer}&from=other/a/b")),
            202,
        ),
        // Names.
        must("a name has its shape", post.clone(), stage.at("A/blobs/uploads/"), 400),
        must("a name has its shape", get.clone(), stage.at("a..b/tags/list"), 400),
        must("nothing is there", get.clone(), own("nothing"), 404),
        // Deletion.
        must("what a manifest names is not deleted", delete.clone(), own(&format!("blobs/{of_layer}")), 409),
        must("a tag is deleted", delete.clone(), own("manifests/one"), 202),
        must("and gone", head.clone(), own("manifests/one"), 404),
        must("and its manifest is there", head.clone(), own("manifests/two"), 200),
        must("a manifest is deleted with its tags", delete.clone(), own(&format!("manifests/{of_image}")), 202),
        must("and gone", get.clone(), own(&format!("manifests/{of_image}")), 404),
        must("and its tags", get.clone(), own("manifests/latest"), 404),
        must("a blob is deleted", delete.clone(), own(&format!("blobs/{of_layer}")), 202),
        must("and gone", head.clone(), own(&format!("blobs/{of_layer}")), 404),
        must("and there elsewhere", head, stage.at(&format!("c/blobs/{of_layer}")), 200),
        must("what is not there is not deleted", delete, own(&format!("blobs/{MISSING}")), 404),
    ];
    let mut wrong = Vec::new();
    for row in table {
        let sends: Vec<(&str, &str)> = row.sends.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let told = stage.ask(row.method.clone(), &row.place, &sends, &row.body).await;
        let is_error = told.status >= 400 && row.method != Method::HEAD;
        let has = row.has.iter().all(|(name, value)| told.header(name) == value);
        if told.status != row.status || !has || (is_error && told.code().is_empty()) {
            wrong.push(format!("{}: {} {} → {told:?}", row.says, row.method, row.place));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let found = stage.get(&own(&format!("referrers/{of_image}"))).await.json();
    assert_eq!(found["manifests"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["manifests"][0]["artifactType"], "application/vnd.example.sbom");
    assert_eq!(found["manifests"][0]["annotations"]["org.example.of"], "image");
    let none = stage.get(&own(&format!("referrers/{of_image}?artifactType=x"))).await.json();
    assert_eq!(none["manifests"], json!([]));
    assert_eq!(stage.get(&own(&format!("manifests/{of_artifact}"))).await.body, artifact_text.as_bytes());
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_go_in_one_after_the_other_and_in_no_other_way() {
    let stage = Stage::new().await;
    let begin = async || stage.ask(Method::POST, &stage.at("a/blobs/uploads/"), &[], b"").await.is(202);
    let content: Vec<u8> = (0..3000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let begun = begin().await;
    let place = begun.header("location").to_owned();
    assert_eq!(begun.header("range"), "0-0");
    // Neither ahead nor short of what it says; the upload says where it stands.
    let ahead = stage.ask(Method::PATCH, &place, &[("content-range", "1000-1999")], &content[1000..2000]).await.is(416);
    assert_eq!(ahead.header("location"), place);
    for (range, body) in [("0-999", &content[..10]), ("0-9", &content[..1000]), ("0-9", &[][..])] {
        let told = stage.ask(Method::PATCH, &place, &[("content-range", range)], body).await.is(400);
        assert_eq!(told.code(), "SIZE_INVALID");
    }
    let first = stage.ask(Method::PATCH, &place, &[("content-range", "0-999")], &content[..1000]).await.is(202);
    assert_eq!(first.header("range"), "0-999");
    stage.ask(Method::PATCH, &place, &[("content-range", "0-999")], &content[..1000]).await.is(416);
    let state = stage.get(&place).await.is(204);
    assert_eq!((state.header("range"), state.header("location")), ("0-999", place.as_str()));
    stage.ask(Method::PATCH, &place, &[("content-range", "1000-1999")], &content[1000..2000]).await.is(202);
    let of = digest(&content);
    let end = format!("{place}?digest={of}");
    stage.ask(Method::PUT, &end, &[("content-range", "0-999")], &content[..1000]).await.is(416);
    let made = stage.ask(Method::PUT, &end, &[("content-range", "2000-2999")], &content[2000..]).await.is(201);
    assert_eq!(made.header("docker-content-digest"), of);
    assert_eq!(stage.get(made.header("location")).await.is(200).body, content);
    let part = stage.ask(Method::GET, &stage.at(&format!("a/blobs/{of}")), &[("range", "bytes=900-2100")], b"").await;
    assert_eq!(part.is(206).body, &content[900..2101], "across three chunks");
    stage.get(&place).await.is(404);

    // A stream, and SHA-512; an empty blob; one that was given up; wrong digests, which end their upload.
    let place = begin().await.header("location").to_owned();
    stage.ask(Method::PATCH, &place, &[], &content).await.is(202);
    let mut hash = seal::Sha512::default();
    hash.update(&content);
    let of = format!("sha512:{}", hash.finish_hex());
    stage.ask(Method::PUT, &format!("{place}?digest={of}"), &[], b"").await.is(201);
    assert_eq!(stage.get(&stage.at(&format!("a/blobs/{of}"))).await.is(200).body, content);
    let place = begin().await.header("location").to_owned();
    stage.ask(Method::PUT, &format!("{place}?digest={}", digest(b"")), &[], b"").await.is(201);
    assert_eq!(stage.get(&stage.at(&format!("a/blobs/{}", digest(b"")))).await.is(200).body, b"");
    let place = begin().await.header("location").to_owned();
    stage.ask(Method::PATCH, &place, &[], b"half").await.is(202);
    stage.ask(Method::DELETE, &place, &[], b"").await.is(204);
    stage.get(&place).await.is(404);
    for (chunk, last) in [(&b"part"[..], &b"end"[..]), (b"part", b""), (b"", b"all")] {
        let place = begin().await.header("location").to_owned();
        if !chunk.is_empty() {
            stage.ask(Method::PATCH, &place, &[], chunk).await.is(202);
        }
        let told = stage.ask(Method::PUT, &format!("{place}?digest={of}", of = digest(b"other")), &[], last).await;
        assert_eq!(told.is(400).code(), "DIGEST_INVALID");
        stage.get(&place).await.is(404);
    }
    // Another repository's upload is not there.
    let place = begin().await.header("location").replace("/a/", "/b/");
    stage.ask(Method::PATCH, &place, &[], b"x").await.is(404);
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_nearly_four_mebibytes_is_kept_byte_for_byte() {
    let stage = Stage::new().await;
    let mut image = stage.image("big", "small", b"layer").await;
    for at in 0..390 {
        image["annotations"][format!("large-{at}")] = Value::String("A".repeat(10_000));
    }
    let text = image.to_string();
    assert!(text.len() > 3_900_000);
    let told = stage.put_manifest("big", "large", &image).await.is(201);
    assert_eq!(told.header("docker-content-digest"), digest(text.as_bytes()));
    assert_eq!(stage.get(&stage.at("big/manifests/large")).await.is(200).body, text.as_bytes());
    image["annotations"]["more"] = Value::String("B".repeat(400_000));
    let told = stage.put_manifest("big", "larger", &image).await.is(413);
    assert_eq!(told.code(), "MANIFEST_INVALID");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_on_where_they_ended_in_both_spellings_of_the_address() {
    let stage = Stage::new().await;
    for (repository, tag) in [("zoo/a", "v1"), ("zoo/a", "v2"), ("zoo/a", "v3"), ("abc", "latest")] {
        stage.image(repository, tag, tag.as_bytes()).await;
    }
    let tags = stage.get(&stage.at("zoo/a/tags/list?n=2")).await.is(200);
    assert_eq!(tags.json(), json!({"name": "conreg1/zoo/a", "tags": ["v1", "v2"]}));
    let next = tags.header("link").trim_start_matches('<').split('>').next().unwrap().to_owned();
    let rest = stage.get(&next).await.is(200);
    assert_eq!((rest.json()["tags"].clone(), rest.header("link")), (json!(["v3"]), ""));
    let all = stage.get(&stage.at("_catalog?n=1")).await.is(200);
    assert_eq!(all.json()["repositories"], json!(["conreg1/abc"]));
    let next = all.header("link").trim_start_matches('<').split('>').next().unwrap().to_owned();
    assert_eq!(stage.get(&next).await.is(200).json()["repositories"], json!(["conreg1/zoo/a"]));
    // By its own name the registry's is left out.
    let host = [("host", "conreg1.azurecr.bartizan.test")];
    let own = stage.ask(Method::GET, "/v2/zoo/a/tags/list?n=1", &host, b"").await.is(200);
    assert_eq!(own.json(), json!({"name": "zoo/a", "tags": ["v1"]}));
    assert_eq!(own.header("link"), "</v2/zoo/a/tags/list?n=1&last=v1>; rel=\"next\"");
    let own = stage.ask(Method::GET, "/v2/_catalog", &host, b"").await.is(200);
    assert_eq!(own.json()["repositories"], json!(["abc", "zoo/a"]));
    let own = stage.ask(Method::POST, "/v2/abc/blobs/uploads/", &host, b"").await.is(202);
    assert!(own.header("location").starts_with("/v2/abc/blobs/uploads/"), "{own:?}");
    // Azure's own lists.
    let own = stage.ask(Method::GET, "/acr/v1/_catalog", &host, b"").await.is(200);
    assert_eq!(own.json()["repositories"], json!(["abc", "zoo/a"]));
    let tags = stage.ask(Method::GET, "/acr/v1/zoo/a/_tags?n=1", &host, b"").await.is(200).json();
    assert_eq!((tags["imageName"].clone(), tags["tags"][0]["name"].clone()), (json!("zoo/a"), json!("v1")), "{tags}");
    let manifests = stage.get("/acr/v1/conreg1/zoo/a/_manifests").await.is(200).json();
    assert_eq!(manifests["manifests"].as_array().unwrap().len(), 3, "{manifests}");
    assert_eq!(manifests["manifests"][0]["tags"].as_array().unwrap().len(), 1);
    // And one entry of them.
    let one = stage.ask(Method::GET, "/acr/v1/zoo/a/_tags/v2", &host, b"").await.is(200).json();
    assert_eq!((one["imageName"].clone(), one["tag"]["name"].clone()), (json!("zoo/a"), json!("v2")), "{one}");
    let place = format!("/acr/v1/conreg1/zoo/a/_manifests/{}", one["tag"]["digest"].as_str().unwrap());
    let found = stage.get(&place).await.is(200).json();
    assert_eq!(found["manifest"]["digest"], one["tag"]["digest"], "{found}");
    assert_eq!(found["manifest"]["tags"], json!(["v2"]), "{found}");
    let tag = "/acr/v1/conreg1/zoo/a/_tags/v2";
    let asked = stage.ask_as(None, Method::GET, tag, &[], b"").await.is(401);
    assert!(asked.header("www-authenticate").contains("scope=\"repository:conreg1/zoo/a:pull\""), "{asked:?}");
    stage.ask(Method::DELETE, "/acr/v1/zoo/a/_tags/v2", &host, b"").await.is(202);
    assert_eq!(stage.get(tag).await.is(404).code(), "MANIFEST_UNKNOWN");
    assert_eq!(stage.get(&place).await.is(200).json()["manifest"]["tags"], json!([]));
    assert_eq!(stage.ask(Method::DELETE, &place, &[], b"").await.is(405).code(), "UNSUPPORTED");
    stage.ask(Method::DELETE, "/acr/v1/abc", &host, b"").await.is(202);
    stage.get(&stage.at("abc/tags/list")).await.is(404);
    stage.test.end().await;
}
