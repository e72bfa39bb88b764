//! Quotas of cores (requirement A-34).

use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

fn locations(test: &TestHouse, what: &str) -> String {
    format!("{}/providers/Microsoft.MachineLearningServices/locations/local/{what}", test.subscription())
}

fn entry(scope: &str, family: &str, limit: Value) -> Value {
    json!({"value": [{"id": format!("{scope}/quotas/{family}"), "limit": limit, "unit": "Count"}]})
}

async fn enterprise(test: &TestHouse, owner: Option<&kernel::Secret<String>>, name: &str) -> String {
    let ws = test.workspace().replace("/ws1", &format!("/{name}"));
    let body = json!({"location": "local", "sku": {"name": "Enterprise"}});
    assert_eq!(test.ask(owner, Method::PUT, &ws, Some(&body)).await.0, 201);
    ws
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_set_at_the_subscription_and_no_workspace_has_more_than_it() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner).unwrap();
    let ws = enterprise(&test, Some(owner), "ent").await;
    let update = async |body: &Value| {
        let (status, said) = test.ask(Some(owner), Method::POST, &locations(&test, "updateQuotas"), Some(body)).await;
        assert_eq!(status, 200, "{said}");
        said["value"][0]["status"].as_str().unwrap().to_owned()
    };
    let whole = format!("{}/providers/Microsoft.MachineLearningServices/locations/local", test.subscription());
    let family = "StandardDSv2Family";
    let cases = [
        (test.workspace(), family, 0, "OperationNotSupportedForSku"),
        (ws.clone(), family, 1, "InvalidQuotaExceedsSubscriptionLimit"),
        (whole.clone(), family, 24, "Success"),
        (ws.clone(), family, 25, "InvalidQuotaExceedsSubscriptionLimit"),
        (ws.clone(), family, 24, "Success"),
        (whole.clone(), family, 23, "InvalidQuotaExceedsSubscriptionLimit"),
        (ws.clone(), "no such%20family", 1, "InvalidVMFamilyName"),
        (ws.clone(), "local", 5, "InvalidQuotaExceedsSubscriptionLimit"),
        (ws.clone(), "local", 2, "Success"),
    ];
    for (scope, family, limit, status) in cases {
        assert_eq!(update(&entry(&scope, family, json!(limit))).await, status, "{scope} {family} {limit}");
    }
    for wrong in [
        entry(&ws, family, json!(-1)),
        entry(&ws, family, json!("many")),
        entry(&ws.replace("/ent", "/nowhere"), family, json!(1)),
        json!({"value": [{"id": "quotas", "limit": 1}]}),
        json!({"value": [{"id": format!("/subscriptions/{}/quotas/a", uuid::Uuid::new_v4()), "limit": 1}]}),
    ] {
        let place = locations(&test, "updateQuotas");
        assert_eq!(test.ask(Some(owner), Method::POST, &place, Some(&wrong)).await.0, 400, "{wrong}");
    }
    let (_, listed) = test.ask(Some(owner), Method::GET, &locations(&test, "quotas"), None).await;
    let shown: Vec<_> = listed["value"].as_array().unwrap().iter().map(|quota| quota["limit"].clone()).collect();
    assert_eq!(shown.len(), 4, "{listed}");

    // An owner of the workspace, or of its group, is not asked.
    let role = domain::access::OWNER.to_string();
    for (name, scope) in [("of-ws", ws.clone()), ("of-group", test.group())] {
        let (_, token) = test.principal(owner, name, Some((&role, &scope))).await;
        let body = entry(&ws, family, json!(1));
        let refused = test.ask(Some(&token), Method::POST, &locations(&test, "updateQuotas"), Some(&body)).await;
        assert_eq!(refused.0, 403, "{name}: {}", refused.1);
    }
    // A later workspace of the same name has none of them.
    assert_eq!(test.ask(Some(owner), Method::DELETE, &format!("{ws}?forceToPurge=true"), None).await.0, 200);
    let (_, listed) = test.ask(Some(owner), Method::GET, &locations(&test, "quotas"), None).await;
    assert!(!listed.to_string().contains("workspaces/ent/"), "{listed}");
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_for_the_quota_of_its_workspace() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let ws = enterprise(&test, owner, "ent").await;
    let update = entry(&ws, "local", json!(1));
    let set = test.ask(owner, Method::POST, &locations(&test, "updateQuotas"), Some(&update)).await;
    assert_eq!(set.1["value"][0]["status"], "Success", "{}", set.1);
    let submit = async |ws: &str, name: &str| {
        let body = json!({"properties": {"jobType": "Command", "command": "true"}});
        assert!(test.ask(owner, Method::PUT, &format!("{ws}/jobs/{name}"), Some(&body)).await.0 < 300);
    };
    submit(&ws, "first").await;
    test.clock.advance(std::time::Duration::from_secs(1));
    submit(&ws, "second").await;
    submit(&test.workspace(), "elsewhere").await;
    domain::work::look_once(&test.house, true).await.unwrap();
    let status = async |ws: &str, name: &str| {
        test.ask(owner, Method::GET, &format!("{ws}/jobs/{name}"), None).await.1["properties"]["status"].clone()
    };
    assert_eq!(status(&ws, "first").await, "Provisioning");
    assert_eq!(status(&ws, "second").await, "Queued");
    assert_eq!(status(&test.workspace(), "elsewhere").await, "Provisioning");
    let (_, used) = test.ask(owner, Method::GET, &locations(&test, "usages"), None).await;
    let of = |scope: &str| {
        let all = used["value"].as_array().unwrap();
        let found = all.iter().find(|usage| usage["id"].as_str().unwrap().starts_with(scope));
        found.unwrap_or_else(|| panic!("{used}"))["currentValue"].clone()
    };
    let whole = format!("{}/providers/", test.subscription());
    assert_eq!((of(&ws), of(&whole)), (json!(1), json!(2)));
    let more = entry(&ws, "local", json!(2));
    test.ask(owner, Method::POST, &locations(&test, "updateQuotas"), Some(&more)).await;
    domain::work::look_once(&test.house, true).await.unwrap();
    assert_eq!(status(&ws, "second").await, "Provisioning");
    test.end().await;
}
