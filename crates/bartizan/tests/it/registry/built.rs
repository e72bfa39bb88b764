//! What the workspace builds, as the clients of its registry see it.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{
    gate::enter,
    identity::identify,
    images::{Image, ListImageVersions, PackageModel, PutModelVersion, ReadImage, ReadPart},
    registry::sweep_registries,
    tracking::{ArtifactPath, ArtifactPlace, CreateExperiment, CreateRun, PutArtifact},
};
use futures::{StreamExt, TryStreamExt, stream};
use kernel::{Caller, Kind, ResourceId, Source};
use outbound::Method;
use serde_json::Value;

use super::stage::{Stage, digest};

async fn built(stage: &Stage, who: &Caller, name: &str, content: &'static [u8]) -> Image {
    let (house, workspace) = (&stage.test.house, stage.test.workspace().parse::<ResourceId>().unwrap());
    let op = CreateExperiment { workspace: workspace.clone(), name: format!("e{}", content.len()), tags: Vec::new() };
    let experiment = enter(house, who, op).await.unwrap();
    let op =
        CreateRun { workspace: workspace.clone(), experiment, name: String::new(), started_at: None, tags: Vec::new() };
    let run = enter(house, who, op).await.unwrap().run.id;
    let op = PutArtifact {
        workspace: workspace.clone(),
        place: ArtifactPlace::of_run(run.clone(), ArtifactPath::parse("model/model.onnx").unwrap()),
        most: 1 << 20,
        body: stream::iter([Ok(Bytes::from_static(content))]).boxed(),
        is_new_only: false,
        address: None,
    };
    enter(house, who, op).await.unwrap();
    let version = if content.len() == 3 { "1" } else { "2" };
    let id = workspace.child(["models", name, "versions", version]).unwrap();
    let uri = format!("runs:/{run}/model");
    let op = PutModelVersion { id: id.clone(), uri, description: String::new(), tags: BTreeMap::new() };
    enter(house, who, op).await.unwrap();
    let op = PackageModel { id, image: name.to_owned(), code: None, requirements: None };
    enter(house, who, op).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn f_13_what_is_built_is_pulled_by_the_same_digest() {
    let stage = Stage::new().await;
    let who = identify(&stage.test.house, stage.owner().expose(), Source::internal()).await.unwrap();
    let first = built(&stage, &who, "iris", b"one").await;
    let second = built(&stage, &who, "iris", b"second").await;
    let owner = stage.callers.token(crate::house::Who::Owner);
    let (_, found) = stage.test.ask(owner, Method::GET, &stage.test.workspace(), None).await;
    let id = found["properties"]["containerRegistry"].as_str().unwrap();
    let registry = id.rsplit('/').next().unwrap();
    // Whoever owns the workspace pulls from its registry.
    let owner = super::stage::basic(&stage.test.founded.app.to_string(), stage.test.founded.client_secret.expose());
    let get = async |place: &str| {
        stage.ask_as(Some(&owner), Method::GET, &format!("/v2/{registry}/iris/{place}"), &[], b"").await
    };
    assert_eq!(get("tags/list").await.is(200).json()["tags"], serde_json::json!(["1", "2", "latest"]));
    for (reference, image) in [("1", &first), ("2", &second), ("latest", &second), (first.digest.as_str(), &first)] {
        let told = get(&format!("manifests/{reference}")).await.is(200);
        assert_eq!(told.header("docker-content-digest"), image.digest);
        assert_eq!(digest(&told.body), image.digest);
        let manifest: Value = told.json();
        let parts = manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]);
        for part in parts {
            let of = part["digest"].as_str().unwrap();
            assert_eq!(digest(&get(&format!("blobs/{of}")).await.is(200).body), of);
        }
    }
    // Provenance and a bill of materials hang on each, and are no part of it.
    for image in [&first, &second] {
        let told = get(&format!("referrers/{}", image.digest)).await.is(200).json();
        let mut kinds: Vec<_> =
            told["manifests"].as_array().unwrap().iter().map(|one| one["artifactType"].as_str().unwrap()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["application/vnd.cyclonedx+json", "application/vnd.in-toto+json"]);
        assert!(!image.manifest.contains("cyclonedx"));
    }
    let content = async |kind: &str| {
        let told = get(&format!("referrers/{}?artifactType={kind}", first.digest)).await.is(200).json();
        let [one] = told["manifests"].as_array().unwrap().as_slice() else { panic!("{told}") };
        let manifest = get(&format!("manifests/{}", one["digest"].as_str().unwrap())).await.is(200);
        assert_eq!(digest(&manifest.body), one["digest"].as_str().unwrap());
        let manifest = manifest.json();
        assert_eq!(manifest["subject"]["digest"], first.digest);
        get(&format!("blobs/{}", manifest["layers"][0]["digest"].as_str().unwrap())).await.is(200).json()
    };
    let bill = content("application/vnd.cyclonedx%2Bjson").await;
    assert_eq!((bill["bomFormat"].as_str(), bill["specVersion"].as_str()), (Some("CycloneDX"), Some("1.6")));
    let file = &bill["components"][0]["components"][0];
    assert_eq!(file["name"], "model.onnx");
    assert_eq!(format!("sha256:{}", file["hashes"][0]["content"].as_str().unwrap()), digest(b"one"));
    assert!(bill["components"].as_array().unwrap().iter().any(|one| one["purl"] == "pkg:pypi/onnxruntime@1.31.1"));
    let envelope = content("application/vnd.in-toto%2Bjson").await;
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    assert_eq!(format!("sha256:{}", statement["subject"][0]["digest"]["sha256"].as_str().unwrap()), first.digest);
    // The keys that sign, and the chain, are read at their doors.
    let ask = async |place: &str| {
        stage
            .test
            .ask(
                stage.callers.token(crate::house::Who::Owner),
                Method::GET,
                &format!("{}{place}", stage.test.workspace()),
                None,
            )
            .await
    };
    let (status, keys) = ask("/statementKeys").await;
    assert_eq!((status, &keys["value"][0]["keyId"]), (200, &envelope["signatures"][0]["keyid"]), "{keys}");
    for place in ["/images/iris/chain", "/images/iris/versions/1/chain"] {
        let (status, chain) = ask(place).await;
        assert_eq!((status, &chain["isSound"]), (200, &Value::Bool(true)), "{chain}");
    }
    // Nothing of it is swept, and the workspace reads what the registry holds.
    stage.test.clock.advance(std::time::Duration::from_secs(3 * 24 * 3600));
    sweep_registries(&stage.test.house).await.unwrap();
    let token = stage.test.owner_again().await;
    let who = identify(&stage.test.house, token.expose(), Source::internal()).await.unwrap();
    let workspace: ResourceId = stage.test.workspace().parse().unwrap();
    let read = async |part: ReadPart| {
        let op =
            ReadImage { workspace: workspace.clone(), name: String::from("iris"), version: first.digest.clone(), part };
        let (_, _, bytes) = enter(&stage.test.house, &who, op).await?;
        bytes.try_collect::<Vec<Bytes>>().await.map(|pieces| pieces.concat())
    };
    let layer = first.layers[0].digest.clone();
    assert_eq!(digest(&read(ReadPart::Layer(layer.clone())).await.unwrap()), layer);
    assert!(!read(ReadPart::Archive).await.unwrap().is_empty());
    // What somebody deletes there is not here either, and says so.
    let place = format!("/v2/{registry}/iris/manifests/{}", first.digest);
    assert_eq!(stage.ask_as(Some(&owner), Method::DELETE, &place, &[], b"").await.status, 202);
    let place = format!("/v2/{registry}/iris/blobs/{layer}");
    assert_eq!(stage.ask_as(Some(&owner), Method::DELETE, &place, &[], b"").await.status, 202);
    let fault = read(ReadPart::Layer(layer.clone())).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Conflict, "{fault}");
    assert!(fault.public().contains("build the image again"), "{fault}");
    // Built anew, it is there again, under the number that it had.
    let model = workspace.child(["models", "iris", "versions", "1"]).unwrap();
    let op = PackageModel { id: model, image: String::from("iris"), code: None, requirements: None };
    let again = enter(&stage.test.house, &who, op).await.unwrap();
    assert_eq!((again.number, &again.digest), (first.number, &first.digest));
    let told = get("manifests/1").await.is(200);
    assert_eq!(told.header("docker-content-digest"), first.digest);
    assert_eq!(digest(&read(ReadPart::Layer(layer.clone())).await.unwrap()), layer);
    let told = get("manifests/latest").await.is(200);
    assert_eq!(told.header("docker-content-digest"), second.digest);
    let op = ListImageVersions { workspace: workspace.clone(), name: String::from("iris") };
    assert_eq!(enter(&stage.test.house, &who, op).await.unwrap().len(), 2);
    stage.test.end().await;
}
