//! One tracking address for the workspaces of a resource group: a header names which (`X-MLFLOW-WORKSPACE`).

use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

async fn ask(test: &TestHouse, who: Option<&kernel::Secret<String>>, place: &str, names: &[&str]) -> (u16, Value) {
    let mut call = test.client().call(Method::GET, place).bearer(who.unwrap());
    for name in names {
        call = call.header("x-mlflow-workspace", name);
    }
    let answer = call.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes(1 << 20).await.unwrap()).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_names_the_workspace_below_its_group_and_agrees_with_an_address_that_does() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let base = format!("/mlflow/v1.0{}", test.group());
    let other = test.workspace().replace("/ws1", "/ws2");
    let made = test
        .ask(owner, Method::PUT, &other, Some(&json!({"location": "local", "properties": {"description": "two"}})))
        .await;
    assert!(made.0 < 300, "{}", made.1);
    for (workspace, name) in [("ws1", "here"), ("ws2", "there")] {
        let place = format!("{base}/api/2.0/mlflow/experiments/create");
        let call = test.client().post(&place).bearer(owner.unwrap()).header("X-MLFLOW-WORKSPACE", workspace);
        assert_eq!(call.json(&json!({"name": name})).send().await.unwrap().status().as_u16(), 200);
        let own =
            format!("/mlflow/v1.0{}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}", test.workspace());
        assert_eq!(ask(&test, owner, &own, &[]).await.0, if workspace == "ws1" { 200 } else { 404 }, "{name}");
    }
    let info = format!("{base}/api/3.0/mlflow/server-info");
    for names in [&[][..], &["ws1"]] {
        assert_eq!(ask(&test, owner, &info, names).await.1["workspaces_enabled"], true, "{names:?}");
    }
    let (_, found) = ask(&test, owner, &format!("{base}/api/3.0/mlflow/workspaces"), &[]).await;
    assert_eq!(found["workspaces"], json!([{"name": "ws1", "description": ""}, {"name": "ws2", "description": "two"}]));
    let (_, one) = ask(&test, owner, &format!("{base}/api/3.0/mlflow/workspaces/ws2"), &[]).await;
    assert_eq!(one["workspace"]["name"], "ws2");
    assert_eq!(ask(&test, owner, &format!("{base}/api/3.0/mlflow/workspaces/ws3"), &[]).await.0, 404);

    // Nobody gets further by a header than by an address.
    let search = format!("{base}/api/2.0/mlflow/experiments/search?max_results=5");
    for who in [Who::Reader, Who::Stranger] {
        let token = callers.token(who);
        let by_address = format!("/mlflow/v1.0{other}/api/2.0/mlflow/experiments/search?max_results=5");
        let (header, address) = (ask(&test, token, &search, &["ws2"]).await, ask(&test, token, &by_address, &[]).await);
        assert_eq!(header.0, address.0, "{who:?}: {} {}", header.1, address.1);
    }
    for bad in [&["../ws1"][..], &["ws1", "ws2"], &["ws1/api"], &[""], &["no-such"]] {
        let (status, said) = ask(&test, owner, &search, bad).await;
        assert!((400..500).contains(&status), "{bad:?}: {status} {said}");
    }
    let own = format!("/mlflow/v1.0{}/api/2.0/mlflow/experiments/search?max_results=5", test.workspace());
    assert_eq!(ask(&test, owner, &own, &["WS1"]).await.0, 200);
    for bad in [&["ws2"][..], &["ws1", "ws1"], &["../ws1"]] {
        let (status, said) = ask(&test, owner, &own, bad).await;
        assert_eq!((status, &said["error_code"]), (400, &json!("INVALID_PARAMETER_VALUE")), "{bad:?}: {said}");
    }
    test.end().await;
}
