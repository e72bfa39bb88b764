//! Deleted workspaces: what is refused meanwhile, recovery, purge (requirement K-07).

use std::time::Duration;

use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn owner(test: &TestHouse) -> Secret<String> {
    test.token(&test.founded.app.to_string(), test.founded.client_secret.expose()).await.unwrap()
}

fn deleted(scope: &str) -> String {
    format!("{scope}/providers/Microsoft.MachineLearningServices/deletedWorkspaces")
}

fn recovery() -> Value {
    json!({"properties": {"allowRecoverSoftDeletedWorkspace": "True"}})
}

/// Every kind of door that leads to a workspace.
fn doors(test: &TestHouse) -> Vec<(Method, String, Option<Value>)> {
    let ws = test.workspace();
    let mlflow = format!("/mlflow/v1.0{ws}/api/2.0/mlflow");
    vec![
        (Method::GET, ws.clone(), None),
        (Method::PATCH, ws.clone(), Some(json!({"tags": {}}))),
        (Method::GET, format!("{ws}/datastores"), None),
        (Method::GET, format!("{ws}/computes/local"), None),
        (Method::GET, format!("{ws}/jobs"), None),
        (Method::PUT, format!("{ws}/jobs/j1"), Some(json!({"properties": {"jobType": "Command", "command": "true"}}))),
        (Method::GET, format!("{ws}/models"), None),
        (Method::GET, format!("{ws}/onlineEndpoints"), None),
        (Method::PUT, format!("{ws}/onlineEndpoints/svc"), Some(json!({"properties": {"authMode": "Key"}}))),
        (Method::POST, format!("{mlflow}/experiments/create"), Some(json!({"name": "e"}))),
        (Method::POST, format!("{mlflow}/runs/search"), Some(json!({"experiment_ids": ["0"]}))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_workspace_rests_and_comes_back_whole() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let mlflow = format!("/mlflow/v1.0{}/api/2.0/mlflow", test.workspace());
    let made =
        test.ask(owner, Method::POST, &format!("{mlflow}/experiments/create"), Some(&json!({"name": "e"}))).await;
    let experiment = made.1["experiment_id"].as_str().unwrap().to_owned();
    let run = json!({"experiment_id": experiment, "run_name": "kept", "start_time": 1});
    let made = test.ask(owner, Method::POST, &format!("{mlflow}/runs/create"), Some(&run)).await;
    let run = made.1["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let metric = json!({"run_id": run, "key": "loss", "value": 0.5, "timestamp": 2, "step": 1});
    assert_eq!(test.ask(owner, Method::POST, &format!("{mlflow}/runs/log-metric"), Some(&metric)).await.0, 200);
    let before = test.ask(owner, Method::GET, &test.workspace(), None).await.1;
    let seen = test.ask(owner, Method::GET, &format!("{mlflow}/runs/get?run_id={run}"), None).await.1;

    assert_eq!(test.ask(callers.token(Who::Reader), Method::DELETE, &test.workspace(), None).await.0, 403);
    assert_eq!(test.ask(owner, Method::DELETE, &test.workspace(), None).await.0, 200);
    for (method, place, body) in doors(&test) {
        let (status, answer) = test.ask(owner, method.clone(), &place, body.as_ref()).await;
        assert_eq!(status, 404, "{method} {place}: {answer}");
    }
    let again = test.ask(owner, Method::PUT, &test.workspace(), Some(&json!({"location": "x"}))).await;
    assert_eq!(again.0, 409, "the name is taken: {}", again.1);
    assert_eq!(test.ask(owner, Method::DELETE, &test.workspace(), None).await.0, 409);
    assert_eq!(test.ask(owner, Method::DELETE, &test.group(), None).await.0, 409);
    for scope in [test.subscription(), test.group()] {
        let (_, listed) = test.ask(owner, Method::GET, &deleted(&scope), None).await;
        let only = &listed["value"][0];
        assert_eq!((listed["value"].as_array().unwrap().len(), &only["id"]), (1, &json!(test.workspace())));
        assert_eq!(only["properties"]["provisioningState"], "SoftDeleted");
        assert!(
            only["properties"]["softDeletedAt"].is_string() && only["properties"]["scheduledPurgeDate"].is_string()
        );
    }
    let stranger = test.ask(callers.token(Who::Stranger), Method::GET, &deleted(&test.subscription()), None).await;
    assert_eq!(stranger.0, 404);

    let denied = test.ask(callers.token(Who::Reader), Method::PUT, &test.workspace(), Some(&recovery())).await;
    assert_eq!(denied.0, 403);
    let (status, after) = test.ask(owner, Method::PUT, &test.workspace(), Some(&recovery())).await;
    assert_eq!(status, 200, "{after}");
    for same in ["workspaceId", "creationTime", "storageAccount", "keyVault", "applicationInsights", "friendlyName"] {
        assert_eq!(after["properties"][same], before["properties"][same], "{same}");
    }
    assert_eq!(after["identity"], before["identity"]);
    assert_eq!(test.ask(owner, Method::GET, &format!("{mlflow}/runs/get?run_id={run}"), None).await.1, seen);
    assert_eq!(test.ask(owner, Method::GET, &format!("{}/computes/local", test.workspace()), None).await.0, 200);
    assert_eq!(test.ask(owner, Method::GET, &deleted(&test.group()), None).await.1["value"], json!([]));
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_workspace_is_purged_when_its_time_is_over_and_not_before() {
    let (test, callers) = TestHouse::new().await;
    let first = callers.token(Who::Owner);
    let short = test.workspace().replace("/ws1", "/short");
    for days in [json!(0), json!(15), json!(-1), json!("7"), json!(256)] {
        let body = json!({"properties": {"softDeleteRetentionInDays": days}});
        assert_eq!(test.ask(first, Method::PUT, &short, Some(&body)).await.0, 400, "{body}");
    }
    let body = json!({"properties": {"softDeleteRetentionInDays": 1}});
    assert_eq!(test.ask(first, Method::PUT, &short, Some(&body)).await.1["properties"]["softDeleteRetentionInDays"], 1);
    let (_, seen) = test.ask(first, Method::GET, &test.workspace(), None).await;
    assert_eq!(seen["properties"]["softDeleteRetentionInDays"], 14);
    for place in [&short, &test.workspace()] {
        assert_eq!(test.ask(first, Method::DELETE, place, None).await.0, 200);
    }
    let left = async |passed: Duration| {
        test.clock.advance(passed);
        domain::work::purge_what_is_due(&test.house).await.unwrap();
        let listed = test.ask(Some(&owner(&test).await), Method::GET, &deleted(&test.group()), None).await.1;
        listed["value"].as_array().unwrap().len()
    };
    assert_eq!(left(DAY - Duration::from_secs(1)).await, 2);
    assert_eq!(left(Duration::from_secs(1)).await, 1);
    assert_eq!(left(DAY * 13 - Duration::from_secs(1)).await, 1);
    assert_eq!(left(Duration::from_secs(1)).await, 0);
    let owner = owner(&test).await;
    let gone = test.ask(Some(&owner), Method::PUT, &test.workspace(), Some(&recovery())).await;
    assert_eq!(gone.0, 201, "there is nothing to recover, so a new one is made: {}", gone.1);
    assert_ne!(gone.1["properties"]["workspaceId"], seen["properties"]["workspaceId"]);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resting_workspace_can_be_purged_and_its_name_used_again() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let purge = format!("{}?forceToPurge=true", test.workspace());
    let wrong = format!("{}?forceToPurge=yes", test.workspace());
    assert_eq!(test.ask(owner, Method::DELETE, &wrong, None).await.0, 400);
    assert_eq!(test.ask(owner, Method::DELETE, &test.workspace(), None).await.0, 200);
    assert_eq!(test.ask(callers.token(Who::Reader), Method::DELETE, &purge, None).await.0, 403);
    assert_eq!(test.ask(owner, Method::DELETE, &purge, None).await.0, 200);
    assert_eq!(test.ask(owner, Method::DELETE, &purge, None).await.0, 404);
    assert_eq!(test.ask(owner, Method::PUT, &test.workspace(), Some(&json!({"location": "x"}))).await.0, 201);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_outlives_deletion_and_recovery() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner).unwrap();
    let role = domain::access::CONTRIBUTOR.to_string();
    let (id, token) = test.principal(owner, "denied", Some((&role, &test.group()))).await;
    let denial =
        format!("{}/providers/Microsoft.Authorization/denyAssignments/{}", test.workspace(), uuid::Uuid::new_v4());
    let body = json!({"properties": {
        "denyAssignmentName": "no data",
        "permissions": [{"actions": ["Microsoft.MachineLearningServices/workspaces/datastores/read"]}],
        "principals": [{"id": id, "type": "ServicePrincipal"}],
    }});
    let made = test.ask(Some(owner), Method::PUT, &denial, Some(&body)).await;
    assert!(made.0 < 300, "{}", made.1);
    assert_eq!(test.ask(Some(&token), Method::DELETE, &test.workspace(), None).await.0, 200);
    assert_eq!(test.ask(Some(&token), Method::PUT, &test.workspace(), Some(&recovery())).await.0, 200);
    let stores = format!("{}/datastores", test.workspace());
    assert_eq!(test.ask(Some(&token), Method::GET, &stores, None).await.0, 403);
    test.end().await;
}
