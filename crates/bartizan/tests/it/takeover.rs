//! Taking over runs and models of another server: who may, what is kept as it was there, and what nobody can choose.

use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

const RUN: &str = "0123456789abcdef0123456789abcdef";
const SOURCE: &str = "https://mlflow.example";

fn run() -> Value {
    json!({
        "experiment_id": "0", "run_id": RUN, "run_name": "old", "user_id": "alice", "status": "FINISHED",
        "start_time": 1_600_000_000_000_i64, "end_time": 1_600_000_001_000_i64, "source": SOURCE,
        "tags": [{"key": "a", "value": "b"}, {"key": "bartizan.import.by", "value": "somebody else"}],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_over_keeps_its_id_user_and_times_and_says_who_took_it() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let api = format!("/mlflow/v1.0{}/api/2.0", test.workspace());
    let import = |what: &str| format!("{api}/bartizan/import/{what}");
    let with = |name: &str, value: Value| {
        let mut body = run();
        body[name] = value;
        body
    };
    assert_eq!(test.ask(callers.token(Who::Reader), Method::POST, &import("runs"), Some(&run())).await.0, 403);
    for (name, value) in [
        ("run_id", json!("train-1")),
        ("run_id", json!("../../../../../../../../etc/pas")),
        ("run_id", json!(RUN.to_uppercase())),
        ("status", json!("GONE")),
        ("start_time", json!(-1)),
        ("source", json!("")),
        ("user_id", json!("x".repeat(257))),
        ("run_name", json!("a\nb")),
    ] {
        let (status, said) = test.ask(owner, Method::POST, &import("runs"), Some(&with(name, value))).await;
        assert_eq!(status, 400, "{name}: {said}");
    }
    assert_eq!(test.ask(owner, Method::POST, &import("runs"), Some(&with("experiment_id", json!("7")))).await.0, 404);
    let (status, said) = test.ask(owner, Method::POST, &import("runs"), Some(&run())).await;
    assert_eq!(status, 200, "{said}");
    let (_, again) = test.ask(owner, Method::POST, &import("runs"), Some(&run())).await;
    assert_eq!(again["error_code"], "RESOURCE_ALREADY_EXISTS");
    let (_, shown) = test.ask(owner, Method::GET, &format!("{api}/mlflow/runs/get?run_id={RUN}"), None).await;
    let info = &shown["run"]["info"];
    assert_eq!(
        (&info["user_id"], &info["start_time"], &info["end_time"], &info["status"]),
        (&json!("alice"), &json!(1_600_000_000_000_i64), &json!(1_600_000_001_000_i64), &json!("FINISHED"))
    );
    let tags = shown["run"]["data"]["tags"].to_string();
    assert!(tags.contains(SOURCE) && !tags.contains("somebody else"), "{tags}");

    let model = format!("m-{RUN}");
    let body = json!({
        "experiment_id": "0", "model_id": model, "name": "tree", "source_run_id": RUN, "user_id": "alice",
        "creation_timestamp_ms": 5, "last_updated_timestamp_ms": 6, "source": SOURCE,
    });
    assert_eq!(test.ask(owner, Method::POST, &import("logged-models"), Some(&body)).await.0, 200);
    assert_eq!(
        test.ask(owner, Method::POST, &import("logged-models"), Some(&body)).await.1["error_code"],
        "RESOURCE_ALREADY_EXISTS"
    );
    let (_, shown) = test.ask(owner, Method::GET, &format!("{api}/mlflow/logged-models/{model}"), None).await;
    assert_eq!(shown["model"]["info"]["creation_timestamp_ms"], 5);
    let file = format!("{api}/mlflow-artifacts/artifacts/0/models/{model}/artifacts/a.bin");
    let sent = test.client().put(&file).bearer(owner.unwrap()).body("application/octet-stream", "weights").send().await;
    sent.unwrap().success().await.unwrap();

    let version = |number: u64| {
        json!({
            "name": "wine", "version": number, "files": format!("models:/m-{RUN}"), "run_id": RUN, "current_stage": "staging",
            "creation_timestamp": 7, "last_updated_timestamp": 8, "user_id": "alice", "source": SOURCE,
        })
    };
    let create = format!("{api}/mlflow/registered-models/create");
    let post = async |place: &str, body: Value| test.ask(owner, Method::POST, place, Some(&body)).await;
    assert_eq!(post(&create, json!({"name": "own"})).await.0, 200);
    let mut other = version(3);
    other["name"] = json!("own");
    let tag = json!({"name": "own", "key": "bartizan.import.source", "value": SOURCE});
    assert_eq!(post(&format!("{api}/mlflow/registered-models/set-tag"), tag).await.0, 400);
    let (status, said) = post(&import("model-versions"), other).await;
    assert_eq!(status, 409, "a model that was made here takes no versions of elsewhere: {said}");
    let by = json!([{"key": "bartizan.import.by", "value": "somebody else"}]);
    assert_eq!(post(&create, json!({"name": "wine", "tags": by})).await.0, 400);
    let batch = json!({"run_id": RUN, "tags": by});
    assert_eq!(post(&format!("{api}/mlflow/runs/log-batch"), batch).await.0, 400);
    let own = json!({"run_id": RUN, "key": "bartizan.import.source", "value": SOURCE});
    assert_eq!(post(&format!("{api}/mlflow/runs/set-tag"), own).await.0, 200, "what it says already");
    let tag = json!({"run_id": RUN, "key": "bartizan.import.source"});
    assert_eq!(post(&format!("{api}/mlflow/runs/delete-tag"), tag).await.0, 400);
    let from = json!([{"key": "bartizan.import.source", "value": SOURCE}]);
    assert_eq!(post(&create, json!({"name": "wine", "tags": from})).await.0, 200);
    for number in [3, 1] {
        let (status, said) = post(&import("model-versions"), version(number)).await;
        assert_eq!((status, &said["model_version"]["current_stage"]), (200, &json!("Staging")), "{said}");
    }
    assert_eq!(post(&import("model-versions"), version(3)).await.1["error_code"], "RESOURCE_ALREADY_EXISTS");
    for bad in ["file:///etc", "http://169.254.169.254/", "s3://b/k"] {
        let mut body = version(9);
        body["files"] = json!(bad);
        assert_eq!(post(&import("model-versions"), body).await.0, 400, "{bad}");
    }
    let (_, next) = post(
        &format!("{api}/mlflow/model-versions/create"),
        json!({"name": "wine", "source": format!("models:/m-{RUN}")}),
    )
    .await;
    assert_eq!(next["model_version"]["version"], "4", "{next}");
    let (status, said) = post(&import("model-versions"), version(2)).await;
    assert_eq!(status, 409, "its numbers are given here from now on: {said}");
    test.end().await;
}
