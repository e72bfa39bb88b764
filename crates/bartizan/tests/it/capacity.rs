//! The throughput of a workspace's metadata: what it has, who may change it, and that it is kept to (requirements F-11, X-07).

use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

fn settings(workspace: &str) -> String {
    format!("{workspace}/throughputSettings/default")
}

fn units(number: u32) -> Value {
    json!({"properties": {"resource": {"throughput": number}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn x07_throughput_is_read_set_bounded_by_a_floor_and_a_quota_and_its_change_is_recorded() {
    let (test, callers) = TestHouse::new().await;
    let (owner, ws) = (callers.token(Who::Owner), test.workspace());
    let place = settings(&ws);
    let get = async |who| test.ask(callers.token(who), Method::GET, &place, None).await;
    let set = async |number| test.ask(owner, Method::PUT, &place, Some(&units(number))).await;
    let (status, found) = get(Who::Reader).await;
    assert_eq!((status, &found["properties"]["resource"]["throughput"]), (200, &json!(8000)), "{found}");
    assert_eq!(found["properties"]["resource"]["minimumThroughput"], "400");
    // F-11: through the workspace itself it is read, said again, and not changed.
    let field = |number: u32| json!({"properties": {"serviceManagedResourcesSettings": {"cosmosDb": {"collectionsThroughput": number}}}});
    let (_, shown) = test.ask(owner, Method::GET, &ws, None).await;
    assert_eq!(shown["properties"]["serviceManagedResourcesSettings"]["cosmosDb"]["collectionsThroughput"], 8000);
    assert_eq!(test.ask(owner, Method::PATCH, &ws, Some(&field(8000))).await.0, 200);
    let (status, answer) = test.ask(owner, Method::PATCH, &ws, Some(&field(12_000))).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("ThroughputCannotBeChanged")), "{answer}");
    let new = json!({"location": "local", "properties": field(12_000)["properties"]});
    let other = ws.replace("/ws1", "/ws2");
    assert_eq!(test.ask(owner, Method::PUT, &other, Some(&new)).await.0, 400);

    let (status, answer) = set(12_000).await;
    assert_eq!((status, &answer["properties"]["resource"]["throughput"]), (200, &json!(12_000)), "{answer}");
    let (status, answer) = set(300).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("ThroughputBelowMinimum")), "{answer}");
    for wrong in [0, 399, 12_050, 1_000_100] {
        assert_eq!(set(wrong).await.0, 400, "{wrong}");
    }
    assert_eq!(get(Who::Contributor).await.1["properties"]["resource"]["throughput"], 12_000);
    assert_eq!(test.ask(callers.token(Who::Reader), Method::PUT, &place, Some(&units(500))).await.0, 403);

    // All of the subscription at that place together.
    assert_eq!(test.ask(owner, Method::PUT, &other, Some(&json!({"location": "local"}))).await.0, 201);
    let locations = format!("{}/providers/Microsoft.MachineLearningServices/locations/local", test.subscription());
    let quota =
        json!({"value": [{"id": format!("{locations}/quotas/requestUnits"), "limit": 21_000, "unit": "Count"}]});
    let (status, answer) = test.ask(owner, Method::POST, &format!("{locations}/updateQuotas"), Some(&quota)).await;
    assert_eq!((status, &answer["value"][0]["status"]), (200, &json!("Success")), "{answer}");
    let (status, answer) = set(13_100).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("QuotaExceeded")), "{answer}");
    assert_eq!(set(13_000).await.0, 200);
    let (_, used) = test.ask(owner, Method::GET, &format!("{locations}/usages"), None).await;
    let of = used["value"].as_array().unwrap().iter().find(|one| one["name"]["value"] == "requestUnits").unwrap();
    assert_eq!(of["currentValue"], 21_000, "{used}");
    assert_eq!(set(400).await.0, 200);

    let log = format!("{}/providers/Microsoft.Insights/eventtypes/management/values", test.subscription());
    let (_, log) = test.ask(owner, Method::GET, &log, None).await;
    let changed =
        |one: &&Value| one["properties"]["throughput"] == "12000" && one["properties"]["throughputBefore"] == "8000";
    assert_eq!(log["value"].as_array().unwrap().iter().filter(changed).count(), 1);
    test.end().await;
}

/// Writes parameters until it is refused: gives the answer. Each is six thousand characters.
async fn exhaust(test: &TestHouse, owner: Option<&Secret<String>>) -> Value {
    let mlflow = format!("/mlflow/v1.0{}/api/2.0/mlflow", test.workspace());
    let made =
        test.ask(owner, Method::POST, &format!("{mlflow}/runs/create"), Some(&json!({"experiment_id": "0"}))).await;
    assert_eq!(made.0, 200, "{}", made.1);
    let run = made.1["run"]["info"]["run_id"].clone();
    for batch in 0..60 {
        let param = |place: u32| json!({"key": format!("p{batch}-{place}"), "value": "x".repeat(6000)});
        let params: Vec<Value> = (0..100).map(param).collect();
        let body = json!({"run_id": run, "params": params});
        let (status, answer) = test.ask(owner, Method::POST, &format!("{mlflow}/runs/log-batch"), Some(&body)).await;
        if status == 429 {
            return answer;
        }
        assert_eq!(status, 200, "{answer}");
    }
    panic!("24,000 units were never used up");
}

#[tokio::test(flavor = "multi_thread")]
async fn x07_a_workspace_that_used_its_units_waits_and_what_changes_resources_does_not() {
    let (test, callers) = TestHouse::new().await;
    let (owner, ws) = (callers.token(Who::Owner), test.workspace());
    assert_eq!(test.ask(owner, Method::PUT, &settings(&ws), Some(&units(400))).await.0, 200);
    let refused = exhaust(&test, owner).await;
    assert_eq!(refused["error_code"], "REQUEST_LIMIT_EXCEEDED", "in the protocol's own form: {refused}");
    let (status, answer) = test.ask(owner, Method::GET, &format!("{ws}/datastores"), None).await;
    assert_eq!((status, &answer["error"]["code"]), (429, &json!("RequestRateTooLarge")), "{answer}");
    // The workspace itself, what changes resources, and other workspaces go on.
    assert_eq!(test.ask(owner, Method::GET, &ws, None).await.0, 200);
    let other = ws.replace("/ws1", "/ws2");
    assert_eq!(test.ask(owner, Method::PUT, &other, Some(&json!({"location": "local"}))).await.0, 201);
    assert_eq!(test.ask(owner, Method::GET, &format!("{other}/datastores"), None).await.0, 200);
    // Raising it helps as fast as it fills.
    assert_eq!(
        test.ask(owner, Method::PUT, &settings(&ws), Some(&units(1_000_000))).await.0,
        409,
        "beside the other's 8000"
    );
    assert_eq!(test.ask(owner, Method::PUT, &settings(&ws), Some(&units(900_000))).await.0, 200);
    let mut status = 429;
    for _ in 0..1000 {
        status = test.ask(owner, Method::GET, &format!("{ws}/datastores"), None).await.0;
        if status == 200 {
            break;
        }
    }
    assert_eq!(status, 200);
    test.end().await;
}
