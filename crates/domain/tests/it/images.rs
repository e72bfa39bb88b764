//! Models and images.

use bytes::Bytes;
use domain::{
    gate::enter,
    images::{Code, Engine, GetModel, ImageRef, ListModels, PackageModel, PutModelVersion, ReadImage, ReadPart},
    resources::{GetResource, Registry, Workspace},
    snapshots::{NewCode, PutCode, PutPack, SnapshotFile},
};
use futures::{StreamExt, TryStreamExt, stream};
use kernel::{Kind, ResourceId};
use serde_json::{Value, json};

use crate::stand::Stand;

const FILES: &[(&str, &[u8])] =
    &[("MLmodel", b"flavors:"), ("model.onnx", b"onnx bytes"), ("sub/data.bin", &[7; 70_000])];

async fn read(stand: &Stand, image: &domain::images::Image, part: ReadPart) -> (String, u64, Vec<u8>) {
    let op =
        ReadImage { workspace: stand.workspace.clone(), name: image.name.clone(), version: image.digest.clone(), part };
    let (media_type, length, content) = enter(&stand.house, &stand.owner, op).await.unwrap();
    let bytes: Vec<Bytes> = content.try_collect().await.unwrap();
    (media_type, length, bytes.concat())
}

#[tokio::test]
async fn equal_inputs_give_equal_digests_in_any_house_and_order() {
    let (one, other) = (Stand::new().await, Stand::new().await);
    one.register("m", "1", FILES).await.unwrap();
    let first = one.package("m", "1", "img").await.unwrap();
    let again = one.package("m", "1", "img").await.unwrap();
    assert_eq!((first.number, &first.digest), (again.number, &again.digest));
    let renamed = one.package("m", "1", "img2").await.unwrap();
    assert_eq!(first.digest, renamed.digest);

    let permuted: Vec<_> = FILES.iter().rev().copied().collect();
    other.clock.advance(std::time::Duration::from_secs(86_400));
    other.register("m", "1", &permuted).await.unwrap();
    assert_eq!(other.package("m", "1", "img").await.unwrap().digest, first.digest);

    other.register("m", "2", &[("model.onnx", b"other bytes")]).await.unwrap();
    let next = other.package("m", "2", "img").await.unwrap();
    assert_eq!(next.number, 2);
    assert_ne!(next.digest, first.digest);
}

#[tokio::test]
async fn an_image_is_a_valid_layout_of_its_parts() {
    let stand = Stand::new().await;
    stand.register("m", "1", FILES).await.unwrap();
    let image = stand.package("m", "1", "img").await.unwrap();
    assert_eq!(image.engine, Engine::Onnx { model: String::from("/azureml-models/m/1/model.onnx") });

    let (media_type, length, manifest) = read(&stand, &image, ReadPart::Manifest).await;
    assert_eq!(media_type, "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(usize::try_from(length).unwrap(), manifest.len());
    assert_eq!(image.digest, format!("sha256:{}", seal::sha256_hex(&manifest)));
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let (_, _, config) = read(&stand, &image, ReadPart::Config).await;
    assert_eq!(manifest["config"]["digest"], format!("sha256:{}", seal::sha256_hex(&config)));
    assert_eq!(manifest["config"]["size"], config.len());
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["created"], "1970-01-01T00:00:00Z");
    assert_eq!(config["config"]["Env"], json!(["AZUREML_MODEL_DIR=/azureml-models/m/1"]));

    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    let mut paths = Vec::new();
    for (at, layer) in layers.iter().enumerate() {
        let digest = layer["digest"].as_str().unwrap();
        let (media_type, length, tar) = read(&stand, &image, ReadPart::Layer(digest.to_owned())).await;
        assert_eq!(media_type, "application/vnd.oci.image.layer.v1.tar");
        assert_eq!((layer["size"].as_u64().unwrap(), usize::try_from(length).unwrap()), (length, tar.len()));
        assert_eq!(digest, format!("sha256:{}", seal::sha256_hex(&tar)));
        assert_eq!(config["rootfs"]["diff_ids"][at], digest);
        let mut archive = tar::Archive::new(tar.as_slice());
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let head = entry.header();
            assert_eq!((head.mtime().unwrap(), head.uid().unwrap(), head.gid().unwrap()), (0, 0, 0));
            paths.push((String::from_utf8(entry.path_bytes().into_owned()).unwrap(), entry.size()));
        }
    }
    let paths: Vec<_> = paths.iter().map(|(path, size)| (path.as_str(), *size)).collect();
    let expected = [
        ("azureml-models/", 0),
        ("azureml-models/m/", 0),
        ("azureml-models/m/1/", 0),
        ("azureml-models/m/1/MLmodel", 8),
        ("azureml-models/m/1/model.onnx", 10),
        ("azureml-models/m/1/sub/", 0),
        ("azureml-models/m/1/sub/data.bin", 70_000),
        ("azureml-environment/", 0),
        ("azureml-environment/requirements.txt", 20),
    ];
    assert_eq!(paths, expected);

    let (_, length, archive) = read(&stand, &image, ReadPart::Archive).await;
    assert_eq!(usize::try_from(length).unwrap(), archive.len());
    let mut archive = tar::Archive::new(archive.as_slice());
    let names: Vec<_> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    assert!(names.contains(&String::from("oci-layout")) && names.contains(&String::from("index.json")));
    assert!(names.contains(&format!("blobs/sha256/{}", image.digest.trim_start_matches("sha256:"))));
}

#[tokio::test]
async fn the_first_build_makes_the_registry_and_later_ones_do_not() {
    let stand = Stand::new().await;
    let workspace = || async {
        let row =
            enter(&stand.house, &stand.owner, GetResource::<Workspace>::new(stand.workspace.clone())).await.unwrap();
        row.value.properties.container_registry
    };
    assert_eq!(workspace().await, None);
    stand.iris().await;
    let made = workspace().await.unwrap();
    enter(&stand.house, &stand.owner, GetResource::<Registry>::new(made.clone())).await.unwrap();
    stand.register("iris", "2", &[("model.onnx", b"2")]).await.unwrap();
    stand.package("iris", "2", "iris").await.unwrap();
    assert_eq!(workspace().await, Some(made));
}

#[tokio::test]
async fn what_serves_the_model_must_be_clear() {
    let stand = Stand::new().await;
    stand.register("two", "1", &[("a.onnx", b"1"), ("b.onnx", b"2")]).await.unwrap();
    stand.register("none", "1", &[("model.pkl", b"never loaded here")]).await.unwrap();
    for model in ["two", "none"] {
        let fault = stand.package(model, "1", "img").await.unwrap_err();
        assert_eq!(fault.kind(), Kind::Invalid, "{fault}");
        assert!(fault.public().contains("entryScript"), "{fault}");
    }
    assert_eq!(stand.package("absent", "1", "img").await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(stand.package("two", "1", "Bad_Name").await.unwrap_err().kind(), Kind::Invalid);
}

async fn code(stand: &Stand, files: &[(&str, &[u8])]) -> ResourceId {
    let mut pack = Vec::new();
    let mut listed = Vec::new();
    for (path, content) in files {
        pack.extend_from_slice(&seal::Sha256::of(content));
        pack.extend_from_slice(&(u64::try_from(content.len()).unwrap()).to_be_bytes());
        pack.extend_from_slice(content);
        let sha256 = seal::sha256_hex(content);
        listed.push(SnapshotFile {
            path: (*path).to_owned(),
            length: u64::try_from(content.len()).unwrap(),
            sha256,
            executable: false,
        });
    }
    let body = stream::iter([Ok(Bytes::from(pack))]).boxed();
    enter(&stand.house, &stand.owner, PutPack { workspace: stand.workspace.clone(), body }).await.unwrap();
    let id = stand.id(&["codes", "score", "versions", "1"]);
    let code = NewCode { files: listed, ..NewCode::default() };
    enter(&stand.house, &stand.owner, PutCode { id: id.clone(), code }).await.unwrap();
    id
}

#[tokio::test]
async fn an_entry_script_comes_with_its_code() {
    let stand = Stand::new().await;
    stand.register("m", "1", &[("model.pkl", b"never loaded here")]).await.unwrap();
    let asset = code(&stand, &[("score.py", b"def init(): pass"), ("lib/util.py", b"x = 1")]).await;
    let package = |script: &str| PackageModel {
        id: stand.id(&["models", "m", "versions", "1"]),
        image: String::from("img"),
        code: Some(Code { asset: asset.clone(), script: script.to_owned() }),
        requirements: Some(String::from("numpy==2.0.0\n")),
    };
    let image = enter(&stand.house, &stand.owner, package("score.py")).await.unwrap();
    let engine =
        Engine::Python { entry: String::from("/app/score.py"), model_dir: String::from("/azureml-models/m/1") };
    assert_eq!(image.engine, engine);
    assert_eq!((image.layers.len(), image.requirements.as_str()), (3, "numpy==2.0.0\n"));
    let (_, _, tar) = read(&stand, &image, ReadPart::Layer(image.layers[1].digest.clone())).await;
    let mut archive = tar::Archive::new(tar.as_slice());
    let names: Vec<_> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    assert_eq!(names, ["app/", "app/lib/", "app/lib/util.py", "app/score.py"]);
    let fault = enter(&stand.house, &stand.owner, package("other.py")).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Invalid);
}

#[tokio::test]
async fn versions_of_a_model_are_numbered_in_order() {
    let stand = Stand::new().await;
    stand.register("m", "1", FILES).await.unwrap();
    for wrong in ["1", "3"] {
        let fault = stand.register("m", wrong, FILES).await.unwrap_err();
        assert_eq!(fault.kind(), Kind::Conflict);
        assert!(fault.public().contains("is 2"), "{fault}");
    }
    stand.register("m", "2", FILES).await.unwrap();
    assert!(stand.register("_m", "1", FILES).await.is_err());
    let found = enter(&stand.house, &stand.owner, GetModel { id: stand.id(&["models", "m"]) }).await.unwrap();
    assert_eq!((found.latest, found.model.last_version), (Some(2), 2));
    let all = enter(&stand.house, &stand.owner, ListModels { workspace: stand.workspace.clone() }).await.unwrap();
    assert_eq!(all.len(), 1);
}

#[tokio::test]
async fn ten_at_once_get_ten_numbers() {
    let stand = Stand::new().await;
    let run = stand.run_with(FILES).await;
    let claims = (1..=10).map(|number| {
        let id = stand.id(&["models", "m", "versions", &number.to_string()]);
        let uri = format!("runs:/{run}/model");
        let (stand, id) = (&stand, id);
        async move {
            // Each waits for its turn: a number is refused until it is the next one.
            loop {
                let op = PutModelVersion {
                    id: id.clone(),
                    uri: uri.clone(),
                    description: String::new(),
                    tags: Default::default(),
                };
                match enter(&stand.house, &stand.owner, op).await {
                    Ok(made) => return made.version.version,
                    Err(fault) => assert!(matches!(fault.kind(), Kind::Conflict | Kind::Stale), "{fault}"),
                }
                tokio::task::yield_now().await;
            }
        }
    });
    let mut numbers = futures::future::join_all(claims).await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_reader_sees_images_and_builds_none() {
    let stand = Stand::new().await;
    let image = stand.iris().await;
    let reader = stand.reader().await;
    let op = ReadImage {
        workspace: stand.workspace.clone(),
        name: image.name.clone(),
        version: String::from("1"),
        part: ReadPart::Manifest,
    };
    assert!(enter(&stand.house, &reader, op).await.is_ok());
    let op = PackageModel {
        id: stand.id(&["models", "iris", "versions", "1"]),
        image: String::from("img"),
        code: None,
        requirements: None,
    };
    assert_eq!(enter(&stand.house, &reader, op).await.unwrap_err().kind(), Kind::Denied);
    assert!("iris".parse::<ImageRef>().is_ok());
}
