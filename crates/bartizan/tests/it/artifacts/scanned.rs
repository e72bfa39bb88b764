//! What is found in the files of a model when a version of it is registered.

use outbound::Method;
use serde_json::{Value, json};

use super::stage::Stage;

const VERSIONS: &str = "Microsoft.MachineLearningServices/workspaces/models/write";
const CALL: &[u8] =
    b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94.";
const RIDGE: &[u8] = b"\x80\x02csklearn.linear_model._ridge\nRidge\nq\x00)\x81q\x01}q\x02X\x05\0\0\0alphaK\x01sb.";

impl Stage {
    async fn scan(&self, what: &str, word: &str) -> (u16, Value) {
        let body = json!({"properties": {what: word}});
        self.test.ask(Some(self.owner()), Method::PATCH, &self.test.workspace(), Some(&body)).await
    }

    /// Registers what lies below a directory; the tags of the version.
    async fn register(&self, directory: &str) -> (u16, Value) {
        let source = format!("runs:/{}/{directory}", self.run);
        let body =
            json!({"name": "m", "source": source, "tags": [{"key": "bartizan.scan", "value": "clean, I swear"}]});
        let (status, said) = self.ask(self.owner(), Method::POST, "mlflow/model-versions/create", body).await;
        if status != 200 {
            return (status, said);
        }
        let version = said["model_version"]["version"].as_str().unwrap();
        let place = format!("mlflow/model-versions/get?name=m&version={version}");
        let shown = self.ask(self.owner(), Method::GET, &place, Value::Null).await.1;
        let tags = shown["model_version"]["tags"].as_array().cloned().unwrap_or_default();
        let map: serde_json::Map<String, Value> =
            tags.iter().map(|tag| (tag["key"].as_str().unwrap().to_owned(), tag["value"].clone())).collect();
        (200, Value::Object(map))
    }
}

/// A zip archive of stored members.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let at = u32::try_from(out.len()).unwrap();
        let size = u32::try_from(content.len()).unwrap().to_le_bytes();
        let name_size = u16::try_from(name.len()).unwrap().to_le_bytes();
        let fixed = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0; 4], &size, &size, &name_size, &[0, 0]].concat();
        out.extend([b"PK\x03\x04".as_slice(), fixed.as_slice(), name.as_bytes(), content].concat());
        directory.extend(
            [b"PK\x01\x02\x14\0".as_slice(), fixed.as_slice(), &[0; 10], &at.to_le_bytes(), name.as_bytes()].concat(),
        );
    }
    let (count, at) =
        (u16::try_from(members.len()).unwrap().to_le_bytes(), u32::try_from(out.len()).unwrap().to_le_bytes());
    let size = u32::try_from(directory.len()).unwrap().to_le_bytes();
    [out, directory, [b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count, &size, &at, &[0, 0]].concat()].concat()
}

/// Attack row 28: a model that runs code when it is loaded is found, in whatever it is wrapped, and refused where that is wanted.
#[tokio::test(flavor = "multi_thread")]
async fn a_pickle_that_calls_the_system_is_labelled_or_refused() {
    let stage = Stage::new().await;
    stage.post("mlflow/registered-models/create", json!({"name": "m"})).await;
    let object = [b"\x93NUMPY\x01\0\x26\0".as_slice(), b"{'descr': '|O', 'fortran_order': Fals\n", CALL].concat();
    let numbers = [b"\x93NUMPY\x01\0\x26\0".as_slice(), b"{'descr': '<f8', 'fortran_order': Fal\n", &[0; 64]].concat();
    let torch = archive(&[("m/data.pkl", CALL), ("m/data/0", &[0; 100])]);
    // The directory says of both members that they are at the beginning.
    let mut twice = archive(&[("a.pkl", RIDGE), ("b.pkl", RIDGE)]);
    let place = twice.windows(5).rposition(|name| name == b"b.pkl").unwrap();
    twice.splice(place - 4..place, [0; 4]);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("model.pkl", CALL.to_vec(), "dangerous"),
        ("weights.xyz", CALL.to_vec(), "dangerous"),
        ("old.txt", b"cos\nsystem\n(S'id'\ntR.".to_vec(), "dangerous"),
        ("model.pt", torch, "dangerous"),
        ("arrays.npz", archive(&[("a.npy", &numbers), ("b.npy", &object)]), "dangerous"),
        ("a.npy", object, "dangerous"),
        ("n.npy", numbers, "clean"),
        ("ridge.pkl", RIDGE.to_vec(), "clean"),
        ("torch.pt", archive(&[("m/data.pkl", RIDGE), ("m/data/0", &[0; 100])]), "clean"),
        ("mine.pkl", b"\x80\x02c__main__\nNet\n.".to_vec(), "suspicious"),
        ("broken.pkl", b"no pickle at all".to_vec(), "unread"),
        ("packed.joblib", b"BZh91AY".to_vec(), "unread"),
        ("twice.zip", twice, "unread"),
        ("notes.txt", b"channels:\n- conda-forge\n(and more".to_vec(), "clean"),
        ("net.onnx", b"\x08\x07\x12\x07pytorch".to_vec(), "clean"),
    ];
    for (name, content, expected) in &cases {
        stage.put(&format!("{expected}-{name}/{name}"), content.clone()).await;
        let (status, tags) = stage.register(&format!("{expected}-{name}")).await;
        // Where there is nothing to say, there is no tag.
        let said = tags["bartizan.scan"].as_str().unwrap_or("clean");
        assert_eq!((status, said), (200, *expected), "{name}: {tags}");
        let says = tags["bartizan.scan.findings"].as_str().unwrap_or_default();
        assert_eq!(says.is_empty(), *expected == "clean", "{name}: {tags}");
        assert!(says.is_empty() || says.contains(&format!("`{name}`")), "{name}: {tags}");
    }
    // The same bytes under another name are something else.
    for name in ["a.log", "model.pkl"] {
        stage.put(&format!("both/{name}"), b"BZh91AY".to_vec()).await;
    }
    let (_, tags) = stage.register("both").await;
    assert_eq!(tags["bartizan.scan"], json!("unread"), "{tags}");
    let (_, tags) = stage.register("dangerous-model.pkl").await;
    assert_eq!(tags["bartizan.scan.findings"], json!("`model.pkl` holds `posix.system` (`STACK_GLOBAL`)"));
    let records = stage.records(VERSIONS).await;
    assert!(records.iter().any(|record| record["properties"]["modelScan"] == "dangerous"), "{records:#?}");
    // Nobody else says what the server found.
    for (method, below) in [(Method::POST, "set-tag"), (Method::DELETE, "delete-tag")] {
        let body = json!({"name": "m", "version": "1", "key": "bartizan.scan", "value": "clean"});
        assert_eq!(stage.ask(stage.owner(), method, &format!("mlflow/model-versions/{below}"), body).await.0, 400);
    }

    let (status, said) = stage.scan("modelScan", "refuse").await;
    assert_eq!((status, &said["properties"]["modelScan"]), (200, &json!("Refuse")), "{said}");
    for (name, _, expected) in &cases {
        let (status, said) = stage.register(&format!("{expected}-{name}")).await;
        let is_refused = matches!(*expected, "dangerous" | "unread");
        assert_eq!(status, if is_refused { 400 } else { 200 }, "{name}: {said}");
        let message = said["message"].as_str().unwrap_or_default();
        assert!(!is_refused || message.contains(&format!("`{name}`")), "{name}: {said}");
        assert!(*name != "model.pkl" || message.contains("`posix.system` (`STACK_GLOBAL`)"), "{said}");
    }
    let (status, _) = stage.scan("modelScan", "Allow").await;
    assert_eq!(status, 200);
    let (status, tags) = stage.register("dangerous-model.pkl").await;
    assert_eq!((status, tags.get("bartizan.scan")), (200, None), "{tags}");
    let (status, said) = stage.scan("modelScan", "Maybe").await;
    assert_eq!((status, &said["error"]["target"]), (400, &json!("properties.modelScan")), "{said}");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x_23_a_secret_in_a_model_s_files_is_labelled_or_refused_like_one_in_code() {
    const KEY: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    let stage = Stage::new().await;
    stage.post("mlflow/registered-models/create", json!({"name": "m"})).await;
    stage.put("model/MLmodel", format!("flavors:\n  x:\n    token: {KEY}\n")).await;
    stage.put("model/data.csv", format!("a,b\n{}x,{KEY}\n", "1,2\n".repeat(100_000))).await;
    stage.put("model/weights.h5", format!("\0\0{KEY}")).await;
    let (status, tags) = stage.register("model").await;
    let found = tags["bartizan.scan.content"].as_str().unwrap_or_default();
    assert!(status == 200 && found.contains("`MLmodel`, line 3,") && !found.contains("data.csv"), "{status} {tags}");
    assert!(!tags.to_string().contains(KEY));
    assert_eq!(stage.scan("contentScan", "refuse").await.0, 200);
    let (status, said) = stage.register("model").await;
    let message = said["message"].as_str().unwrap();
    assert!(status == 400 && message.contains("`MLmodel`, line 3,") && !message.contains(KEY), "{status} {said}");
    assert_eq!(stage.scan("contentScan", "off").await.0, 200);
    let (status, tags) = stage.register("model").await;
    assert_eq!((status, tags.get("bartizan.scan.content")), (200, None), "{tags}");
    stage.test.end().await;
}
