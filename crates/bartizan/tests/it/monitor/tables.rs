//! Log tables: the sample queries of Azure's own documentation, and who gets rows.

use std::time::Duration;

use domain::work::look_once;
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

async fn query(test: &TestHouse, who: Option<&Secret<String>>, text: &str) -> (u16, Value) {
    let place = format!("/v1{}/query", test.workspace());
    test.ask(who, Method::POST, &place, Some(&json!({"query": text}))).await
}

async fn rows(test: &TestHouse, who: Option<&Secret<String>>, text: &str) -> Vec<Value> {
    let (status, answer) = query(test, who, text).await;
    assert_eq!(status, 200, "{text}: {answer}");
    answer["tables"][0]["rows"].as_array().unwrap().clone()
}

/// J-10: the four sample queries run and return rows.
#[tokio::test(flavor = "multi_thread")]
async fn the_sample_queries_of_azure_s_documentation_return_rows() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let job = json!({"properties": {"jobType": "Command", "command": "true"}});
    let submitted =
        test.ask(owner, Method::PUT, &format!("{}/jobs/automl_1_setup", test.workspace()), Some(&job)).await;
    assert_eq!(submitted.0, 201, "{}", submitted.1);
    look_once(&test.house, true).await.unwrap();
    // Its agent never speaks, so it is given up.
    for _ in 0..10 {
        test.clock.advance(Duration::from_secs(120));
        look_once(&test.house, true).await.unwrap();
    }
    let target = json!({"identity": {"type": "SystemAssigned"}});
    let changed = test.ask(owner, Method::PATCH, &format!("{}/computes/local", test.workspace()), Some(&target)).await;
    assert_eq!(changed.0, 200, "{}", changed.1);

    let failed = "AmlComputeJobEvent\n| where TimeGenerated > ago(5d) and EventType == \"JobFailed\"\n\
                  | project  TimeGenerated , ClusterId , EventType , ExecutionState , ToolType";
    let found = rows(&test, owner, failed).await;
    assert_eq!((found.len(), &found[0][2], &found[0][3]), (1, &json!("JobFailed"), &json!("Failed")));
    let named = "AmlComputeJobEvent\n| where JobName == \"automl_1_setup\"\n| project  TimeGenerated , EventType";
    let events: Vec<Value> = rows(&test, owner, named).await.iter().map(|row| row[1].clone()).collect();
    assert_eq!(events.first(), Some(&json!("JobFailed")));
    assert_eq!(events.last(), Some(&json!("JobSubmitted")));
    let cluster = "AmlComputeClusterEvent\n| where TimeGenerated > ago(4d) and ClusterName == \"local\"\n\
                   | project  ClusterName , InitialNodeCount , MaximumNodeCount , QuotaAllocated , QuotaUtilized";
    assert_eq!(rows(&test, owner, cluster).await, [json!(["local", null, null, null, null])]);
    let nodes = "AmlComputeClusterNodeEvent\n| where TimeGenerated > ago(8d) and NodeAllocationTime  > ago(8d)\n| distinct NodeId";
    assert_eq!(rows(&test, owner, nodes).await, [json!(["local"])]);
    test.end().await;
}

/// Nobody is told, and nothing is looked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_without_a_token_is_refused_whatever_workspace_it_names() {
    let (test, callers) = TestHouse::new().await;
    let (_, workspace) = test.ask(callers.token(Who::Owner), Method::GET, &test.workspace(), None).await;
    let guid = workspace["properties"]["workspaceId"].as_str().unwrap();
    let body = json!({"query": "AmlModelsEvent"});
    for id in [guid, "00000000-0000-0000-0000-000000000001", "x"] {
        let place = format!("/v1/workspaces/{id}/query");
        assert_eq!(test.ask(None, Method::POST, &place, Some(&body)).await.0, 401, "{id}");
    }
    let place = format!("/v1/workspaces/{guid}/query");
    assert_eq!(test.ask(callers.token(Who::Owner), Method::POST, &place, Some(&body)).await.0, 200);
    assert_eq!(test.ask(callers.token(Who::Stranger), Method::POST, &place, Some(&body)).await.0, 404);
    test.end().await;
}

/// J-11: registering a model writes one `AmlModelsEvent`, with its identity.
#[tokio::test(flavor = "multi_thread")]
async fn registering_a_model_writes_one_event_with_its_identity_for_those_who_may_read_it() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let mlflow = format!("/mlflow/v1.0{}/api/2.0/mlflow/registered-models/create", test.workspace());
    assert_eq!(test.ask(owner, Method::POST, &mlflow, Some(&json!({"name": "m"}))).await.0, 200);
    let text = "AmlModelsEvent | project AmlModelName, Identity, ResultType, ResultSignature, Level, AadTenantId";
    let tenant = test.founded.tenant.to_string();
    let wanted = json!(["m", "bartizan-owner", "Succeeded", "200", "Informational", tenant]);
    assert_eq!(rows(&test, callers.token(Who::Reader), text).await, std::slice::from_ref(&wanted));
    let (_, workspace) = test.ask(owner, Method::GET, &test.workspace(), None).await;
    let by_guid = format!("/v1/workspaces/{}/query", workspace["properties"]["workspaceId"].as_str().unwrap());
    let body = json!({"query": text, "timespan": "PT3600.0S"});
    let (status, answer) = test.ask(owner, Method::POST, &by_guid, Some(&body)).await;
    assert_eq!((status, &answer["tables"][0]["rows"]), (200, &json!([wanted])), "{answer}");
    assert_eq!(answer["tables"][0]["columns"][0], json!({"name": "AmlModelName", "type": "string"}));
    let late = json!({"query": text, "timespan": "2020-01-01T00:00:00Z/PT1H"});
    assert_eq!(test.ask(owner, Method::POST, &by_guid, Some(&late)).await.1["tables"][0]["rows"], json!([]));

    for (who, status) in [(Who::Stranger, 404), (Who::Nobody, 401)] {
        assert_eq!(query(&test, callers.token(who), text).await.0, status);
        assert_eq!(test.ask(callers.token(who), Method::POST, &by_guid, Some(&body)).await.0, status);
        let nothing = "/v1/workspaces/6f9619ff-8b86-d011-b42d-00c04fc964ff/query";
        assert_eq!(test.ask(callers.token(who), Method::POST, nothing, Some(&body)).await.0, status);
    }
    for bad in ["Weather", "AmlModelsEvent | where Colour == 'red'", "AmlModelsEvent | join x", "'"] {
        assert_eq!(query(&test, owner, bad).await.0, 400, "{bad}");
    }
    test.end().await;
}
