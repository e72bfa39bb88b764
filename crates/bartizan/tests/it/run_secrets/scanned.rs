//! Code that holds what it should not: labelled, refused, or not looked at, as its workspace wants it (requirement X-23).

use outbound::Method;
use serde_json::{Value, json};

use super::stand::{ML, Scene};

const KEY: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

/// A notebook whose output on line 12 holds a key.
fn notebook() -> String {
    let lines = [
        "{",
        " \"cells\": [",
        "  {",
        "   \"cell_type\": \"code\",",
        "   \"execution_count\": 1,",
        "   \"metadata\": {},",
        "   \"outputs\": [",
        "    {",
        "     \"name\": \"stdout\",",
        "     \"text\": [",
        "      \"connected\\n\",",
        &format!("      \"token: {KEY}\\n\""),
        "     ]",
        "    }",
        "   ],",
        "   \"source\": [\"connect()\"]",
        "  }",
        " ]",
        "}",
    ];
    lines.join("\n")
}

impl Scene {
    /// Uploads files, and makes a code version of them.
    async fn code(&self, name: &str, files: &[(&str, &[u8])]) -> (u16, Value) {
        let workspace = self.bank.test.workspace();
        let mut pack = Vec::new();
        for (_, content) in files {
            pack.extend_from_slice(&seal::Sha256::of(content));
            pack.extend_from_slice(&u64::try_from(content.len()).unwrap().to_be_bytes());
            pack.extend_from_slice(content);
        }
        let call = self.bank.test.client().call(Method::POST, &format!("{workspace}/snapshots/packs"));
        let sent = call.bearer(self.owner()).body("application/octet-stream", pack).send().await.unwrap();
        assert_eq!(sent.status().as_u16(), 200);
        self.version(name, files).await
    }

    async fn version(&self, name: &str, files: &[(&str, &[u8])]) -> (u16, Value) {
        let files: Vec<Value> = files
            .iter()
            .map(|(path, content)| json!({"path": path, "length": content.len(), "sha256": seal::sha256_hex(content)}))
            .collect();
        let place = format!("{}/codes/{name}/versions/1", self.bank.test.workspace());
        self.ask(self.owner(), Method::PUT, &place, json!({"properties": {"files": files}})).await
    }

    async fn scan(&self, word: &str) -> (u16, Value) {
        let body = json!({"properties": {"contentScan": word}});
        self.ask(self.owner(), Method::PATCH, &self.bank.test.workspace(), body).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn x_23_a_key_in_a_notebook_s_output_is_refused_with_its_line() {
    let scene = Scene::new().await;
    let (notebook, clean) = (notebook(), b"print('hello')\n".as_slice());
    let files = [("train.py", clean), ("notebooks/look.ipynb", notebook.as_bytes())];
    let (status, said) = scene.scan("refuse").await;
    assert_eq!((status, &said["properties"]["contentScan"]), (200, &json!("Refuse")), "{said}");
    for name in ["refused", "refused-again"] {
        let (status, said) = scene.code(name, &files).await;
        let message = said["error"]["message"].as_str().unwrap();
        assert_eq!((status, &said["error"]["target"]), (400, &json!("properties.files")), "{said}");
        assert!(
            message.contains("`notebooks/look.ipynb`, line 12,") && message.contains("a GitHub token"),
            "{message}"
        );
        assert!(message.contains(".amlignore") && !message.contains(KEY), "{message}");
    }
    let place = format!("{}/codes/refused/versions/1", scene.bank.test.workspace());
    assert_eq!(scene.ask(scene.owner(), Method::GET, &place, Value::Null).await.0, 404, "nothing is half done");
    let record = scene.records(&format!("{ML}/codes/versions/write")).await.remove(0);
    let told = record["properties"]["findings"].as_str().unwrap();
    assert!(told.contains("look.ipynb`, line 12") && !record.to_string().contains(KEY), "{record}");
    assert_eq!(scene.code("clean", &files[..1]).await.0, 201);

    // Labelled where a warning is enough; the same content is not looked at twice and still has its label.
    assert_eq!(scene.scan("Warn").await.0, 200);
    for name in ["labelled", "labelled-again"] {
        let (status, said) = scene.version(name, &files).await;
        let warnings = said["properties"]["warnings"].as_array().unwrap();
        assert_eq!((status, warnings.len()), (201, 1), "{said}");
        assert!(warnings[0].as_str().unwrap().contains("`notebooks/look.ipynb`, line 12,"), "{said}");
        assert!(!said.to_string().contains(KEY), "{said}");
    }
    let place = format!("{}/codes/labelled/versions/1", scene.bank.test.workspace());
    let (_, shown) = scene.ask(scene.owner(), Method::GET, &place, Value::Null).await;
    assert_eq!(shown["properties"]["warnings"].as_array().unwrap().len(), 1, "{shown}");
    // Off is off, and what is there stays, whatever is wanted later.
    assert_eq!(scene.scan("Off").await.0, 200);
    assert_eq!(scene.version("unseen", &files).await.1["properties"]["warnings"], json!([]));
    assert_eq!(scene.scan("Refuse").await.0, 200);
    assert_eq!(scene.version("labelled", &files).await.0, 200);
    assert_eq!(scene.version("refused", &files).await.0, 400);
    let (status, said) = scene.scan("Maybe").await;
    assert_eq!((status, &said["error"]["target"]), (400, &json!("properties.contentScan")), "{said}");
    scene.bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_data_is_found_binaries_are_skipped_and_large_files_are_said_to_be_unseen() {
    let scene = Scene::new().await;
    // Lines of 64 bytes up to the bound, and one behind it.
    let large = format!("{}card 4111 1111 1111 1111\n", format!("{:63}\n", "x = 1").repeat(1 << 16)).into_bytes();
    let binary = [b"\0\x01\x02".as_slice(), KEY.as_bytes()].concat();
    let people = "name,iban\nann,DE89 3704 0044 0532 0130 00\nbob,529.982.247-25\n";
    let files: [(&str, &[u8]); 4] = [
        ("large.py", large.as_slice()),
        ("model.bin", binary.as_slice()),
        ("people.csv", people.as_bytes()),
        ("empty", b""),
    ];
    let (status, said) = scene.code("data", &files).await;
    assert_eq!(status, 201, "{said}");
    let warnings: Vec<&str> =
        said["properties"]["warnings"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].contains("`people.csv`, line 2,") && warnings[0].contains("IBAN"), "{warnings:?}");
    assert!(warnings[1].contains("line 3,") && warnings[1].contains("CPF"), "{warnings:?}");
    assert!(warnings[2].starts_with("1 files were not looked at"), "{warnings:?}");
    scene.bank.test.end().await;
}
