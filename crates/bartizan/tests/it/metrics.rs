//! Platform metrics: each counter against what was really done (J-01, J-02).

use outbound::Method;
use serde_json::{Value, json};

use crate::house::{Callers, TestHouse, Who};

/// Does an MLflow call; the status and the answer.
async fn mlflow(test: &TestHouse, callers: &Callers, call: &str, body: Value) -> (u16, Value) {
    let place = format!("/mlflow/v1.0{}/api/2.0/mlflow/{call}", test.workspace());
    test.ask(callers.token(Who::Owner), Method::POST, &place, Some(&body)).await
}

/// Three runs begun, two ended well, one badly, one of them told twice; a model registered, and one that could not be.
async fn scenario(test: &TestHouse, callers: &Callers) {
    let (_, experiment) = mlflow(test, callers, "experiments/create", json!({"name": "counted"})).await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        let (_, run) =
            mlflow(test, callers, "runs/create", json!({"experiment_id": experiment["experiment_id"]})).await;
        runs.push(run["run"]["info"]["run_id"].clone());
    }
    for (run, status) in [(0, "FINISHED"), (1, "FINISHED"), (1, "FINISHED"), (2, "FAILED")] {
        let body = json!({"run_id": runs[run], "status": status});
        assert_eq!(mlflow(test, callers, "runs/update", body).await.0, 200);
    }
    let (_, _) = mlflow(test, callers, "registered-models/create", json!({"name": "m"})).await;
    let prompt =
        json!({"name": "m", "source": "dummy-source", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]});
    let (status, answer) = mlflow(test, callers, "model-versions/create", prompt).await;
    assert_eq!(status, 200, "{answer}");
    let nothing = json!({"name": "m", "source": format!("runs:/{}/none", runs[0].as_str().unwrap())});
    assert_eq!(mlflow(test, callers, "model-versions/create", nothing).await.0 / 100, 4);
}

fn place(test: &TestHouse, query: &str) -> String {
    format!("{}/providers/Microsoft.Insights/metrics?api-version=2024-02-01&{query}", test.workspace())
}

/// The sum over all points of a metric's only series.
fn sum(answer: &Value, metric: &str) -> f64 {
    let metrics = answer["value"].as_array().unwrap();
    let found = metrics.iter().find(|found| found["name"]["value"] == metric).unwrap();
    let series = found["timeseries"].as_array().unwrap();
    assert_eq!(series.len(), 1, "{found}");
    series[0]["data"].as_array().unwrap().iter().map(|point| point["total"].as_f64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn j_01_counters_equal_what_was_done() {
    let (test, callers) = TestHouse::new().await;
    scenario(&test, &callers).await;
    let owner = callers.token(Who::Owner);
    let (status, answer) = test.ask(owner, Method::GET, &place(&test, "aggregation=Total"), None).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["value"].as_array().unwrap().len(), 21);
    for (metric, count) in [
        ("Started Runs", 3.0),
        ("Completed Runs", 2.0),
        ("Failed Runs", 1.0),
        ("Model Register Succeeded", 1.0),
        ("Model Register Failed", 1.0),
        ("Model Deploy Started", 0.0),
    ] {
        assert_eq!(sum(&answer, metric), count, "{metric}");
    }
    // Asked again, nothing is counted twice.
    let (_, again) = test.ask(owner, Method::GET, &place(&test, "metricnames=Completed%20Runs"), None).await;
    assert_eq!(sum(&again, "Completed Runs"), 2.0);
    let (_, levels) = test
        .ask(
            owner,
            Method::GET,
            &place(&test, "metricnames=TotalNodes,IdleNodes,ActiveCores&aggregation=average"),
            None,
        )
        .await;
    let last =
        |at: usize| levels["value"][at]["timeseries"][0]["data"].as_array().unwrap().last().unwrap()["average"].clone();
    assert_eq!((last(0), last(1), last(2)), (json!(1.0), json!(1.0), json!(0.0)));
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn j_02_runs_are_split_by_their_type() {
    let (test, callers) = TestHouse::new().await;
    scenario(&test, &callers).await;
    let owner = callers.token(Who::Owner);
    let split = place(&test, "metricnames=Completed%20Runs&interval=PT1H&$filter=RunType%20eq%20'*'");
    let (_, answer) = test.ask(owner, Method::GET, &split, None).await;
    let series = answer["value"][0]["timeseries"].as_array().unwrap();
    assert_eq!(series.len(), 1);
    assert_eq!(
        series[0]["metadatavalues"],
        json!([{"name": {"value": "RunType", "localizedValue": "RunType"}, "value": "Experiment"}])
    );
    let other = place(&test, "metricnames=Completed%20Runs&$filter=RunType%20eq%20'StepRun'");
    let (_, answer) = test.ask(owner, Method::GET, &other, None).await;
    assert_eq!(sum(&answer, "Completed Runs"), 0.0);
    let definitions = format!("{}/providers/Microsoft.Insights/metricDefinitions", test.workspace());
    let (_, answer) = test.ask(owner, Method::GET, &definitions, None).await;
    assert_eq!(answer["value"].as_array().unwrap().len(), 21);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_for_those_who_may_read_them_and_questions_are_bounded() {
    let (test, callers) = TestHouse::new().await;
    scenario(&test, &callers).await;
    for (who, status) in [(Who::Reader, 200), (Who::Stranger, 404), (Who::Nobody, 401)] {
        assert_eq!(test.ask(callers.token(who), Method::GET, &place(&test, ""), None).await.0, status, "{who:?}");
    }
    for bad in [
        "metricnames=Nonsense",
        "interval=PT7M",
        "timespan=yesterday",
        "timespan=2020-01-01T00:00:00Z/2026-01-01T00:00:00Z",
        "timespan=2026-01-02T00:00:00Z/2026-01-01T00:00:00Z",
        "aggregation=Median",
        "$filter=ClusterName",
        "metricnames=Failed%20Runs&$filter=ClusterName%20eq%20'x'",
    ] {
        let (status, answer) = test.ask(callers.token(Who::Owner), Method::GET, &place(&test, bad), None).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("InvalidRequestContent")), "{bad}: {answer}");
    }
    let text = async |who| {
        let call = test.client().get("/metrics").bearer(callers.token(who).unwrap());
        String::from_utf8(call.send().await.unwrap().success().await.unwrap().bytes(1 << 20).await.unwrap().to_vec())
            .unwrap()
    };
    let owners = text(Who::Owner).await;
    let line = format!(
        "bartizan_completed_runs_total{{workspace=\"{}\",compute_type=\"external\",run_type=\"Experiment\"}} 2\n",
        test.workspace()
    );
    assert!(owners.contains(&line), "{owners}");
    assert!(owners.contains("\nbartizan_activity_log_records_total "), "{owners}");
    assert_eq!(text(Who::Stranger).await, "");
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_of_a_workspace_ends_with_it() {
    let (test, callers) = TestHouse::new().await;
    scenario(&test, &callers).await;
    let owner = callers.token(Who::Owner);
    let (_, answer) = test.ask(owner, Method::GET, &place(&test, "metricnames=Completed%20Runs"), None).await;
    assert_eq!(sum(&answer, "Completed Runs"), 2.0);
    let purged = format!("{}?forceToPurge=true", test.workspace());
    assert_eq!(test.ask(owner, Method::DELETE, &purged, None).await.0, 200);
    assert_eq!(test.ask(owner, Method::PUT, &test.workspace(), Some(&json!({"location": "x"}))).await.0, 201);
    let (_, answer) = test.ask(owner, Method::GET, &place(&test, "metricnames=Completed%20Runs"), None).await;
    assert_eq!(sum(&answer, "Completed Runs"), 0.0);
    test.end().await;
}
