//! Deployments within deployments: so deep, and no deeper.

use std::time::Duration;

use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

/// A template that deploys one that deploys one, so many times, and a storage account in the innermost.
fn nested(depth: usize) -> Value {
    let resource = match depth {
        0 => {
            json!({"type": "Microsoft.Storage/storageAccounts", "apiVersion": "2023-01-01", "name": "innermost", "location": "local"})
        }
        _ => json!({
            "type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": format!("d{depth}"),
            "properties": {
                "mode": "Incremental", "expressionEvaluationOptions": {"scope": "inner"}, "template": nested(depth - 1),
            },
        }),
    };
    json!({"$schema": "x", "contentVersion": "1.0.0.0", "resources": [resource]})
}

#[tokio::test(flavor = "multi_thread")]
async fn deployments_nest_five_deep_and_not_six() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let account = format!("{}/providers/Microsoft.Storage/storageAccounts/innermost", test.group());
    for (depth, state) in [(6, "Failed"), (5, "Succeeded")] {
        let place = format!("{}/providers/Microsoft.Resources/deployments/top{depth}", test.group());
        let body = json!({"properties": {"mode": "Incremental", "template": nested(depth)}});
        let (status, begun) = test.ask(owner, Method::PUT, &place, Some(&body)).await;
        assert_eq!(status, 201, "{begun}");
        let mut ended = begun;
        for _ in 0..1000 {
            if ended["properties"]["provisioningState"] != "Running" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            ended = test.ask(owner, Method::GET, &place, None).await.1;
        }
        assert_eq!(ended["properties"]["provisioningState"], state, "{ended}");
        let is_made = test.ask(owner, Method::GET, &account, None).await.0 == 200;
        assert_eq!(is_made, state == "Succeeded", "{depth}");
    }
    let innermost = format!("{}/providers/Microsoft.Resources/deployments/d2", test.group());
    let (_, why) = test.ask(owner, Method::GET, &innermost, None).await;
    assert!(why["properties"]["provisioningState"] == "Succeeded", "{why}");
    test.end().await;
}
