//! What MLflow's pages ask for: files by name, and `ajax-api` as another spelling of `api` that opens nothing more.

use outbound::Method;
use serde_json::json;

use super::stage::{Stage, told};
use crate::house::Who;

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_and_written_by_name_as_they_are_by_address() {
    let stage = Stage::new().await;
    let base = format!("/mlflow/v1.0{}", stage.test.workspace());
    let run = &stage.run;
    let upload = format!("{base}/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=a/b.html");
    let of_run = format!("{base}/get-artifact?run_uuid={run}&path=a/b.html");
    let of_version = format!("{base}/model-versions/get-artifact?name=m&version=1&path=b.html");
    let content = b"<script>alert(1)</script>".to_vec();
    for (who, expected) in [(Who::Reader, 403), (Who::Stranger, 404), (Who::Nobody, 401), (Who::Contributor, 200)] {
        let mut call = stage.test.client().call(Method::POST, &upload).body("text/html", content.clone());
        if let Some(token) = stage.callers.token(who) {
            call = call.bearer(token);
        }
        told(call).await.is(expected);
    }
    stage.post("mlflow/registered-models/create", json!({"name": "m"})).await;
    let source = format!("runs:/{run}/a");
    stage.post("mlflow/model-versions/create", json!({"name": "m", "source": source})).await;
    for place in [&of_run, &of_version] {
        for (who, expected) in [(Who::Reader, 200), (Who::Stranger, 404), (Who::Nobody, 401)] {
            let mut call = stage.test.client().call(Method::GET, place);
            if let Some(token) = stage.callers.token(who) {
                call = call.bearer(token);
            }
            let answer = told(call).await.is(expected);
            if expected == 200 {
                assert_eq!(answer.body, content, "{place}");
                assert!(answer.header("content-disposition").starts_with("attachment"), "{place}");
            }
        }
    }
    let (_, other) = stage.begin("elsewhere").await;
    for (place, expected) in [
        (format!("{base}/get-artifact?run_uuid={run}"), 404),
        (format!("{base}/get-artifact?path=a/b.html"), 400),
        (format!("{base}/get-artifact?run_uuid={other}&path=a/b.html"), 404),
        (format!("{base}/get-artifact?run_uuid={run}&path=../x"), 400),
        (format!("{base}/get-artifact?run_uuid={run}&path=%252e%252e/x"), 400),
        (format!("{base}/get-artifact?run_uuid={run}&path=a/b.html&path=x"), 400),
        (format!("{base}/model-versions/get-artifact?name=m&version=1&path=../../x"), 400),
        (format!("{base}/model-versions/get-artifact?name=m&version=9&path=b.html"), 404),
        (format!("{base}/ajax-api/2.0/mlflow/logged-models/m-none/artifacts/files?artifact_file_path=x"), 404),
    ] {
        let answer = told(stage.test.client().call(Method::GET, &place).bearer(stage.owner())).await;
        assert_eq!(answer.status, expected, "{place}: {}", String::from_utf8_lossy(&answer.body));
    }
    for (query, words) in [
        (String::new(), "Request must specify run_uuid."),
        (format!("?run_uuid={run}"), "Request must specify path."),
        (format!("?run_uuid={run}&path=../x"), "Invalid path"),
    ] {
        let place = format!("{base}/ajax-api/2.0/mlflow/upload-artifact{query}");
        let call = stage.test.client().call(Method::POST, &place).bearer(stage.owner());
        let answer = told(call.body("text/plain", b"x".to_vec())).await.is(400);
        assert!(answer.json()["message"].as_str().unwrap().contains(words), "{query}");
    }
    let empty = stage.test.client().call(Method::POST, &upload).bearer(stage.owner()).body("text/plain", Vec::new());
    told(empty).await.is(400);
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_spelling_of_an_address_opens_nothing_more() {
    let stage = Stage::new().await;
    let base = format!("/mlflow/v1.0{}", stage.test.workspace());
    let group = format!("/mlflow/v1.0{}", stage.test.group());
    let get = format!("2.0/mlflow/runs/get?run_id={}", stage.run);
    for who in [Who::Owner, Who::Reader, Who::Stranger, Who::Nobody] {
        let token = stage.callers.token(who);
        for below in [
            get.as_str(),
            "3.0/mlflow/server-info",
            "2.0/mlflow/experiments/search?max_results=5",
            "2.0/mlflow/nothing",
        ] {
            let plain = stage.test.ask(token, Method::GET, &format!("{base}/api/{below}"), None).await;
            let twin = stage.test.ask(token, Method::GET, &format!("{base}/ajax-api/{below}"), None).await;
            assert_eq!(plain, twin, "{who:?} {below}");
        }
    }
    let call = stage.test.client().call(Method::GET, &format!("{group}/ajax-api/{get}")).bearer(stage.owner());
    told(call.header("x-mlflow-workspace", "ws1")).await.is(200);
    for other in
        ["ajax-api/2.0/bartizan/import/runs", "ajax-api/ajax-api/2.0/mlflow/runs/get", "ajax-api/2.0/mlflow/%2e%2e/x"]
    {
        let (status, said) = stage.test.ask(Some(stage.owner()), Method::GET, &format!("{base}/{other}"), None).await;
        assert!((400..500).contains(&status), "{other}: {status} {said}");
    }
    stage.test.end().await;
}
