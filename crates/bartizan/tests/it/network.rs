//! From where a workspace is reached: network rules over the wire, and the published host list.

use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

async fn rule(test: &TestHouse, owner: Option<&kernel::Secret<String>>, properties: Value) -> (u16, Value) {
    test.ask(owner, Method::PATCH, &test.workspace(), Some(&json!({"properties": properties}))).await
}

/// A-50, the workspace's side: refused from an unlisted address in each protocol's own form, let in once it is listed, at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_50_an_unlisted_address_is_refused_by_every_protocol_until_it_is_added() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let arm = format!("{}/datastores", test.workspace());
    let mlflow = format!("/mlflow/v1.0{}/api/2.0/mlflow/experiments/get-by-name?experiment_name=x", test.workspace());
    let (status, shown) = rule(&test, owner, json!({"ipAllowlist": ["203.0.113.0/24"]})).await;
    assert_eq!((status, &shown["properties"]["ipAllowlist"]), (200, &json!(["203.0.113.0/24"])));

    let (status, refusal) = test.ask(owner, Method::GET, &arm, None).await;
    assert_eq!((status, &refusal["error"]["code"]), (403, &json!("Forbidden")), "{refusal}");
    assert!(refusal["error"]["message"].as_str().unwrap().contains("127.0.0.1"), "{refusal}");
    let (status, refusal) = test.ask(owner, Method::GET, &mlflow, None).await;
    assert_eq!((status, &refusal["error_code"]), (403, &json!("PERMISSION_DENIED")), "{refusal}");
    // What a client says of its address is no evidence.
    let claims = test.client().get(&arm).bearer(owner.unwrap());
    let claims = claims.header("x-forwarded-for", "203.0.113.9").header("forwarded", "for=203.0.113.9");
    assert_eq!(claims.send().await.unwrap().status().as_u16(), 403);
    // A stranger is told what it is always told.
    assert_eq!(test.ask(callers.token(Who::Stranger), Method::GET, &arm, None).await.0, 404);
    // Access and activity log are management.
    let assignments = format!("{}/providers/Microsoft.Authorization/roleAssignments", test.workspace());
    assert_eq!(test.ask(owner, Method::GET, &assignments, None).await.0, 200);

    assert_eq!(rule(&test, owner, json!({"ipAllowlist": ["203.0.113.0/24", "127.0.0.1"]})).await.0, 200);
    assert_eq!(test.ask(owner, Method::GET, &arm, None).await.0, 200);
    assert_eq!(test.ask(owner, Method::GET, &mlflow, None).await.0, 404);
    test.end().await;
}

/// the API lists this server's own hosts and ports, and a private-only workspace refuses public callers.
#[tokio::test(flavor = "multi_thread")]
async fn a_51_the_host_list_is_the_server_s_own_and_a_private_workspace_refuses_public_callers() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    assert_eq!(rule(&test, owner, json!({"publicNetworkAccess": "disabled"})).await.0, 200);
    let (_, shown) = test.ask(owner, Method::GET, &test.workspace(), None).await;
    assert_eq!(shown["properties"]["publicNetworkAccess"], "Disabled");
    let (status, refusal) = test.ask(owner, Method::GET, &format!("{}/jobs", test.workspace()), None).await;
    assert_eq!(status, 403);
    assert!(refusal["error"]["message"].as_str().unwrap().contains("public network access is disabled"), "{refusal}");

    let place = format!("{}/outboundNetworkDependenciesEndpoints", test.workspace());
    let (status, list) = test.ask(callers.token(Who::Reader), Method::GET, &place, None).await;
    assert_eq!(status, 200);
    let port: u16 = test.house.settings().url.rsplit(':').next().unwrap().parse().unwrap();
    for entry in list["value"].as_array().unwrap() {
        let endpoint = &entry["properties"]["endpoints"][0];
        assert_eq!(endpoint, &json!({"domainName": "localhost", "endpointDetails": [{"port": port}]}));
    }
    // A workspace that comes later under the same name has rules of its own.
    assert_eq!(test.ask(owner, Method::DELETE, &test.workspace(), None).await.0, 200);
    assert_eq!(test.ask(owner, Method::PUT, &test.workspace(), Some(&json!({"location": "x"}))).await.0, 201);
    assert_eq!(test.ask(owner, Method::GET, &format!("{}/datastores", test.workspace()), None).await.0, 200);
    test.end().await;
}
