//! Secrets that are written out: a warning, or a refusal where the workspace says so (requirements X-11 and I-02).

use outbound::Method;
use serde_json::{Value, json};

use super::stand::{ML, Scene};

const KEY: &str = "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA==";

#[tokio::test(flavor = "multi_thread")]
async fn i_02_what_looks_like_a_secret_is_warned_of_and_never_told() {
    let scene = Scene::new().await;
    let job = json!({
        "jobType": "Command", "command": "run --password hunter2hunter2", "environmentVariables": {"ACCOUNT_KEY": KEY, "LR": "0.1"},
        "inputs": {"url": {"jobInputType": "literal", "value": "postgres://u:hunter2@db/x"}},
    });
    let (status, made) = scene.ask(scene.owner(), Method::PUT, &scene.job("j1"), json!({"properties": job})).await;
    assert_eq!(status, 201, "{made}");
    let warnings: Vec<&str> =
        made["properties"]["warnings"].as_array().unwrap().iter().map(|said| said.as_str().unwrap()).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].contains("`ACCOUNT_KEY`") && warnings[0].contains("secret://"), "{warnings:?}");
    assert!(warnings[1].contains("`url`") && warnings[1].contains("a URL with a password"), "{warnings:?}");
    assert!(warnings[2].contains("command line"), "{warnings:?}");
    let record = scene.records(&format!("{ML}/jobs/write")).await.remove(0);
    let note = record["properties"]["literalSecrets"].as_str().unwrap();
    assert!(note.contains("variable ACCOUNT_KEY:") && note.contains("command:"), "{note}");
    for text in [warnings.join(" "), record.to_string()] {
        assert!(!text.contains(KEY) && !text.contains("hunter2"), "{text}");
    }
    scene.bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_refuses_says_which_variable() {
    let scene = Scene::new().await;
    let workspace = scene.bank.test.workspace();
    let (_, shown) = scene.ask(scene.owner(), Method::GET, &workspace, Value::Null).await;
    assert_eq!(shown["properties"]["secretDetection"], "Warn", "{shown}");
    let set = async |word: &str| {
        scene.ask(scene.owner(), Method::PATCH, &workspace, json!({"properties": {"secretDetection": word}})).await
    };
    let (status, said) = set("Sometimes").await;
    assert_eq!((status, &said["error"]["target"]), (400, &json!("properties.secretDetection")), "{said}");
    let (status, said) = set("refuse").await;
    assert_eq!((status, &said["properties"]["secretDetection"]), (200, &json!("Refuse")), "{said}");
    // What nobody says stays.
    let tags = json!({"tags": {"a": "b"}});
    let (_, kept) = scene.ask(scene.owner(), Method::PATCH, &workspace, tags).await;
    assert_eq!(kept["properties"]["secretDetection"], "Refuse");

    let (status, said) = scene.submit(scene.owner(), "j1", json!({"A": "x", "ACCOUNT_KEY": KEY})).await;
    let message = said["error"]["message"].as_str().unwrap();
    assert_eq!((status, &said["error"]["target"]), (400, &json!("properties.environmentVariables")), "{said}");
    assert!(
        message.contains("`ACCOUNT_KEY`") && message.contains("secret://NAME") && !message.contains(KEY),
        "{message}"
    );
    assert_eq!(scene.ask(scene.owner(), Method::GET, &scene.job("j1"), Value::Null).await.0, 404);
    let refused = scene.records(&format!("{ML}/jobs/write")).await.remove(0);
    assert!(refused["properties"]["literalSecrets"].as_str().unwrap().contains("ACCOUNT_KEY"), "{refused}");

    scene.bank.set(&scene.keeper, "account-key", KEY).await;
    assert_eq!(scene.submit(scene.owner(), "j1", json!({"ACCOUNT_KEY": "secret://account-key"})).await.0, 201);
    assert_eq!(set("Warn").await.0, 200);
    assert_eq!(scene.submit(scene.owner(), "j2", json!({"ACCOUNT_KEY": KEY})).await.0, 201);
    scene.bank.test.end().await;
}
